"""A run's configuration: read from layers, checked once, immutable after.

world: {name: d2d_underlay, pairs: 20}
scheme: li2020/random
slots: 1000
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast

import yaml
from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ValidationError, create_model

from controller.config import compatibility as fit
from controller.config import layers
from controller.config.catalogue import (
    STRICT,
    Choice,
    choice_model,
    params_of,
    scheme_named,
    schemes,
    world_named,
    worlds,
)
from controller.config.errors import ConfigError, format_validation_error, invalid, unknown
from controller.config.layers import Layer
from controller.config.signalling import Signalling
from protocol.messages.choreography import PHASES
from protocol.messages.plan import ClockPlan, Fallback, LossPlan, OnLoss, PastEvent, PhasePlan, RecordPlan, RunPlan
from protocol.messages.pool import Role

Placement = Literal["processes", "in-process", "pool"]
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
_MAX_SLOTS = 10**9

_Slots = Annotated[int, Ge(0), Le(_MAX_SLOTS)]


class Phases(BaseModel):
    """Slots of each phase, in this order."""

    model_config = STRICT

    warmup: _Slots = 0
    train: _Slots = 0
    eval: _Slots = 1000


class OnNodeLoss(BaseModel):
    """What happens when an agent is lost: protocol.messages.plan.LossPlan has the words.

    `trainer`: when the trainer is; null is `policy`. `fallback` acts for an agent that is lost; null takes the one on
    the scheme's card. `max_restarts`: of each node, and of rollbacks.
    """

    model_config = STRICT

    policy: OnLoss = "fallback"
    trainer: OnLoss | None = None
    fallback: Fallback | None = None
    lost_after_s: Annotated[float, Gt(0)] = 10.0
    trainer_lost_after_s: Annotated[float, Gt(0)] = 600.0
    max_restarts: Annotated[int, Ge(0)] = 3
    pause_s: Annotated[float, Gt(0)] = 60.0


class Clock(BaseModel):
    """How long a slot lasts, in ms of wall time; null for lockstep, where a slot lasts as long as its turns take."""

    model_config = STRICT

    slot_ms: Annotated[float, Gt(0)] | None = None


class Record(BaseModel):
    """What a run keeps: full values beside the digests, frames of the first slots, metrics per window of slots.

    `tensorboard`: metrics and scalars as TensorBoard's event files, too.
    """

    model_config = STRICT

    values: bool = False
    frames_slots: Annotated[int, Ge(0)] = 2
    window_slots: Annotated[int, Ge(1)] = 100
    tensorboard: bool = False


class RunConfig(BaseModel):
    """One run, resolved. `slots` is short for `phases: {eval: ...}`; one of the two is None.

    `baselines`: schemes to compare with, the first as the floor, the last as the ceiling.
    `out`: the folder that runs' folders are made in, relative to where the command is given.
    `checkpoint_every`: slots between two checkpoints, 0 for none; the newest `keep` are kept.
    """

    model_config = STRICT

    world: Choice
    scheme: Choice
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 1
    replicas: Annotated[int, Ge(1), Le(10_000)] = 1
    slots: Annotated[int, Ge(1), Le(_MAX_SLOTS)] | None = None
    phases: Phases | None = None
    episode_slots: Annotated[int, Ge(1)] | None = None
    train_delay_slots: Annotated[int, Ge(0)] = 0
    placement: Placement = "processes"
    signalling: Signalling = Signalling()
    on_node_loss: OnNodeLoss = OnNodeLoss()
    clock: Clock = Clock()
    on_channel_server_loss: Literal["rollback", "fail"] = "fail"
    checkpoint_every: Annotated[int, Ge(0), Le(_MAX_SLOTS)] = 0
    keep: Annotated[int, Ge(1)] = 2
    record: Record = Record()
    baselines: tuple[str | dict[str, Any], ...] = ()
    out: str = "runs"

    @property
    def others(self) -> "dict[str, RunConfig]":
        """The runs to compare with, by name and given parameters: the schemes of `baselines`, on the same channels, in
        one process, in lockstep. ConfigError for the same one twice."""
        alike = as_mapping(self) | {"baselines": [], "placement": "in-process", "clock": {}, "checkpoint_every": 0}
        found: dict[str, RunConfig] = {}
        for scheme in self.baselines:
            given = {"name": scheme} if isinstance(scheme, str) else scheme
            label = " ".join([given.get("name", ""), *(f"{k}={v}" for k, v in given.items() if k != "name")])
            if label in found:
                raise ConfigError(f"{label} stands there twice: drop one, or give it other parameters")
            found[label] = load(alike | {"scheme": scheme})
        return found

    @property
    def schedule(self) -> tuple[PhasePlan, ...]:
        """The phases that have slots, in order."""
        phases = self.phases or Phases(eval=self.slots or 0)
        plans = (PhasePlan(cast(Any, name), getattr(phases, name)) for name in PHASES)
        return tuple(plan for plan in plans if plan.slots)

    @property
    def node_names(self) -> list[str]:
        """Names by node index: agents, the trainer, the network's parties."""
        return fit.names(self._world())

    @property
    def units(self) -> dict[str, str]:
        """The world's metrics and their units."""
        return {metric.name: metric.unit for metric in self._world().metrics}

    @property
    def agents(self) -> int:
        """How many nodes act."""
        return len(self._world().agents)

    @property
    def capacity(self) -> dict[Role, int]:
        """The places of a pool's workers that the run takes, by role."""
        return {"agent": self.agents, "channel": 1}

    @property
    def agents_learn(self) -> bool:
        """Whether the agents learn by themselves, and need torch."""
        scheme = scheme_named(self.scheme.name)
        return scheme.learns and not scheme.choreography(params_of(scheme, self.scheme)).has_trainer

    def plan(self, run_id: str, *, replay: tuple[PastEvent, ...] | None = None) -> RunPlan:
        """What the channel server is told. `replay`: the losses and rejoins of the run that is replayed."""
        scheme = scheme_named(self.scheme.name)
        on_loss, record = self.on_node_loss, self.record
        return RunPlan(
            run_id=run_id,
            seed=self.seed,
            replicas=self.replicas,
            world=self.world.name,
            world_params=_said(self.world),
            scheme=self.scheme.name,
            scheme_params=_said(self.scheme),
            choreography=scheme.choreography(params_of(scheme, self.scheme)),
            phases=self.schedule,
            episode_slots=self.episode_slots,
            train_delay_slots=self.train_delay_slots,
            loss=LossPlan(
                on_loss.policy,
                on_loss.fallback or scheme.card.fallback,
                on_loss.lost_after_s,
                on_loss.trainer_lost_after_s,
                on_loss.trainer,
                self.on_channel_server_loss,
                on_loss.max_restarts,
                on_loss.pause_s,
            ),
            record=RecordPlan(record.values, record.frames_slots, record.window_slots, self.checkpoint_every),
            signalling=self.signalling.plan(self.train_delay_slots),
            clock=ClockPlan(self.clock.slot_ms),
            replay=replay,
        )

    def check(self) -> None:
        """ConfigError when the parts, each right by itself, do not make a run together."""
        scheme = scheme_named(self.scheme.name)
        fit.check_home(scheme, self.world.name)
        if not self.schedule:
            raise ConfigError("phases: no slots at all; give at least one phase some, such as eval: 1000")
        if self.clock.slot_ms is not None and self.placement == "in-process":
            cure = "nodes of one process are never late; give placement: processes, or leave out clock.slot_ms"
            raise ConfigError(invalid("placement", self.placement, cure))
        world = self._world()
        self.signalling.check(self.world.name, has_radio=hasattr(world, "signalling_bps_hz"))
        fit.check(world, scheme, params_of(scheme, self.scheme), self.plan("check"))
        try:
            _ = self.others
        except ConfigError as error:
            raise ConfigError(f"baselines: {error}") from error

    def _world(self) -> fit.World:
        entry = world_named(self.world.name)
        return fit.build(entry, params_of(entry, self.world), seed=self.seed, replicas=self.replicas)


def load(
    source: Path | Mapping[str, Any],
    *,
    environment: Mapping[str, str] = _NO_VARIABLES,
    overrides: Iterable[Layer] = (),
) -> RunConfig:
    """The run described by a file or a mapping; `overrides` win over `environment`, that over `source`.

    ConfigError says all that is wrong, one line per fault.
    """
    layer = layers.from_file(source) if isinstance(source, Path) else layers.from_mapping(source, Path.cwd())
    layer = layer.under(layers.from_environment(environment))
    for override in overrides:
        layer = layer.under(override)
    return _checked(layer)


def dump_yaml(config: RunConfig) -> str:
    """The resolved configuration; `load` gives the same again."""
    return yaml.safe_dump(as_mapping(config), sort_keys=False)


def as_mapping(config: RunConfig) -> dict[str, Any]:
    """The resolved configuration in YAML's types."""
    return config.model_dump(mode="json", exclude={"phases" if config.phases is None else "slots"})


def _checked(layer: Layer) -> RunConfig:
    faults = _name_faults(layer.data, "world", worlds()) + _name_faults(layer.data, "scheme", schemes())
    if {"slots", "phases"} <= layer.data.keys():
        faults.append("slots and phases are both given: keep one of them; slots: 100 is short for phases: {eval: 100}")
    model = _model(_name_in(layer.data, "world"), _name_in(layer.data, "scheme"))
    data = layer.data if "slots" in layer.data else {"phases": {}} | layer.data
    try:
        # As JSON, for its strictness: a list may be a tuple, a whole number a float, but nothing else is converted.
        config = model.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        faults += [_attributed(line, layer) for line in format_validation_error(error, model)]
    except ValueError as error:  # a YAML alias that contains itself
        faults.append(f"{error}; write the settings without it")
    if faults:
        raise ConfigError("\n".join(faults))
    config.check()
    return config


def _name_in(data: dict[str, Any], key: str) -> str | None:
    """The name of the world or scheme, as far as there is one."""
    chosen = data.get(key)
    name = chosen.get("name") if isinstance(chosen, dict) else None
    return name if isinstance(name, str) else None


def _name_faults(data: dict[str, Any], key: str, known: Mapping[str, Any]) -> list[str]:
    """What is wrong with the name of the world or scheme; nothing is said here of its parameters."""
    name = _name_in(data, key)
    if name is None and key in data and not _lacks_name(data[key]):
        return [invalid(key, data[key], f"must be one of {', '.join(known)}, or name and parameters")]
    if name is None:
        return [f"{key}.name: is missing; known: {', '.join(known)}"]
    return [] if name in known else [f"{key}.name: {unknown(key, name, known)}"]


def _lacks_name(chosen: Any) -> bool:
    return isinstance(chosen, dict) and "name" not in chosen


@cache
def _model(world: str | None, scheme: str | None) -> type[RunConfig]:
    """RunConfig with the parameters of this world and scheme in it; anything goes in place of unknown ones."""
    chosen: dict[str, Any] = {
        "world": (choice_model(worlds()[world]), ...) if world in worlds() else (Any, None),
        "scheme": (choice_model(schemes()[scheme]), ...) if scheme in schemes() else (Any, None),
    }
    return create_model("RunConfig", __base__=RunConfig, **chosen)


def _attributed(line: str, layer: Layer) -> str:
    giver = layer.giver(line.partition(":")[0])
    return f"{line} (given by {giver})" if giver else line


def _said(choice: Choice) -> dict[str, Any]:
    """Parameters as they cross a wire."""
    return choice.model_dump(mode="json", exclude={"name"})

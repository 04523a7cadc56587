"""A run's configuration: its keys, their defaults and bounds. `controller.config.resolved` derives the rest.

world: {name: d2d_underlay, pairs: 20}
scheme: li2020/random
slots: 1000
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal

import yaml
from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import BaseModel, ValidationError, create_model

from controller.config.catalogue import STRICT, Choice, choice_model, schemes, worlds
from controller.config.errors import ConfigError, format_validation_error, invalid, nearest, unknown
from controller.config.layers import Layer, expanded
from controller.config.signalling import Signalling
from protocol.messages.plan import MAX_AIR_ROWS, Fallback, OnLoss, PhasePlan, TracePhases

Placement = Literal["processes", "in-process", "pool"]
MAX_RUN_SLOTS = 10**9
_MAX_ROUNDS = 1000  # each node's Welcome lists the phases of all

_Slots = Annotated[int, Ge(0), Le(MAX_RUN_SLOTS)]


class Phases(BaseModel):
    """Slots of each phase, in this order: warmup once, then train and eval in turns, `rounds` times."""

    model_config = STRICT

    warmup: _Slots = 0
    train: _Slots = 0
    eval: _Slots = 1000
    rounds: Annotated[int, Ge(1), Le(_MAX_ROUNDS)] = 1

    @property
    def schedule(self) -> tuple[PhasePlan, ...]:
        """The phases that have slots, in order."""
        in_turns = [PhasePlan("train", self.train), PhasePlan("eval", self.eval)] * self.rounds
        return tuple(plan for plan in (PhasePlan("warmup", self.warmup), *in_turns) if plan.slots)


class OnNodeLoss(BaseModel):
    """What happens when a node is lost: its process or its connection ended, or it has been silent for too long.

    `action` for an agent, `trainer` for the trainer (null: the same): protocol.messages.plan.LossPlan explains each.
    `fallback`: what radiates in place of a lost agent; null: as on the scheme's card. `lost_after_s`,
    `trainer_lost_after_s`: silence after which a node counts as lost; `learner_lost_after_s`: of agents that learn, in
    slots of training. `max_restarts`: how often each node may be
    restarted, and how often the run may be rolled back. `pause_s`: how long a pause may last before the run fails.
    """

    model_config = STRICT

    action: OnLoss = "fallback"
    trainer: OnLoss | None = None
    fallback: Fallback | None = None
    lost_after_s: Annotated[float, Gt(0)] = 10.0
    trainer_lost_after_s: Annotated[float, Gt(0)] = 600.0
    learner_lost_after_s: Annotated[float, Gt(0)] = 600.0
    max_restarts: Annotated[int, Ge(0)] = 3
    pause_s: Annotated[float, Gt(0)] = 60.0


class Clock(BaseModel):
    """`slot_ms`: wall time of a slot in ms; null for lockstep, where a slot lasts as long as its turns take."""

    model_config = STRICT

    slot_ms: Annotated[float, Gt(0)] | None = None


class Start(BaseModel):
    """What a run starts from. `weights`: those of another run, by its id under `out` or its folder, or a safetensors
    file; null for none. `controller.config.start_weights` explains which agent starts from which."""

    model_config = STRICT

    weights: str | None = None


class Record(BaseModel):
    """What a run records.

    `trace`: the phases whose rows of the trace are kept; its digest covers all in any case. `air_book_rows`: how many
    rows of the air book are kept, the first ones; the toll counts all.
    `values`: the traced values themselves besides their digests. `frames_slots`: of so many first slots the frames that
    crossed the sockets. `window_slots`: slots per row of metrics.csv and toll.csv. `tensorboard`: metrics and scalars
    as TensorBoard event files, too.
    """

    model_config = STRICT

    trace: TracePhases = "all"
    air_book_rows: Annotated[int, Ge(0), Le(10**9)] = MAX_AIR_ROWS
    values: bool = False
    frames_slots: Annotated[int, Ge(0)] = 2
    window_slots: Annotated[int, Ge(1)] = 100
    tensorboard: bool = False


class RunConfig(BaseModel):
    """One run. `slots` is short for `phases: {eval: ...}`; one of the two is None.

    `replicas`: independent copies of the world, stepped in the same messages. `episode_slots`: slots between two resets
    of the world; null for none. `train_delay_slots`: how many slots after a learn turn its weights are sent, however
    long the computation takes. `baselines`: schemes to compare with on the same channels; in the table the first is 0 %
    and the last 100 % of the gap; those that learn are trained in this run's phases, and none
    starts from `start`. `untrained`: allows a scheme that
    learns to run without training slots, with the networks it is initialised with. `out`: the folder in which a folder
    per run is created, relative to the working directory. `checkpoint_every`: slots between two checkpoints, 0 for
    none; the newest `keep_checkpoints` are kept.
    """

    model_config = STRICT

    world: Choice
    scheme: Choice
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 1
    replicas: Annotated[int, Ge(1), Le(10_000)] = 1
    slots: Annotated[int, Ge(1), Le(MAX_RUN_SLOTS)] | None = None
    phases: Phases | None = None
    episode_slots: Annotated[int, Ge(1)] | None = None
    train_delay_slots: Annotated[int, Ge(0)] = 0
    placement: Placement = "processes"
    signalling: Signalling = Signalling()
    on_node_loss: OnNodeLoss = OnNodeLoss()
    clock: Clock = Clock()
    on_channel_server_loss: Literal["rollback", "fail"] = "fail"
    checkpoint_every: Annotated[int, Ge(0), Le(MAX_RUN_SLOTS)] = 0
    keep_checkpoints: Annotated[int, Ge(1)] = 2
    record: Record = Record()
    baselines: Annotated[tuple[str | dict[str, Any], ...], MaxLen(16)] = ()
    untrained: bool = False
    start: Start = Start()
    out: str = "runs"

    def __reduce__(self) -> tuple[Any, ...]:
        """The class is made for a world and a scheme, and pickle cannot find such a class."""
        return parse_mapping, (as_mapping(self),)

    @property
    def schedule(self) -> tuple[PhasePlan, ...]:
        """The phases that have slots, in order."""
        return (self.phases or Phases(eval=self.slots or 0)).schedule


def dump_yaml(config: RunConfig) -> str:
    """The configuration as YAML, every default written out; `parse` reads the same again."""
    return yaml.safe_dump(as_mapping(config), sort_keys=False)


def as_mapping(config: RunConfig) -> dict[str, Any]:
    """The configuration in YAML's types, every default written out."""
    return config.model_dump(mode="json", exclude={"phases" if config.phases is None else "slots"})


def parse(layer: Layer) -> RunConfig:
    """Validate settings: every key, value, and the names of world and scheme. ConfigError lists every fault."""
    data = expanded(layer.data)
    faults = _name_faults(data, "world", worlds()) + _name_faults(data, "scheme", schemes())
    if {"slots", "phases"} <= data.keys():
        faults.append("slots and phases are both given: keep one of them; slots: 100 is short for phases: {eval: 100}")
    model = _model(_name_in(data, "world"), _name_in(data, "scheme"))
    data = data if "slots" in data else {"phases": {}} | data
    try:
        # As JSON, since strict mode then accepts a list for a tuple and a whole number for a float, and nothing else;
        # for Python values it would reject the lists that YAML gives.
        config = model.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        faults += [_attributed(line, layer) for line in format_validation_error(error, model)]
    except ValueError as error:  # a mapping from Python that contains itself
        faults.append(f"{error}; write the settings without it")
    if faults:
        raise ConfigError("\n".join(faults))
    return config


def parse_mapping(data: dict[str, Any]) -> RunConfig:
    """The configuration of `as_mapping`, which has been validated before."""
    return parse(Layer(data))


def _name_in(data: dict[str, Any], key: str) -> str | None:
    """The name of the chosen world or scheme, if one is given."""
    chosen = data.get(key)
    name = chosen.get("name") if isinstance(chosen, dict) else None
    return name if isinstance(name, str) else None


def _name_faults(data: dict[str, Any], key: str, known: Mapping[str, Any]) -> list[str]:
    """Faults of the world's or scheme's name; the model validates its parameters."""
    name = _name_in(data, key)
    if name is None and key in data and not _lacks_name(data[key]):
        return [invalid(key, data[key], f"must be one of {', '.join(known)}, or name and parameters")]
    if name is None:
        return [f"{key}.name: is missing; known: {', '.join(known)}"]
    return [] if name in known else [f"{key}.name: {unknown(key, name, known)}{_of_another_package(name, known)}"]


def _of_another_package(name: str, known: Iterable[str]) -> str:
    """What to do about a name that is no misspelt one: its package may be missing here."""
    papers = {one.partition("/")[0] for one in known}
    if name.partition("/")[0] in papers or nearest(name, known):
        return ""
    return "; one of another package is found once that is installed where the run starts: pip install --editable DIR"


def _lacks_name(chosen: Any) -> bool:
    return isinstance(chosen, dict) and "name" not in chosen


@cache
def _model(world: str | None, scheme: str | None) -> type[RunConfig]:
    """RunConfig with the parameters of this world and scheme; those of unknown ones are not validated."""
    chosen: dict[str, Any] = {
        "world": (choice_model(worlds()[world]), ...) if world in worlds() else (Any, None),
        "scheme": (choice_model(schemes()[scheme]), ...) if scheme in schemes() else (Any, None),
    }
    return create_model("RunConfig", __base__=RunConfig, **chosen)


def _attributed(line: str, layer: Layer) -> str:
    source = layer.source(line.partition(":")[0])
    return f"{line} (given by {source})" if source else line

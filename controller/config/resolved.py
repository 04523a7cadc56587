"""A run, resolved: its configuration, checked against its world and scheme, and everything that follows from the three.

Resolving builds the world once. Baselines of a run differ from it in their scheme alone, so they share that world.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from channel_server.welcome import names
from channel_server.worlds.contract import REWARD_METRIC, World
from controller.config import compatibility, layers
from controller.config.catalogue import parameters, scheme_named
from controller.config.errors import ConfigError, invalid
from controller.config.file_kinds import require_run
from controller.config.layers import Layer
from controller.config.run_config import MAX_RUN_SLOTS, RunConfig, as_mapping, parse
from controller.config.start_weights import StartWeights, read_start_weights
from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.plan import ClockPlan, LossPlan, PastEvent, RecordPlan, RunPlan
from protocol.messages.pool import Role
from schemes.contract import Scheme
from schemes.parts.embedded_file import name_in

_MAX_LABEL = 120  # the name of a folder, whose other characters may each take 4 bytes of 255
_EXTRAS = {"torch": "airtoll[learn]"}  # by the library that they install
_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class ResolvedRun:
    """A run that can be executed.

    `plan`: without a run_id, see `plan_for`. `agents`: how many nodes act. `node_names`: by node index, agents first,
    then the trainer, then the infrastructure. `units`: of the world's metrics, by metric;
    `distribution_units`: of its distributions. `learns`: whether the scheme learns, at the trainer or at the agents;
    `agents_need_torch`: whether at the agents, with torch. `baselines`: the runs to compare with, by scheme and given
    parameters. `start`: the weights that the run starts from.
    """

    config: RunConfig
    plan: RunPlan
    agents: int
    node_names: tuple[str, ...]
    units: dict[str, str]
    distribution_units: dict[str, str]
    learns: bool
    agents_need_torch: bool
    baselines: "dict[str, ResolvedRun]" = field(default_factory=dict)
    start: StartWeights | None = None

    @property
    def capacity(self) -> dict[Role, int]:
        """The workers of the pool that the run needs, by role."""
        return capacity_of(self.agents)

    def plan_for(self, run_id: str, *, replay: tuple[PastEvent, ...] | None = None) -> RunPlan:
        """The plan of this run under its id. `replay`: the past events of a run to be replayed."""
        return msgspec.structs.replace(self.plan, run_id=run_id, replay=replay)


def load(
    source: Path | Mapping[str, Any],
    *,
    environment: Mapping[str, str] = _NO_VARIABLES,
    overrides: Iterable[Layer] = (),
) -> ResolvedRun:
    """The run that a file or a mapping describes; `overrides` win over `environment`, which wins over `source`.

    ConfigError lists every fault, one per line.
    """
    layer = layers.from_file(source) if isinstance(source, Path) else layers.from_mapping(source, Path.cwd())
    if isinstance(source, Path):
        require_run(source, layer.data)
    layer = layer.overridden_by(layers.from_environment(environment))
    for override in overrides:
        layer = layer.overridden_by(override)
    return resolve(parse(layer))


def resolve(config: RunConfig, world: World | None = None) -> ResolvedRun:
    """Check the configuration with its world and scheme. `world`: the one it describes, if it has been built already.

    ConfigError when the parts, each valid by itself, make no run together.
    """
    scheme = scheme_named(config.scheme.name)
    compatibility.check_world(scheme, config.world.name)
    _check_phases(config, scheme)
    _check_needs(scheme)
    _check_clock(config)
    plan = _plan(config, scheme)
    world = world or compatibility.build(plan)
    config.signalling.check(config.world.name, has_radio=hasattr(world, "signalling_bps_hz"))
    start = _start(config)
    plan = msgspec.structs.replace(
        plan,
        signalling=config.signalling.plan(config.train_delay_slots, world.cloud_link),
        nodes=(*world.agents, *([TRAINER_NAME] if plan.choreography.has_trainer else [])),
        start=() if start is None else start.bodies(len(world.agents)),
    )
    compatibility.check(world, scheme, plan)
    return ResolvedRun(
        config=config,
        plan=plan,
        agents=len(world.agents),
        node_names=tuple(names(world)),
        units={metric.name: metric.unit for metric in world.metrics},
        distribution_units={each.name: each.unit for each in getattr(world, "distributions", ())},
        learns=scheme.learns,
        agents_need_torch="torch" in scheme.needs and not plan.choreography.has_trainer,
        baselines=_baselines(config, world),
        start=start,
    )


def capacity_of(agents: int) -> dict[Role, int]:
    """The workers of the pool that a run with this number of agents needs, by role."""
    return {"agent": agents, "channel": 1}


def _baselines(config: RunConfig, world: World) -> dict[str, ResolvedRun]:
    """The schemes of `baselines` on the same channels, in one process and in lockstep. ConfigError for a duplicate,
    and for a world whose rewards no metric sums."""
    if not config.baselines:
        return {}
    if REWARD_METRIC not in [metric.name for metric in world.metrics]:
        fix = f"leave it out, or let the world report {REWARD_METRIC}, the sum of the agents' rewards per slot"
        raise ConfigError(f"baselines: {config.world.name} has no metric {REWARD_METRIC} to compare by: {fix}")
    shared = as_mapping(config) | {"baselines": [], "placement": "in-process", "clock": {}, "checkpoint_every": 0}
    shared |= {"start": {}}
    found: dict[str, ResolvedRun] = {}
    for scheme in config.baselines:
        given = {"name": scheme} if isinstance(scheme, str) else scheme
        label = " ".join([str(given.get("name", "")), *(f"{k}={_short(v)}" for k, v in given.items() if k != "name")])
        if label in found:
            fix = "drop one, give it other parameters, or rename one of two files of the same name"
            raise ConfigError(f"baselines: {label} is listed twice: {fix}")
        if len(label) > _MAX_LABEL:
            fix = f"names of baselines have at most {_MAX_LABEL} characters: give it fewer parameters"
            raise ConfigError(invalid("baselines", label, fix))
        try:
            found[label] = resolve(parse(Layer(shared | {"scheme": given})), world)
        except ConfigError as error:
            raise ConfigError(f"baselines: {error}") from error
    return found


def _short(value: Any) -> str:
    """A parameter in a baseline's name: of a file its name alone."""
    if isinstance(value, list | tuple):
        return ",".join(_short(one) for one in value)
    return name_in(value) if isinstance(value, str) else str(value)


def _check_phases(config: RunConfig, scheme: Scheme) -> None:
    if not config.schedule:
        raise ConfigError("phases: no slots at all; give at least one phase some, such as eval: 1000")
    _check_rounds(config)
    if not scheme.learns:
        return
    if not (config.untrained or config.start.weights or any(phase.name == "train" for phase in config.schedule)):
        fix = "give phases: {warmup: 500, train: 4000, eval: 1000}, or untrained: true to run it as initialised"
        raise ConfigError(f"phases: {scheme.card.name} learns, but no slots are given to train it; {fix}")


def _check_needs(scheme: Scheme) -> None:
    for library in scheme.needs:
        if find_spec(library) is None:
            fix = _EXTRAS.get(library, library)
            raise ConfigError(f"scheme: {scheme.card.name} needs {library}: pip install '{fix}'")


def _start(config: RunConfig) -> StartWeights | None:
    given = config.start.weights
    return None if given is None else read_start_weights(given, out=Path(config.out))


def _check_rounds(config: RunConfig) -> None:
    phases = config.phases
    if phases is None:
        return
    if phases.rounds > 1 and not (phases.train and phases.eval):
        fix = "train and eval alternate, so that both need slots: give both some, or rounds: 1"
        raise ConfigError(invalid("phases.rounds", phases.rounds, fix))
    slots = sum(phase.slots for phase in phases.schedule)
    if slots > MAX_RUN_SLOTS:
        fix = f"{slots} slots in all; a run has at most {MAX_RUN_SLOTS}: give fewer rounds, or shorter phases"
        raise ConfigError(invalid("phases.rounds", phases.rounds, fix))


def _check_clock(config: RunConfig) -> None:
    if config.clock.slot_ms is not None and config.placement == "in-process":
        fix = "nodes of one process are never late; give placement: processes, or leave out clock.slot_ms"
        raise ConfigError(invalid("placement", config.placement, fix))


def _plan(config: RunConfig, scheme: Scheme) -> RunPlan:
    """What the channel server needs to know of the run, without what follows from its world: the names of its nodes,
    and the signalling model."""
    on_loss, record, scheme_params = config.on_node_loss, config.record, parameters(config.scheme)
    choreography = scheme.choreography(msgspec.convert(scheme_params, scheme.params))
    return RunPlan(
        run_id="",
        nodes=(),
        seed=config.seed,
        replicas=config.replicas,
        world=config.world.name,
        world_params=parameters(config.world),
        scheme=config.scheme.name,
        scheme_params=scheme_params,
        choreography=choreography,
        phases=config.schedule,
        episode_slots=config.episode_slots,
        train_delay_slots=config.train_delay_slots,
        loss=LossPlan(
            on_loss.action,
            on_loss.fallback or scheme.card.fallback,
            on_loss.lost_after_s,
            on_loss.trainer_lost_after_s,
            on_loss.trainer,
            config.on_channel_server_loss,
            on_loss.max_restarts,
            on_loss.pause_s,
            on_loss.learner_lost_after_s if scheme.learns and not choreography.has_trainer else None,
        ),
        record=RecordPlan(
            record.values,
            record.frames_slots,
            record.window_slots,
            config.checkpoint_every,
            record.trace,
            record.air_book_rows,
        ),
        clock=ClockPlan(config.clock.slot_ms),
        privileged=scheme.privileged,
    )

"""The runs that an environment plays one after another: their configuration, seeds, folders, and toll."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from airtoll.environments.slot_engine import SlotEngine, SlotResult
from channel_server.welcome import welcome
from channel_server.worlds.contract import World
from controller.config import layers
from controller.config.errors import ConfigError, invalid, unknown
from controller.config.resolved import ResolvedRun, load
from controller.execution.building import build_world
from controller.run_folder.reader import RunFolder
from controller.run_folder.toll import summarised
from controller.run_folder.writer import RunWriter
from protocol.accounting.toll import Toll
from protocol.messages.node import Welcome
from protocol.messages.plan import RunPlan
from protocol.messages.spaces import Space
from protocol.messages.telemetry import Telemetry, TollWindow

Config = str | Path | Mapping[str, Any]


class RunSeries:
    """A configuration that is played run after run.

    `names`: the outside agents' names as learners know them, such as pair_0; `agents`: their indices, in the same
    order. `view`: what the agents measure in their act turn, None as the scheme says. `folder`: where each run leaves
    its folder, run-1, run-2, ...; None for nowhere.
    """

    def __init__(
        self,
        config: Config,
        overrides: Mapping[str, Any],
        *,
        agents: Sequence[str] | None = None,
        view: str | None = None,
        folder: str | Path | None = None,
    ) -> None:
        self._source = Path(config) if isinstance(config, str | Path) else config
        self._overrides = {"untrained": True} | dict(overrides)  # the learner outside is what trains
        resolved = self._resolved({})
        _check(resolved)
        self._world: World | None = build_world(resolved.plan)
        self.plan: RunPlan = resolved.plan if view is None else _measuring(resolved.plan, view, self._world)
        self.actions: Sequence[Space] = self._world.actions
        everyone = [learner_name(name) for name in self.plan.nodes[: resolved.agents]]
        self.names = everyone if agents is None else list(agents)
        if missing := [name for name in self.names if name not in everyone]:
            raise ConfigError(unknown("agent", missing[0], everyone))
        self.agents = [everyone.index(name) for name in self.names]
        self._folder = None if folder is None else Path(folder)
        self._folders, self._exit = 0, ExitStack()
        self._writer: RunWriter | None = None
        self._run_folder: RunFolder | None = None
        self._engine: SlotEngine | None = None
        self._result: SlotResult | None = None
        self._toll: dict[str, dict[str, Toll]] = {}

    @property
    def seed(self) -> int:
        """Of the run that is played."""
        return self.plan.seed

    @property
    def replicas(self) -> int:
        return self.plan.replicas

    @property
    def run_folder(self) -> RunFolder | None:
        """The folder of the run that is played, with everything recorded so far; None without folders."""
        if self._engine is not None:
            self._engine.report()
        return self._run_folder

    def welcomes(self) -> list[Welcome]:
        """What each outside agent knows of the run."""
        if self._engine is not None:
            return list(self._engine.welcomes.values())
        world = self._world or build_world(self.plan)
        return [welcome(self.plan, world, agent) for agent in self.agents]

    def begins_run(self, seed: int | None) -> bool:
        """Whether a reset with this seed begins a new run."""
        return seed is not None or self._result is None or not _begins_episode(self._result)

    def reset(self, seed: int | None) -> SlotResult:
        """The first act turn of a new episode.

        With a seed: of a new run. Without: of this run's next episode if the last one has ended, and the run has slots
        left; otherwise of a new run with the next seed, in which all is drawn anew.
        """
        if self._result is not None and not self.begins_run(seed):
            return self._result
        if seed is None:
            seed = self.plan.seed if self._result is None else self.plan.seed + 1
        self._begin(seed)
        assert self._engine is not None
        self._result = self._engine.start()
        return self._result

    def act(self, actions: Mapping[int, Any]) -> SlotResult:
        """Play a slot by these action records, by index. RuntimeError before the first reset."""
        if self._engine is None:
            raise RuntimeError("call reset() before step()")
        self._result = self._engine.act(actions)
        if self._result.over:
            self._finish()
        return self._result

    def toll(self, phase: str | None = None) -> dict[str, dict[str, int]]:
        """The toll of the run so far by kind of note, as in `summary.json`; of one phase, or of all."""
        if self._engine is not None:
            self._engine.report()
        sums: dict[str, Toll] = {}
        for name, kinds in self._toll.items():
            for kind, toll in kinds.items() if phase in (None, name) else ():
                sums.setdefault(kind, Toll()).add(toll)
        return summarised(sums)

    def close(self) -> None:
        """Stop the run, where it stands, and complete its folder."""
        if self._engine is not None:
            self._engine.close()
        self._engine = self._result = None
        self._finish()

    def _begin(self, seed: int) -> None:
        self.close()
        resolved = self._resolved({"seed": seed}) if self._folder is not None else None
        run_id = "environment" if resolved is None else self._open_folder(resolved)
        if seed != self.plan.seed:
            self._world = None
        self.plan = msgspec.structs.replace(self.plan, seed=seed, run_id=run_id)
        world, self._world = self._world or build_world(self.plan), None
        self._toll = {}
        self._engine = SlotEngine(self.plan, world, self.agents, self._record)

    def _open_folder(self, resolved: ResolvedRun) -> str:
        assert self._folder is not None
        self._folders += 1
        self._writer = RunWriter.create(resolved, at=self._folder / f"run-{self._folders}")
        self._exit.enter_context(self._writer.locked())
        self._writer.log(f"played from outside: {', '.join(self.names)}")
        self._run_folder = self._writer.folder
        return self._run_folder.meta.run_id

    def _finish(self) -> None:
        """The run is over: its folder is completed."""
        self._exit.close()
        if self._writer is not None:
            self._writer.summarise()
        self._writer = None

    def _record(self, telemetry: Telemetry, /) -> None:
        if self._writer is not None:
            self._writer(telemetry)
        if isinstance(telemetry, TollWindow):
            kinds = self._toll.setdefault(telemetry.phase, {})
            for row in telemetry.rows:
                kinds.setdefault(row.kind.name.lower(), Toll()).add(row.toll)

    def _resolved(self, settings: Mapping[str, Any]) -> ResolvedRun:
        over = [layers.from_mapping(given, Path.cwd()) for given in (self._overrides, settings)]
        return load(self._source, environment=os.environ, overrides=over)


def learner_name(name: str) -> str:
    """An agent's name as learning libraries group it: pair-0 is pair_0, ap1 is ap_1."""
    stem = name.rstrip("0123456789")
    number = name[len(stem) :]
    return f"{stem.rstrip('-_')}_{number}".replace("-", "_") if number else name.replace("-", "_")


def _measuring(plan: RunPlan, view: str, world: World) -> RunPlan:
    """The plan with another view in the agents' act turn. ConfigError for one that the world does not have."""
    if view not in world.views:
        raise ConfigError(unknown("view", view, world.views))
    turns = [
        msgspec.structs.replace(spec, view=view) if (spec.who, spec.step) == ("agents", "act") else spec
        for spec in plan.choreography.turns
    ]
    return msgspec.structs.replace(plan, choreography=msgspec.structs.replace(plan.choreography, turns=tuple(turns)))


def _begins_episode(result: SlotResult) -> bool:
    """Whether the waiting act turn is the first of an episode in all replicas."""
    if result.over or result.outcome is None:
        return not result.over
    return result.outcome.ended is not None and bool((result.outcome.ended > 0).all())


def _check(resolved: ResolvedRun) -> None:
    """ConfigError for settings that need nodes or processes of their own."""
    if resolved.config.clock.slot_ms is not None:
        slot_ms = resolved.config.clock.slot_ms
        fix = "an environment's slots last as long as its learner takes; leave out clock.slot_ms"
        raise ConfigError(invalid("clock.slot_ms", slot_ms, fix))
    if resolved.config.checkpoint_every:
        fix = "an environment keeps no checkpoints: its learner is not in them; leave it out"
        raise ConfigError(invalid("checkpoint_every", resolved.config.checkpoint_every, fix))

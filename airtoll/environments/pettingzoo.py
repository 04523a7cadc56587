"""A run as a PettingZoo parallel environment: one step is one slot, in which all outside agents act at once.

Turns before the act turn are answered by the scheme's own policies. Relay and books run, so that the toll of what the
nodes send each other is counted; what the learner itself reads of several agents crosses no air and costs nothing.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import numpy.typing as npt
from pettingzoo import ParallelEnv

from airtoll.environments.rendering import Screen
from airtoll.environments.runs import Config, RunSeries
from airtoll.environments.sense import MakeSense, Sense
from airtoll.environments.slot_engine import SlotResult
from airtoll.environments.spaces import action_records, action_space
from controller.config.errors import ConfigError, invalid
from protocol.messages.episodes import TERMINATED, TRUNCATED
from schemes.contract import TurnContext

Observation = npt.NDArray[np.float32]
Infos = dict[str, dict[str, Any]]
_Steps = tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], Infos]


class AirtollEnv(ParallelEnv[str, Observation, Any]):
    """The environment; `airtoll.parallel_env` builds it.

    An observation is a row of float32 numbers, made by the agent's sense. `state()`: the observations of all outside
    agents in one row. `infos`: the slot of the act turn. `turns`: each agent's act turn as its node has it, with the
    measurement and the notes received.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "airtoll",
        "render_modes": ["rgb_array", "human"],
        "render_fps": 4,
        "is_parallelizable": True,
    }

    def __init__(
        self,
        config: Config,
        overrides: Mapping[str, Any],
        *,
        sense: MakeSense,
        agents: tuple[str, ...] | None = None,
        view: str | None = None,
        render_mode: str | None = None,
        folder: str | Path | None = None,
    ) -> None:
        self._arguments: dict[str, Any] = {
            "sense": sense,
            "agents": agents,
            "view": view,
            "render_mode": render_mode,
            "folder": folder,
        }
        self._settings = config, overrides
        self._screen = Screen(render_mode, folder)
        self.render_mode = render_mode
        self._runs = RunSeries(config, overrides, agents=agents, view=view, folder=self._screen.folder)
        if self._runs.replicas != 1:
            fix = "a PettingZoo environment is one world; give replicas: 1, or use airtoll.environments.torchrl"
            raise ConfigError(invalid("replicas", self._runs.replicas, fix))
        self._make_sense = sense
        self._senses: dict[str, Sense] = self._built()
        self.possible_agents = list(self._runs.names)
        self.agents: list[str] = []
        self.observation_spaces = {
            name: gymnasium.spaces.Box(sense.low, sense.high, dtype=np.float32) for name, sense in self._senses.items()
        }
        spaces = (self._runs.actions[agent] for agent in self._runs.agents)
        self.action_spaces = {
            name: action_space(space) for name, space in zip(self.possible_agents, spaces, strict=True)
        }
        boxes = self.observation_spaces.values()
        low, high = (np.concatenate([getattr(box, bound) for box in boxes]) for bound in ("low", "high"))
        self.state_space = gymnasium.spaces.Box(low, high, dtype=np.float32)
        self.turns: dict[str, TurnContext] = {}
        self._observations: dict[str, Observation] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy begins anew: libraries copy an environment before they play it."""
        return partial(type(self), **self._arguments), self._settings

    def observation_space(self, agent: str) -> "gymnasium.Space[Any]":
        """Of an agent; always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> "gymnasium.Space[Any]":
        """Of an agent; always the same object."""
        return self.action_spaces[agent]

    @property
    def run_seed(self) -> int:
        """The seed of the run that is played."""
        return self._runs.seed

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], Infos]:
        """The first act turn of a new episode: with a seed of a new run; without, of this run's next episode if the
        last one has ended and slots are left, else of a new run with the next seed. `options` are not used."""
        begins_run = self._runs.begins_run(seed)
        result = self._runs.reset(seed)
        if begins_run:
            self._senses = self._built()
            self._sensed(result)
        self.agents = list(self.possible_agents)
        return dict(self._observations), self._infos(result)

    def step(self, actions: Mapping[str, Any]) -> _Steps:
        """Play one slot. ValueError for an action outside its space; RuntimeError after the end of an episode."""
        if not self.agents:
            raise RuntimeError("the episode is over: call reset()")
        if missing := [name for name in self.agents if name not in actions]:
            raise ValueError(f"no action for {', '.join(missing)}: step takes one for every agent")
        spaces = self._runs.actions
        result = self._runs.act(
            {agent: action_records(spaces[agent], actions[name]) for name, agent in self._indexed()}
        )
        self._sensed(result)
        assert result.outcome is not None
        rewards = {name: float(result.outcome.rewards[agent, 0]) for name, agent in self._indexed()}
        end = 0 if result.outcome.ended is None else int(result.outcome.ended[0])
        terminated, truncated = end == TERMINATED, end == TRUNCATED or (result.over and end == 0)
        names, infos = self.agents, self._infos(result)
        if terminated or truncated:
            self.agents = []
        if self.render_mode == "human":
            self.render()
        return (
            dict(self._observations),
            rewards,
            dict.fromkeys(names, terminated),
            dict.fromkeys(names, truncated),
            infos,
        )

    def state(self) -> Observation:
        """The observations of all outside agents, in the order of `possible_agents`, as one row."""
        return np.concatenate([self._observations[name] for name in self.possible_agents])

    def toll(self, phase: str | None = None) -> dict[str, dict[str, int]]:
        """The toll of the run so far by kind of note: notes, payload_bits, note_bytes; of one phase, or of all."""
        return self._runs.toll(phase)

    def render(self) -> Any:
        """The map after the last slot: an array [height, width, 3] of uint8, or shown in a window (`human`)."""
        return self._screen.show(self._runs.run_folder)

    def close(self) -> None:
        """Stop the run and complete its folder."""
        self._runs.close()
        self._screen.close()

    def _built(self) -> dict[str, Sense]:
        return {
            name: self._make_sense(known) for name, known in zip(self._runs.names, self._runs.welcomes(), strict=True)
        }

    def _indexed(self) -> list[tuple[str, int]]:
        return list(zip(self.possible_agents, self._runs.agents, strict=True))

    def _sensed(self, result: SlotResult) -> None:
        """A sense is called once per act turn, as it may remember."""
        self._observations = {name: self._senses[name](result.turns[agent])[0] for name, agent in self._indexed()}

    def _infos(self, result: SlotResult) -> Infos:
        self.turns = {name: result.turns[agent] for name, agent in self._indexed()}
        return {name: {"slot": turn.slot} for name, turn in self.turns.items()}

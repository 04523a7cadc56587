"""One agent of a run as a Gymnasium environment, while the others follow the run's scheme; or all agents as a team.

    gymnasium.make("airtoll.environments.gymnasium:airtoll-v0", config=..., agent="pair_0")
    gymnasium.make("airtoll.environments.gymnasium:airtoll-team-v0", config=...)

Gymnasium imports the module before the colon, which registers the names.
"""

from pathlib import Path
from typing import Any

import gymnasium

from airtoll.environments.pettingzoo import AirtollEnv, Observation
from airtoll.environments.runs import Config
from airtoll.environments.sense import MakeSense, Measured

ID = "airtoll-v0"
TEAM_ID = "airtoll-team-v0"


class AirtollAgentEnv(gymnasium.Env[Observation, Any]):
    """A parallel environment of one outside agent, without the dictionaries.

    `agent`: None if the world has no other. ValueError names the agents to choose from if it has. `settings` win over
    the configuration, as in `airtoll.run`.
    """

    metadata = AirtollEnv.metadata

    def __init__(
        self,
        config: Config,
        agent: str | None = None,
        *,
        sense: MakeSense = Measured,
        view: str | None = None,
        render_mode: str | None = None,
        folder: str | Path | None = None,
        **settings: Any,
    ) -> None:
        self._parallel = AirtollEnv(
            config,
            settings,
            sense=sense,
            agents=None if agent is None else (agent,),
            view=view,
            render_mode=render_mode,
            folder=folder,
        )
        if len(self._parallel.possible_agents) > 1:
            names = ", ".join(self._parallel.possible_agents)
            raise ValueError(f"a Gymnasium environment is one agent: give agent one of {names}")
        [self._agent] = self._parallel.possible_agents
        self.render_mode = render_mode
        self.observation_space = self._parallel.observation_space(self._agent)
        self.action_space = self._parallel.action_space(self._agent)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """The first act turn of a new episode, as `AirtollEnv.reset` says."""
        super().reset(seed=seed)
        observations, infos = self._parallel.reset(seed, options)
        return observations[self._agent], infos[self._agent]

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one slot, in which the other agents act as the scheme says."""
        agent = self._agent
        observations, rewards, terminated, truncated, infos = self._parallel.step({agent: action})
        return observations[agent], rewards[agent], terminated[agent], truncated[agent], infos[agent]

    def toll(self, phase: str | None = None) -> dict[str, dict[str, int]]:
        """The toll of the run so far by kind of note, of all its nodes; of one phase, or of all."""
        return self._parallel.toll(phase)

    def render(self) -> Any:
        """The map after the last slot, as `AirtollEnv.render` says."""
        return self._parallel.render()

    def close(self) -> None:
        """Stop the run and complete its folder."""
        self._parallel.close()


class AirtollTeamEnv(gymnasium.Env[tuple[Observation, ...], tuple[Any, ...]]):
    """All agents of a run in one Gymnasium environment, as tuples in the agents' order: EPyMARL's interface `gymma`.

    A step returns a list of rewards, one per agent. `settings`: as for `airtoll.parallel_env`.
    """

    metadata = AirtollEnv.metadata

    def __init__(
        self, config: Config, *, sense: MakeSense = Measured, view: str | None = None, **settings: Any
    ) -> None:
        self._parallel = AirtollEnv(config, settings, sense=sense, view=view)
        names = self._parallel.possible_agents
        self.n_agents = len(names)
        self.observation_space = gymnasium.spaces.Tuple([self._parallel.observation_space(name) for name in names])
        self.action_space = gymnasium.spaces.Tuple([self._parallel.action_space(name) for name in names])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[Observation, ...], dict[str, Any]]:
        """The first act turn of a new episode, as `AirtollEnv.reset` says."""
        super().reset(seed=seed)
        observations, _ = self._parallel.reset(seed, options)
        return tuple(observations.values()), {}

    def step(self, action: tuple[Any, ...]) -> Any:
        """Play one slot; the reward is a list, one per agent."""
        chosen = dict(zip(self._parallel.possible_agents, action, strict=True))
        observations, rewards, terminated, truncated, _ = self._parallel.step(chosen)
        return (
            tuple(observations.values()),
            list(rewards.values()),
            any(terminated.values()),
            any(truncated.values()),
            {},
        )

    def close(self) -> None:
        """Stop the run."""
        self._parallel.close()


if ID not in gymnasium.registry:
    gymnasium.register(ID, entry_point=f"{__name__}:AirtollAgentEnv")
    # Gymnasium's checker allows one reward only
    gymnasium.register(TEAM_ID, entry_point=f"{__name__}:AirtollTeamEnv", disable_env_checker=True)

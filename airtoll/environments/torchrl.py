"""A run as a TorchRL environment, batched over its replicas: one step is one slot of all of them.

    env = AirtollTorchEnv("examples/outside.yaml", replicas=64)

Tensors are grouped as TorchRL groups PettingZoo agents: those named pair_0, pair_1, ... are the group `pair`, with
`observation` [E, N, width], `action` [E, N, ...] and `reward` [E, N, 1]; `state` [E, width of all], `done`,
`terminated` and `truncated` [E, 1] are common to all.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from torchrl.data import Bounded, Categorical, Composite, MultiCategorical, TensorSpec, Unbounded
from torchrl.envs import EnvBase

from airtoll.environments.runs import Config, RunSeries
from airtoll.environments.sense import Floats, MakeSense, Measured, Sense
from airtoll.environments.slot_engine import SlotResult
from airtoll.environments.spaces import action_records, action_space
from protocol.messages.episodes import TERMINATED, TRUNCATED, Mask, going_on
from protocol.messages.spaces import Records


class AirtollTorchEnv(EnvBase):
    """All agents of a run, played from outside in all its replicas.

    `sense`, `view`, `folder`, `settings`: as for `airtoll.parallel_env`. ValueError for a group whose agents
    observe or choose differently, and for a reset of replicas in the middle of their episodes while others go on.
    """

    def __init__(
        self,
        config: Config,
        *,
        sense: MakeSense = Measured,
        view: str | None = None,
        device: str = "cpu",
        folder: str | Path | None = None,
        **settings: Any,
    ) -> None:
        self._runs = RunSeries(config, settings, view=view, folder=folder)
        self._make_sense = sense
        self._senses = self._built()
        self.group_map = _groups(self._runs.names)
        self._members = {
            group: [self._runs.names.index(name) for name in names] for group, names in self.group_map.items()
        }
        self._next_seed: int | None = None
        self._begun: Mask = np.zeros(self._runs.replicas, bool)  # replicas whose act turn is the first of an episode
        self._rows: list[Floats] = []  # [E, width] by agent
        super().__init__(device=device, batch_size=torch.Size([self._runs.replicas]))
        self._describe()

    @property
    def run_seed(self) -> int:
        """The seed of the run that is played."""
        return self._runs.seed

    def toll(self, phase: str | None = None) -> dict[str, dict[str, int]]:
        """The toll of the run so far by kind of note: notes, payload_bits, note_bytes; of one phase, or of all."""
        return self._runs.toll(phase)

    def close(self, *, raise_if_closed: bool = True) -> None:
        """Stop the run and complete its folder."""
        self._runs.close()
        super().close(raise_if_closed=raise_if_closed)

    def _describe(self) -> None:
        """The specs, from the spaces of every group's first agent."""
        e = self.batch_size
        observed, chosen, rewards = {}, {}, {}
        for group, members in self._members.items():
            shape = torch.Size([*e, len(members)])
            observed[group] = Composite(observation=self._observation_spec(group), shape=shape)
            chosen[group] = Composite(action=self._action_spec(group), shape=shape)
            rewards[group] = Composite(reward=Unbounded(torch.Size([*shape, 1])), shape=shape)
        width = sum(len(sense.low) for sense in self._senses)
        self.observation_spec = Composite(observed, state=Unbounded(torch.Size([*e, width])), shape=e)
        self.action_spec = Composite(chosen, shape=e)
        self.reward_spec = Composite(rewards, shape=e)
        flag = Categorical(2, torch.Size([*e, 1]), dtype=torch.bool)
        self.done_spec = Composite(done=flag, terminated=flag.clone(), truncated=flag.clone(), shape=e)

    def _observation_spec(self, group: str) -> TensorSpec:
        members = self._members[group]
        widths = {len(self._senses[agent].low) for agent in members}
        if len(widths) > 1:
            raise ValueError(
                f"the agents of group {group} observe {widths} numbers: give a sense that makes them alike"
            )
        return Unbounded(torch.Size([*self.batch_size, len(members), widths.pop()]))

    def _action_spec(self, group: str) -> TensorSpec:
        members = self._members[group]
        space = action_space(self._runs.actions[members[0]])
        if any(action_space(self._runs.actions[agent]) != space for agent in members):
            raise ValueError(f"the agents of group {group} have different actions: play them by airtoll.parallel_env")
        shape = [*self.batch_size, len(members)]
        match space:
            case gymnasium.spaces.Discrete():
                return Categorical(int(space.n), torch.Size(shape))
            case gymnasium.spaces.MultiDiscrete():
                return MultiCategorical(space.nvec.tolist(), torch.Size([*shape, len(space.nvec)]))
            case gymnasium.spaces.Box():
                full = torch.Size([*shape, *space.shape])
                low, high = (torch.as_tensor(bound).expand(full) for bound in (space.low, space.high))
                return Bounded(low, high, full)
            case _:
                raise ValueError("actions of integers and floats have no TorchRL spec: use airtoll.parallel_env")

    def _reset(self, tensordict: TensorDictBase | None, **_: Any) -> TensorDictBase:
        """The first act turn of new episodes, in the replicas that `_reset` names, or in all.

        The world has begun the episode of a replica in the slot after its last: the last observation is the first of
        the new one. For all replicas at once `RunSeries.reset` says which run it is.
        """
        chosen = None if tensordict is None else tensordict.get("_reset", None)
        if chosen is not None and not bool(chosen.all()):
            if not self._begun[chosen.reshape(-1).numpy()].all():
                raise ValueError("some replicas are reset in the middle of their episodes: reset all of them, or none")
            return self._observed()
        seed, self._next_seed = self._next_seed, None
        if self._runs.begins_run(seed):
            result = self._runs.reset(seed)
            self._senses = self._built()
            self._sense(result)
            self._begun = np.ones(self._runs.replicas, bool)
        return self._observed()

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Play one slot in all replicas."""
        result = self._runs.act(self._records(tensordict))
        self._sense(result)
        assert result.outcome is not None
        ended = going_on(self._runs.replicas) if result.outcome.ended is None else result.outcome.ended
        if result.over:
            ended = np.where(ended > 0, ended, np.uint8(TRUNCATED))
        self._begun = ended > 0
        step = self._observed()
        rewards = torch.as_tensor(result.outcome.rewards.T, dtype=torch.float32)  # [E, agents]
        for group, members in self._members.items():
            step[group]["reward"] = rewards[:, members, None]
        flags = {"done": ended > 0, "terminated": ended == TERMINATED, "truncated": ended == TRUNCATED}
        return step.update({name: torch.as_tensor(flag[:, None]) for name, flag in flags.items()})

    def _set_seed(self, seed: int | None) -> None:
        """The next reset begins a run with this seed."""
        self._next_seed = seed

    def _records(self, tensordict: TensorDictBase) -> dict[int, Records]:
        """Every agent's actions as records [E], by index."""
        chosen: dict[int, Records] = {}
        for group, members in self._members.items():
            actions = tensordict.get((group, "action")).numpy()  # [E, N, ...]
            for nth, agent in enumerate(members):
                chosen[agent] = action_records(self._runs.actions[agent], actions[:, nth], self._runs.replicas)
        return chosen

    def _sense(self, result: SlotResult) -> None:
        """A sense is called once per act turn, as it may remember."""
        self._rows = [sense(result.turns[agent]) for agent, sense in enumerate(self._senses)]

    def _observed(self) -> TensorDict:
        observed = {
            group: TensorDict(
                {"observation": torch.as_tensor(np.stack([self._rows[agent] for agent in members], axis=1))},
                batch_size=[*self.batch_size, len(members)],
            )
            for group, members in self._members.items()
        }
        state = torch.as_tensor(np.concatenate(self._rows, axis=1))
        return TensorDict({**observed, "state": state}, batch_size=self.batch_size)

    def _built(self) -> list[Sense]:
        return [self._make_sense(known) for known in self._runs.welcomes()]


def _groups(names: Sequence[str]) -> dict[str, list[str]]:
    """Names by what stands before their number."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rpartition("_")[0] or name, []).append(name)
    return groups

"""Independent deep Q-learning: every pair for itself, from its own state, choice and reward.

    y = r + gamma max_a' Q'(s', a')         0 ahead where the episode terminated
    L(theta) = E Huber(Q(s, a) - y)         quadratic within 1, as Mnih et al., Nature 518, 2015 clip the error
    theta' <- tau theta + (1 - tau) theta'

li2020 names DQN as a benchmark and describes it no further: all but the discount and tau is ours. Neither double nor
duelling. Exploration is the node's. N = 1 learns on a node; more are stacked, and know nothing of each other.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from protocol.determinism.rng import CounterRng
from schemes.parts.nn import stacked
from schemes.parts.nn.adam import Adam
from schemes.parts.nn.determinism import settle
from schemes.parts.nn.stacked import StackedMlp
from schemes.parts.replay import Floats, JointTrajectory, Minibatch, Replay


@dataclass(frozen=True)
class DqnSettings:
    """Hidden layers are those of li2020's actors."""

    inputs: int  # S, of one agent's state
    n_actions: int  # A
    agents: int = 1
    hidden: tuple[int, ...] = (512, 128)
    rate: float = 1e-3
    discount: float = 0.95
    tau: float = 0.01
    replay_capacity: int = 1_000_000
    centre_rewards: bool = True  # ours
    batch: int = 64


class DqnLearner:
    """Absorbs what its agents went through, learns, gives the weights they act with.

    CounterRng is a position, keyed by `node` as well, so that the learners of several nodes differ: update u draws its
    minibatch at u, agent i its first weights at node + i.
    """

    def __init__(self, settings: DqnSettings, *, seed: int, node: int = 0) -> None:
        settle()
        self.settings, self.updates = settings, 0
        rngs = [CounterRng(seed, "learner", node + i).at(0, 0) for i in range(settings.agents)]
        self.net = StackedMlp.draw(rngs, (settings.inputs, *settings.hidden, settings.n_actions))
        self.target = self.net.copy()
        self._adam = Adam(self.net.tensors, settings.rate)
        self._chance = CounterRng(seed, "updates", node)
        self.replay = Replay(
            settings.replay_capacity,
            agents=settings.agents,
            inputs=settings.inputs,
            n_actions=settings.n_actions,
            centred=settings.centre_rewards,
        )

    def add(self, trajectory: JointTrajectory) -> None:
        """Remember what happened to the agents."""
        self.replay.add(trajectory)

    def learn(self, updates: int) -> dict[str, float]:
        """That many updates, or none before the replay holds a minibatch; means over them and the agents."""
        if updates < 1 or len(self.replay) < self.settings.batch:
            return {"updates": 0.0}
        told = [self.update(self._minibatch()) for _ in range(updates)]
        means = torch.stack(told).mean(0).tolist()
        return {"updates": float(updates), **dict(zip(("loss", "mean_q"), means, strict=True))}

    def update(self, minibatch: Minibatch) -> Tensor:
        """One step; returns loss and mean Q."""
        states = _by_agent(minibatch.states)
        chosen = torch.tensor(minibatch.actions).T[:, :, None]  # [N, B, 1]
        hidden, q = self.net.forward(states)
        error = q.gather(2, chosen) - self._targets(minibatch)
        upstream = torch.zeros_like(q).scatter_(2, chosen, error.clamp(-1, 1) / self.settings.batch)
        self.net.gradients(states, hidden, upstream)
        self._adam.step()
        stacked.follow(self.target.tensors, self.net.tensors, self.settings.tau)
        self.updates += 1
        loss = torch.nn.functional.huber_loss(error, torch.zeros_like(error))
        return torch.stack([loss, q.mean()])

    def weights(self, node: int = 0) -> dict[str, Floats]:
        """The online network's of one agent; for `numpy_nets.Mlp`."""
        return self.net.weights(node)

    def save(self) -> dict[str, Any]:
        """All that `learn` depends on."""
        return {
            "updates": self.updates,
            "net": stacked.snapshot(self.net.tensors),
            "target": stacked.snapshot(self.target.tensors),
            "adam": self._adam.snapshot(),
            "replay": self.replay.snapshot(),
        }

    def load(self, data: dict[str, Any]) -> None:
        """The inverse of `save`, for a learner of the same settings, seed and node."""
        self.updates = data["updates"]
        stacked.restore(self.net.tensors, data["net"])
        stacked.restore(self.target.tensors, data["target"])
        self._adam.restore(data["adam"])
        self.replay.restore(data["replay"])

    def _minibatch(self) -> Minibatch:
        return self.replay.sample(self._chance.at(0, self.updates), self.settings.batch)

    def _targets(self, minibatch: Minibatch) -> Tensor:
        """y [N, B, 1]"""
        best = self.target(_by_agent(minibatch.next_states)).amax(dim=2)  # [N, B]
        ahead = self.settings.discount * torch.tensor(minibatch.not_terminal) * best
        return (torch.tensor(minibatch.rewards).T + ahead)[:, :, None]


def _by_agent(states: Floats) -> Tensor:
    """[B, N, S] to [N, B, S], in memory of torch's own."""
    return torch.tensor(states).transpose(0, 1).contiguous()

"""Independent deep Q-learning: each agent learns from its own states, choices and rewards.

    y = r + gamma max_a' Q'(s', a')         without the second term where the episode terminated
    L(theta) = E Huber(Q(s, a) - y)         quadratic within 1, the error clipping of Mnih et al., Nature 518, 2015
    theta' <- tau theta + (1 - tau) theta'

li2020 names DQN as a benchmark and describes it no further: all but the discount and tau is ours. Neither double nor
duelling. Exploration is the node's.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from protocol.determinism.rng import CounterRng
from schemes.li2020.dqn import Dqn
from schemes.parts.learner_start import Weights
from schemes.parts.nn import stacked
from schemes.parts.nn.adam import Adam
from schemes.parts.nn.determinism import make_deterministic
from schemes.parts.nn.stacked import StackedMlp
from schemes.parts.nn.updates import run_updates
from schemes.parts.replay import Floats, Minibatch, Replay, Transitions


class DqnLearner:
    """One agent's Q-network, target network and replay. `inputs`: size S of a state; `n_actions`: A.

    Random numbers depend on the seed and `node`, so that the learners of several nodes differ: first weights are drawn
    at (seed, node), the minibatch of update u at (seed, node, u).
    """

    def __init__(self, params: Dqn, *, inputs: int, n_actions: int, seed: int, node: int = 0) -> None:
        make_deterministic()
        self.params, self.updates = params, 0
        rng = CounterRng(seed, "learner", node).at(0)
        self.net = StackedMlp.draw([rng], (inputs, *params.hidden, n_actions))
        self.target = self.net.copy()
        self._adam = Adam(self.net.tensors, params.rate)
        self._rng = CounterRng(seed, "updates", node)
        self.replay = Replay(
            params.replay_capacity, agents=1, inputs=inputs, n_actions=n_actions, centred=params.centre_rewards
        )

    def add(self, transitions: Transitions) -> None:
        """Store the agent's transitions, N = 1."""
        self.replay.add(transitions)

    def learn(self, updates: int) -> dict[str, float]:
        """That many updates and their mean statistics; nothing and {} before the replay holds a minibatch."""

        def update() -> Tensor:
            return self.update(self._minibatch())

        names = ("loss", "mean_q")
        return run_updates(update, updates, replay=self.replay, batch=self.params.batch, statistics=names)

    def update(self, minibatch: Minibatch) -> Tensor:
        """One step on a minibatch of B transitions; returns [loss, mean Q]."""
        states = stacked.by_agent(minibatch.states)
        chosen = torch.tensor(minibatch.actions).T[:, :, None]  # [1, B, 1]
        hidden, q = self.net.forward(states)
        error = q.gather(2, chosen) - self._targets(minibatch)
        dq = torch.zeros_like(q).scatter_(2, chosen, error.clamp(-1, 1) / self.params.batch)  # dL/dQ [1, B, A]
        self.net.backward(states, hidden, dq)
        self._adam.step()
        stacked.soft_update(self.target.tensors, self.net.tensors, self.params.tau)
        self.updates += 1
        loss = torch.nn.functional.huber_loss(error, torch.zeros_like(error))
        return torch.stack([loss, q.mean()])

    def weights(self, _node: int = 0) -> dict[str, Floats]:
        """The online network, for `numpy_nets.Mlp`."""
        return self.net.weights(0)

    def start(self, weights: Sequence[Weights]) -> None:
        """Network and target begin with the agent's weights. ValueError for other shapes."""
        for net in (self.net, self.target):
            net.load(0, weights[0])

    def save(self) -> dict[str, Any]:
        """All state that `learn` depends on."""
        return {
            "updates": self.updates,
            "net": stacked.snapshot(self.net.tensors),
            "target": stacked.snapshot(self.target.tensors),
            "adam": self._adam.snapshot(),
            "replay": self.replay.snapshot(),
        }

    def load(self, data: dict[str, Any]) -> None:
        """The inverse of `save`, for a learner of the same parameters, seed and node."""
        self.updates = data["updates"]
        stacked.restore(self.net.tensors, data["net"])
        stacked.restore(self.target.tensors, data["target"])
        self._adam.restore(data["adam"])
        self.replay.restore(data["replay"])

    def _minibatch(self) -> Minibatch:
        return self.replay.sample(self._rng.at(self.updates), self.params.batch)

    def _targets(self, minibatch: Minibatch) -> Tensor:
        """y [1, B, 1]"""
        best = self.target(stacked.by_agent(minibatch.next_states)).amax(dim=2)  # [1, B]
        ahead = self.params.discount * torch.tensor(minibatch.not_terminal) * best
        return (torch.tensor(minibatch.rewards).T + ahead)[:, :, None]

"""Deep Q-learning of one agent.

y = r + gamma Q'(s', argmax_a Q(s', a))     double (hasselt2016); plain: r + gamma max_a Q'(s', a)
L(theta) = E Huber(Q(s, a) - y)             without the second term of y where the episode terminated
theta' <- tau theta + (1 - tau) theta'      every `target_every` updates; tau = 1 copies (mnih2015)
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from protocol.determinism.rng import CounterRng
from schemes.parts.learner_settings import DqnSettings
from schemes.parts.nn.determinism import make_deterministic
from schemes.parts.nn.gradients import descend, move_target
from schemes.parts.nn.modules import Net
from schemes.parts.nn.store import (
    make_optimiser,
    restore_module,
    restore_optimiser,
    snapshot_module,
    snapshot_optimiser,
)
from schemes.parts.nn.updates import run_updates
from schemes.parts.numpy_nets import Architecture, Weights, draw
from schemes.parts.replay import Floats, Minibatch, Replay, Transitions


def q_targets(
    rewards: Tensor, not_terminal: Tensor, next_target_q: Tensor, next_q: Tensor | None, *, discount: float
) -> Tensor:
    """y [...], of rewards [...] and next values [..., A]. `next_q`: the online network's, for double Q-learning."""
    chosen = (next_target_q if next_q is None else next_q).argmax(-1, keepdim=True)
    return rewards + discount * not_terminal * next_target_q.gather(-1, chosen)[..., 0]


def q_loss(q: Tensor, actions: Tensor, targets: Tensor, *, huber_threshold: float) -> Tensor:
    """L, the mean over all entries of q [..., A], actions [...] and targets [...]."""
    error = q.gather(-1, actions[..., None])[..., 0] - targets
    if not huber_threshold:
        return 0.5 * error.square().mean()
    return functional.huber_loss(error, torch.zeros_like(error), delta=huber_threshold)


class DeepQLearner:
    """A Q-network, its target and a replay of one agent. `architecture`: feed-forward, an output per action.

    First weights are drawn at (seed, node), the minibatch of update u at (seed, node, u).
    """

    learns_memory = False

    def __init__(self, settings: DqnSettings, architecture: Architecture, *, seed: int, node: int = 0) -> None:
        make_deterministic()
        if architecture.state_size and not self.learns_memory:
            raise ValueError(
                "single transitions teach no memory: RecurrentQLearner is for architectures with Lstm or Gru"
            )
        self.settings, self.updates = settings, 0
        self.net = Net(architecture, draw(architecture, CounterRng(seed, "learner", node).at(0)))
        self.target = deepcopy(self.net)
        self._optimiser = make_optimiser(settings.optimiser, self.net.parameters(), settings.rate)
        self._rng = CounterRng(seed, "updates", node)
        self.replay = Replay(
            settings.replay_capacity,
            agents=1,
            inputs=architecture.inputs,
            n_actions=architecture.outputs,
            centred=settings.centre_rewards,
        )

    def add(self, transitions: Transitions) -> None:
        """Store the agent's transitions, N = 1."""
        self.replay.add(transitions)

    def learn(self, updates: int) -> dict[str, float]:
        """That many updates and their mean statistics; nothing and {} before the replay holds a minibatch."""
        names = ("loss", "mean_q")
        return run_updates(self._update, updates, replay=self.replay, batch=self.settings.batch, statistics=names)

    def weights(self, _node: int = 0) -> dict[str, Floats]:
        """The online network, for `numpy_nets.Network`."""
        return self.net.arrays()

    def start(self, weights: Sequence[Weights]) -> None:
        """Network and target begin with the agent's weights. ValueError for other shapes."""
        for net in (self.net, self.target):
            net.set_arrays(weights[0])

    def save(self) -> dict[str, Any]:
        """All state that `learn` depends on."""
        return {
            "updates": self.updates,
            "net": snapshot_module(self.net),
            "target": snapshot_module(self.target),
            "optimiser": snapshot_optimiser(self._optimiser),
            "replay": self.replay.snapshot(),
        }

    def load(self, data: dict[str, Any]) -> None:
        """The inverse of `save`, for a learner of the same settings, architecture, seed and node."""
        self.updates = data["updates"]
        restore_module(self.net, data["net"])
        restore_module(self.target, data["target"])
        restore_optimiser(self._optimiser, data["optimiser"])
        self.replay.restore(data["replay"])

    def loss(self, minibatch: Minibatch) -> tuple[Tensor, Tensor]:
        """The loss of a minibatch, and Q [B, A]."""
        settings = self.settings
        with torch.no_grad():
            following = torch.tensor(minibatch.next_states[:, 0])
            y = q_targets(
                torch.tensor(minibatch.rewards[:, 0]),
                torch.tensor(minibatch.not_terminal),
                self.target(following),
                self.net(following) if settings.double else None,
                discount=settings.discount,
            )
        q = self.net(torch.tensor(minibatch.states[:, 0]))
        actions = torch.tensor(minibatch.actions[:, 0])
        return q_loss(q, actions, y, huber_threshold=settings.huber_threshold), q

    def _update(self) -> Tensor:
        """One step; returns [loss, mean Q]."""
        loss, q = self._draw_loss(self._rng.at(self.updates))
        descend(self._optimiser, loss, cap=self.settings.gradient_cap)
        self.updates += 1
        if self.updates % self.settings.target_every == 0:
            move_target(self.target, self.net, self.settings.tau)
        return torch.stack([loss, q.mean()]).detach()

    def _draw_loss(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """The loss of what an update learns from, and its Q [..., A]."""
        return self.loss(self.replay.sample(rng, self.settings.batch))

"""Twin delayed deterministic policy gradient of N agents: fujimoto2018; its MADDPG and TD3-MIX forms.

    a'_i = clip(mu'_i(s'_i) + clip(e, -c, c), -1, 1),  e ~ N(0, sigma^2)                    wong2021 alg. 1, line 11
    y = r + gamma min_k Q'_k(s', a')                                                        line 12
    L_k = E (Q_k(s, a) - y)^2            a as stored                                        line 13
    mu: ascend E Q_1(s, mu(s))           every `policy_every` updates, targets too          lines 14-16

Q_k is one of three, k = 1, 2:
- each agent's own, from the states and actions of the agents in `critic_inputs[i]`, itself first: itself alone is
  independent DDPG or TD3, all agents is MADDPG (lowe2017), where only the own action is replaced by mu's;
- with `mixing_units`, Q_tot: QMIX over the agents' own values, from the joint state; r is the mean of the rewards, and
  mu ascends Q_tot, where line 15 prints the agents' values.

Line 13 prints no square and the target actions; the square and the stored actions are meant.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from protocol.determinism.rng import CounterRng
from schemes.parts.critic_inputs import CriticInputs, check_critic_inputs
from schemes.parts.learner_settings import Td3Settings
from schemes.parts.nn.determinism import make_deterministic
from schemes.parts.nn.gradients import descend, move_target
from schemes.parts.nn.mixing import QMix
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


class PerAgent(nn.Module):
    """A network per agent, or one for all. `inputs` [B, N, width] to [B, N, outputs]."""

    def __init__(self, architecture: Architecture, agents: int, shared: bool, rng: np.random.Generator) -> None:
        super().__init__()
        self.nets = nn.ModuleList([Net(architecture, draw(architecture, rng)) for _ in range(1 if shared else agents)])

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        if len(self.nets) == 1:
            y: Tensor = self.of(0)(x)
            return y
        return torch.stack([net(each) for net, each in zip(self.nets, x.unbind(1), strict=True)], 1)

    def of(self, agent: int) -> Net:
        """One agent's network."""
        net = self.nets[agent % len(self.nets)]
        assert isinstance(net, Net)
        return net


class Critic(nn.Module):
    """Q_k of all agents, mixed or not. `known` [N, M]: the agents whose states and actions each critic sees."""

    def __init__(
        self,
        architecture: Architecture,
        known: Tensor,
        *,
        settings: Td3Settings,
        joint_inputs: int,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.known = known
        self.values = PerAgent(architecture, len(known), settings.shared, rng)
        self.mixing = QMix(joint_inputs, len(known), settings.mixing_units, rng) if settings.mixing_units else None

    def forward(self, states: Tensor, actions: Tensor, own_actions: Tensor | None = None) -> Tensor:
        """states [B, N, S] and actions [B, N, A] to [B, N], mixed to [B, 1].

        `own_actions`: what takes the place of each critic's own agent's actions, those of the others being `actions`.
        """
        theirs = actions[:, self.known]  # [B, N, M, A]
        if own_actions is not None:
            theirs = torch.cat([own_actions[:, :, None], theirs[:, :, 1:]], 2)
        inputs = torch.cat([states[:, self.known].flatten(2), theirs.flatten(2)], 2)
        q: Tensor = self.values(inputs)[..., 0]
        return q if self.mixing is None else self.mixing(q, states.flatten(1))[:, None]


class Td3Learner:
    """Policies of N agents with actions in [-1, 1]^A, their twin critics and a joint replay.

    `policy`: from a state to A outputs, the last layer a tanh. `value`: from the M states, then the M actions that a
    critic knows, to one output. First weights are drawn at (seed, node), minibatch and noise of update u at (seed,
    node, u).
    """

    def __init__(
        self,
        settings: Td3Settings,
        *,
        policy: Architecture,
        value: Architecture,
        critic_inputs: CriticInputs,
        seed: int,
        node: int = 0,
    ) -> None:
        make_deterministic()
        _check(policy, value, critic_inputs)
        self.settings, self.updates = settings, 0
        agents, rng = len(critic_inputs), CounterRng(seed, "learner", node).at(0)
        self.policies = PerAgent(policy, agents, settings.shared, rng)
        self.critics = nn.ModuleList(
            Critic(value, torch.tensor(critic_inputs), settings=settings, joint_inputs=agents * policy.inputs, rng=rng)
            for _ in range(2)
        )
        self.target_policies, self.target_critics = deepcopy(self.policies), deepcopy(self.critics)
        self._policy_optimiser = make_optimiser("adam", self.policies.parameters(), settings.policy_rate)
        self._value_optimiser = make_optimiser("adam", self.critics.parameters(), settings.value_rate)
        self._rng = CounterRng(seed, "updates", node)
        self.replay = Replay(
            settings.replay_capacity,
            agents=agents,
            inputs=policy.inputs,
            action_size=policy.outputs,
            centred=settings.centre_rewards,
        )

    def add(self, transitions: Transitions) -> None:
        """Store transitions of all agents, actions [T, E, N, A]."""
        self.replay.add(transitions)

    def learn(self, updates: int) -> dict[str, float]:
        """That many updates and their mean statistics; nothing and {} before the replay holds a minibatch."""
        names = ("value_loss", "mean_q")
        return run_updates(self._update, updates, replay=self.replay, batch=self.settings.batch, statistics=names)

    def weights(self, node: int) -> dict[str, Floats]:
        """One agent's policy, for `numpy_nets.Network`."""
        return self.policies.of(node).arrays()

    def start(self, weights: Sequence[Weights]) -> None:
        """Policies and target policies begin with these weights, critics as they are drawn. ValueError for other
        shapes."""
        for agent, own in enumerate(weights):
            for policies in (self.policies, self.target_policies):
                policies.of(agent).set_arrays(own)

    def save(self) -> dict[str, Any]:
        """All state that `learn` depends on."""
        return {
            "updates": self.updates,
            "modules": {name: snapshot_module(module) for name, module in self._modules().items()},
            "policy_optimiser": snapshot_optimiser(self._policy_optimiser),
            "value_optimiser": snapshot_optimiser(self._value_optimiser),
            "replay": self.replay.snapshot(),
        }

    def load(self, data: dict[str, Any]) -> None:
        """The inverse of `save`, for a learner of the same settings, architectures, seed and node."""
        self.updates = data["updates"]
        for name, module in self._modules().items():
            restore_module(module, data["modules"][name])
        restore_optimiser(self._policy_optimiser, data["policy_optimiser"])
        restore_optimiser(self._value_optimiser, data["value_optimiser"])
        self.replay.restore(data["replay"])

    def value_loss(self, minibatch: Minibatch, noise: Tensor) -> tuple[Tensor, Tensor]:
        """L_1 + L_2, and Q_1. `noise`: standard normal [B, N, A]."""
        states, actions = torch.tensor(minibatch.states), torch.tensor(minibatch.actions)
        y = self._targets(minibatch, noise)
        q = torch.stack([critic(states, actions) for critic in self.critics])  # [2, B, N or 1]
        return (q - y).square().mean(dim=(1, 2)).sum(), q[0]

    def policy_loss(self, minibatch: Minibatch) -> Tensor:
        """- E Q_1(s, mu(s))."""
        states, actions = torch.tensor(minibatch.states), torch.tensor(minibatch.actions)
        q: Tensor = self.critics[0](states, actions, self.policies(states))
        return -q.mean()

    @torch.no_grad()
    def _targets(self, minibatch: Minibatch, noise: Tensor) -> Tensor:
        """y [B, N], or [B, 1] of the team."""
        settings, states = self.settings, torch.tensor(minibatch.next_states)
        smoothing = (settings.target_noise * noise).clamp(-settings.noise_clip, settings.noise_clip)
        actions = (self.target_policies(states) + smoothing).clamp(-1, 1)
        ahead = torch.stack([critic(states, actions) for critic in self.target_critics]).amin(0)
        rewards = torch.tensor(minibatch.rewards)
        if settings.mixing_units:
            rewards = rewards.mean(1, keepdim=True)
        return rewards + settings.discount * torch.tensor(minibatch.not_terminal)[:, None] * ahead

    def _update(self) -> Tensor:
        """One step of the critics, and of policies and targets when due; returns [loss, mean Q]."""
        settings, rng = self.settings, self._rng.at(self.updates)
        minibatch = self.replay.sample(rng, settings.batch)
        loss, q = self.value_loss(minibatch, torch.tensor(rng.standard_normal(minibatch.actions.shape, np.float32)))
        descend(self._value_optimiser, loss)
        self.updates += 1
        if self.updates % settings.policy_every == 0:
            descend(self._policy_optimiser, self.policy_loss(minibatch))
            move_target(self.target_policies, self.policies, settings.tau)
            move_target(self.target_critics, self.critics, settings.tau)
        return torch.stack([loss, q.mean()]).detach()

    def _modules(self) -> dict[str, nn.Module]:
        return {
            "policies": self.policies,
            "critics": self.critics,
            "target_policies": self.target_policies,
            "target_critics": self.target_critics,
        }


def _check(policy: Architecture, value: Architecture, critic_inputs: CriticInputs) -> None:
    check_critic_inputs(critic_inputs)
    inputs = len(critic_inputs[0]) * (policy.inputs + policy.outputs)
    if (value.inputs, value.outputs) != (inputs, 1):
        raise ValueError(f"critics from {value.inputs} inputs to {value.outputs} outputs: expected {inputs} and 1")
    if policy.state_size + value.state_size:
        raise ValueError("transitions of a replay are no sequences: give architectures without Lstm and Gru")

"""MAAC and NAAC (li2020, alg. 1 and 3) in plain PyTorch: one loop over agents, autograd, the equations at the lines.

This file is to be read. Runs use `learner_maac`, which does the same with stacked networks and hand-written gradients;
tests/schemes/li2020/test_learner_maac.py compares the two over updates of MAAC and NAAC, from the same seed.

Agent i has an actor mu_i(s_i) and a critic Q_i(s, a), and a slow copy (target) of both. The critic knows the states and
actions of the agents `critic_inputs[i]`: all of them in MAAC, i and its nearest ones in NAAC (eq. 20, 21).

Deviations from the paper, of the mathematics alone:
1. Actions are categorical, so that no gradient passes through a choice. `expected`: the actor is the policy pi_i =
   softmax(logits), and its objective the mean of Q_i over all own actions, computed exactly: sum_k pi_i(k | s_i)
   Q_i(s, k, the others' a). `gumbel`: mu_i is softmax((logits + Gumbel noise) / temperature), passed on as the one-hot
   of its largest entry (straight-through), as in the MADDPG reference code. In targets mu' is the plain argmax, as
   executed.
2. A penalty holds down the squares of the logits, as in the MADDPG reference code, but a larger one: no gradient passes
   through a saturated softmax.
3. Critic and actor step from the same weights: both gradients are taken before either moves; alg. 1 steps the critic
   first. The stacked learner then gets the actor's pass through the critic from the critic's own pass.
4. Adam, batch size, temperature and first weights are ours; the paper does not give them.
5. The replay subtracts each agent's mean reward so far: with a discount of 0.95 the common part of the values is 20
   times a reward, and a critic that has not reached it yet does not separate actions. `mean_q` is of centred rewards.
6. A row that has not reached the trainer is 0 wherever a critic knows it, and its own agent does not learn from it:
   the means of the losses are over the agent's valid rows.
7. With the own action its products with the own state join the critic: entry a of the action times input `gates[g][a]`
   of s_i, the measurement of a's RB. How good an RB is for the pair is a product of its gain and of being chosen; the
   critic of fig. 4 (no gates) has to approximate all K products with the units of its join, and ranks actions poorly.
   Nothing enters that it does not know.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from protocol.determinism.rng import CounterRng
from schemes.li2020.maac import Maac
from schemes.parts.critic_inputs import CriticInputs, Gates, check_critic_inputs, check_gates
from schemes.parts.nn.determinism import make_deterministic
from schemes.parts.numpy_nets import draw_mlp
from schemes.parts.replay import Minibatch, Replay, Transitions


class MaacReferenceLearner:
    """`inputs`: size S of an agent's state; `n_actions`: A; `critic_inputs`: per critic the agents it knows; `gates`:
    deviation 7, () for none."""

    def __init__(
        self, params: Maac, *, inputs: int, n_actions: int, critic_inputs: CriticInputs, gates: Gates, seed: int
    ) -> None:
        make_deterministic()
        check_critic_inputs(critic_inputs)
        check_gates(gates, inputs=inputs, n_actions=n_actions)
        self.params, self.n_actions, self.critic_inputs, self.updates = params, n_actions, critic_inputs, 0
        known = len(critic_inputs[0])
        rngs = [CounterRng(seed, "learner", i).at(0) for i in range(len(critic_inputs))]
        self.agents = [Agent(params, rng, known=known, inputs=inputs, n_actions=n_actions, gates=gates) for rng in rngs]
        self.rng = CounterRng(seed, "updates")
        self.replay = Replay(
            params.replay_capacity,
            agents=len(critic_inputs),
            inputs=inputs,
            n_actions=n_actions,
            drawn="any",  # deviation 6
            centred=params.centre_rewards,  # deviation 5
        )

    def add(self, transitions: Transitions) -> None:
        """Store transitions of all agents in the replay D."""
        self.replay.add(transitions)

    def learn(self, updates: int) -> dict[str, float]:
        """That many updates and their mean statistics; nothing and {} before the replay holds a minibatch."""
        if updates < 1 or len(self.replay) < self.params.batch:
            return {}
        stats = []
        for _ in range(updates):
            rng = self.rng.at(self.updates)
            stats.append(self.update(self.replay.sample(rng, self.params.batch), rng))
        return {key: float(np.mean([each[key] for each in stats])) for key in stats[0]}

    def update(self, minibatch: Minibatch, rng: np.random.Generator) -> dict[str, float]:
        """One update of every agent, alg. 1 from line 10 on. `rng` draws Gumbel noise."""
        n = range(len(self.agents))
        noise = self.noise(rng)
        valid = torch.tensor(minibatch.valid)  # [B, N]
        here = [valid[:, j : j + 1].float() for j in n]  # N of [B, 1], 0 where the row is missing, deviation 6
        states = [here[j] * torch.tensor(minibatch.states[:, j]) for j in n]  # N of [B, S]
        actions = [here[j] * self.one_hot(torch.tensor(minibatch.actions[:, j])) for j in n]  # N of [B, A]
        next_states = [here[j] * torch.tensor(minibatch.next_states[:, j]) for j in n]
        with torch.no_grad():
            next_logits = [self.agents[j].target_actor(next_states[j]) for j in n]
            next_actions = [here[j] * self.one_hot(next_logits[j].argmax(dim=1)) for j in n]  # mu'(s'), deviation 1
        stats = []
        for i, agent in enumerate(self.agents):
            known = self.critic_inputs[i]
            mean = partial(mean_over, valid[:, i])

            # y_i = r_i + gamma Q'_i(s', mu'(s')), eq. (15); without the second term where the episode terminated
            with torch.no_grad():
                ahead = agent.target_critic([next_states[j] for j in known], [next_actions[j] for j in known])
            not_terminal = torch.tensor(minibatch.not_terminal)
            y = torch.tensor(minibatch.rewards[:, i]) + self.params.discount * not_terminal * ahead

            # L(theta_i) = E (Q_i(s, a) - y_i)^2, eq. (14)
            q = agent.critic([states[j] for j in known], [actions[j] for j in known])
            critic_loss = mean((q - y).square())

            # J_i = E Q_i(s, a) at a_i = mu_i(s_i), the others' a from D, eq. (17)
            logits = agent.actor(states[i])
            q_with = partial(q_with_own_action, agent.critic, [states[j] for j in known], [actions[j] for j in known])
            q_own = self.expected_q(logits, q_with) if noise is None else self.sampled_q(logits, noise[i], q_with)
            actor_loss = self.params.logit_penalty * mean(logits.square().mean(dim=1)) - mean(q_own)  # deviation 2

            # deviation 3: both gradients before either step; the actor's loss must not reach the critic's weights
            critic_gradients = torch.autograd.grad(critic_loss, list(agent.critic.parameters()))
            actor_gradients = torch.autograd.grad(actor_loss, list(agent.actor.parameters()))
            step(agent.critic_adam, critic_gradients)
            step(agent.actor_adam, actor_gradients)

            # theta' <- tau theta + (1 - tau) theta', eq. (19)
            soft_update(agent.target_critic, agent.critic, self.params.tau)
            soft_update(agent.target_actor, agent.actor, self.params.tau)

            log_p = torch.log_softmax(logits, dim=1)
            entropy = mean(-(log_p.exp() * log_p).sum(dim=1))
            stats.append([critic_loss.item(), mean(q).item(), actor_loss.item(), entropy.item()])
        self.updates += 1
        means = np.mean(stats, axis=0).tolist()
        return dict(zip(("critic_loss", "mean_q", "actor_loss", "entropy"), means, strict=True))

    def weights(self, node: int) -> dict[str, npt.NDArray[np.float32]]:
        """The target actor of one agent, which alg. 2 downloads; for `numpy_nets.Mlp`."""
        return {name: tensor.numpy().copy() for name, tensor in self.agents[node].target_actor.state_dict().items()}

    def one_hot(self, choice: Tensor) -> Tensor:
        """[B] to [B, A]"""
        return functional.one_hot(choice, self.n_actions).float()

    def noise(self, rng: np.random.Generator) -> Tensor | None:
        """Gumbel [N, B, A], if it is used."""
        if self.params.actor_gradient == "expected":
            return None
        return torch.tensor(rng.gumbel(size=(len(self.agents), self.params.batch, self.n_actions))).float()

    def expected_q(self, logits: Tensor, q_with: Callable[[Tensor], Tensor]) -> Tensor:
        """Deviation 1, `expected`: sum_k pi(k | s_i) Q(s, k, the others' a) [B], with Q as numbers."""
        with torch.no_grad():
            each = [q_with(self.one_hot(torch.full((len(logits),), k))) for k in range(self.n_actions)]
        return (torch.softmax(logits, dim=1) * torch.stack(each, dim=1)).sum(dim=1)

    def sampled_q(self, logits: Tensor, noise: Tensor, q_with: Callable[[Tensor], Tensor]) -> Tensor:
        """Deviation 1, `gumbel`: Q [B] at a drawn choice, straight-through."""
        soft = torch.softmax((logits + noise) / self.params.gumbel_temperature, dim=1)
        return q_with(self.one_hot(soft.argmax(dim=1)) - soft.detach() + soft)


class Agent:
    """An agent's actor and critic, their targets, and an optimiser each."""

    def __init__(
        self, params: Maac, rng: np.random.Generator, *, known: int, inputs: int, n_actions: int, gates: Gates
    ) -> None:
        self.actor = mlp(inputs, *params.actor_hidden, n_actions)
        self.critic = Critic(known * inputs, known * n_actions, params.critic_hidden, gates)
        draw_weights([*linears(self.actor), *linears(self.critic)], rng)
        self.target_actor, self.target_critic = deepcopy(self.actor), deepcopy(self.critic)
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), lr=params.actor_rate)
        self.critic_adam = torch.optim.Adam(self.critic.parameters(), lr=params.critic_rate)


class Critic(nn.Module):
    """Q_i(s, a) of fig. 4: the states of all known agents pass one layer, their actions join after it."""

    def __init__(self, states: int, actions: int, hidden: Sequence[int], gates: Gates) -> None:
        super().__init__()
        first, *rest = hidden
        self.gates = gates
        self.states = nn.Linear(states, first)
        self.tail = mlp(first + actions + sum(map(len, gates)), *rest, 1)

    def forward(self, states: Sequence[Tensor], actions: Sequence[Tensor]) -> Tensor:
        """M of [B, S] and M of [B, A], the own ones first, to [B]"""
        h = torch.relu(self.states(torch.cat(list(states), dim=1)))
        gated = [actions[0] * states[0][:, list(gate)] for gate in self.gates]  # deviation 7
        q: Tensor = self.tail(torch.cat([h, *actions, *gated], dim=1))
        return q[:, 0]


def q_with_own_action(critic: Critic, states: Sequence[Tensor], actions: Sequence[Tensor], own: Tensor) -> Tensor:
    """Q_i [B] with another own action [B, A] than the first of `actions`."""
    q: Tensor = critic(states, [own, *actions[1:]])
    return q


def mean_over(valid: Tensor, x: Tensor) -> Tensor:
    """The mean of x [B] over the rows that are valid [B]; 0 if none is."""
    return (x * valid).sum() / valid.sum().clamp(min=1)


def mlp(*sizes: int) -> nn.Sequential:
    """ReLU between the layers, none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def linears(module: nn.Module) -> list[nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def draw_weights(layers: Sequence[nn.Linear], rng: np.random.Generator) -> None:
    """First weights uniform in +-1 / sqrt(inputs), drawn layer by layer."""
    for layer in layers:
        drawn = draw_mlp(rng, (layer.in_features, layer.out_features))
        layer.load_state_dict({"weight": torch.tensor(drawn["0.weight"]), "bias": torch.tensor(drawn["0.bias"])})


def step(optimiser: torch.optim.Optimizer, gradients: Sequence[Tensor]) -> None:
    """One optimiser step along these gradients."""
    for parameter, gradient in zip(optimiser.param_groups[0]["params"], gradients, strict=True):
        parameter.grad = gradient
    optimiser.step()


@torch.no_grad()
def soft_update(target: nn.Module, network: nn.Module, tau: float) -> None:
    for theirs, mine in zip(target.parameters(), network.parameters(), strict=True):
        theirs.mul_(1 - tau).add_(tau * mine)

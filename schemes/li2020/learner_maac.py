"""MAAC and NAAC with all agents' networks stacked and hand-written gradients: the learner that runs use.

    y_i = r_i + gamma Q'_i(s', mu'(s'))                                                       eq. (15)
    L(theta_i) = E (Q_i(s, a) - y_i)^2                                                        eq. (14)
    grad J_i = E grad_a Q_i(s, a) grad mu_i(s_i)  at a_i = mu_i(s_i), the others' a from D    eq. (17)
    theta' <- tau theta + (1 - tau) theta'                                                    eq. (19)

Read `learner_maac_reference` first: it is the same algorithm in plain autograd, with the equations at the lines and the
deviations from the paper explained (their numbers are used below). tests/schemes/li2020/test_learner_maac.py compares
the two over updates of MAAC and NAAC. What stacking saves, in processor time per update on one thread, batch 64, on a
machine with other load (`python -m benchmarks.learner`):

    networks (actor; critic; inputs of an agent)       N    stacked    reference    ratio
    paper    (512-128; 1024-512-256; 40)              10     148 ms       416 ms      2.8
             the same, plain critic, Gumbel gradient  10     108 ms       213 ms      2.0
    example  (64-64; 128-64-64; 13)                   10      15 ms        63 ms      4.2
                                                      20      26 ms       172 ms      6.7

NAAC is MAAC with fewer inputs to each critic (eq. 20, 21): `critic_inputs` lists the agents whose states and actions
critic i knows. All N actors and all N critics are one stack each, so that a layer is one batched product.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from protocol.determinism.rng import CounterRng
from schemes.li2020.learner_critic import Joined, JointCritic
from schemes.li2020.maac import Maac
from schemes.parts.critic_inputs import CriticInputs, Gates, check_critic_inputs, check_gates
from schemes.parts.learner_start import Weights
from schemes.parts.nn import stacked
from schemes.parts.nn.adam import Adam
from schemes.parts.nn.determinism import make_deterministic
from schemes.parts.nn.stacked import StackedMlp
from schemes.parts.nn.updates import run_updates
from schemes.parts.replay import Floats, Minibatch, Replay, Transitions

STATS = ("critic_loss", "mean_q", "actor_loss", "entropy")


class EveryRow:
    """Every agent learns from every row of a minibatch of B: the means of eq. (14) and (17) are over all of them."""

    def __init__(self, batch: int) -> None:
        self._batch = batch

    def known(self, per_agent: Tensor) -> Tensor:
        """[N, B, X] as it is."""
        return per_agent

    def share(self, factor: float, *, entries: int = 1) -> float:
        """A row's weight in the mean over an agent's rows, of so many entries each, times `factor`."""
        return factor / (self._batch * entries)

    def mean(self, per_agent: Tensor) -> Tensor:
        """Over all of [N, B, X]."""
        return per_agent.mean()


class ValidRows:
    """Some rows are missing (deviation 8 of the card): an agent learns from its valid ones. valid [B, N]"""

    def __init__(self, valid: npt.NDArray[np.bool_]) -> None:
        self._known = torch.tensor(valid.T[:, :, None], dtype=torch.float32)  # [N, B, 1]
        self._share = self._known / self._known.sum(dim=1, keepdim=True).clamp(min=1)

    def known(self, per_agent: Tensor) -> Tensor:
        """[N, B, X] with zeros in the rows that are missing."""
        return per_agent * self._known

    def share(self, factor: float, *, entries: int = 1) -> Tensor:
        """A row's weight in the mean over an agent's valid rows, [N, B, 1], times `factor`; 0 if it is missing."""
        return self._share * (factor / entries)

    def mean(self, per_agent: Tensor) -> Tensor:
        """Of each agent over its valid rows of [N, B, X], then over agents."""
        return (per_agent * self._share).sum() / (len(per_agent) * per_agent.shape[2])


Rows = EveryRow | ValidRows
Climb = Callable[[Tensor], tuple[Tensor, Tensor]]  # of the logits [N, B, A]: dL/dlogits and the values to be raised


class MaacLearner:
    """The actors, critics and targets of N agents, and their replay. `inputs`: size S of a state; `n_actions`: A;
    `gates`: products of own action and own state that join the critics (deviation 9 of the card), () for none.

    Random numbers depend on the seed and a position: agent i's first weights are drawn at (seed, i), the minibatch and
    the Gumbel noise of update u at (seed, u).
    """

    def __init__(
        self, params: Maac, *, inputs: int, n_actions: int, critic_inputs: CriticInputs, gates: Gates, seed: int
    ) -> None:
        make_deterministic()
        check_critic_inputs(critic_inputs)
        check_gates(gates, inputs=inputs, n_actions=n_actions)
        self.params, self.updates = params, 0
        self._agents, self._n_actions = len(critic_inputs), n_actions
        self._known = torch.tensor(critic_inputs)  # [N, M]
        rngs = [CounterRng(seed, "learner", i).at(0) for i in range(self._agents)]
        shape = {"known": len(critic_inputs[0]), "inputs": inputs, "n_actions": n_actions}
        self.actor = StackedMlp.draw(rngs, (inputs, *params.actor_hidden, n_actions))
        self.critic = JointCritic.draw(rngs, params.critic_hidden, gates=gates, **shape)
        self.target_actor, self.target_critic = self.actor.copy(), self.critic.copy()
        self._actor_adam = Adam(self.actor.tensors, params.actor_rate)
        self._critic_adam = Adam(self.critic.tensors, params.critic_rate)
        self._rng = CounterRng(seed, "updates")
        self.replay = Replay(
            params.replay_capacity,
            agents=self._agents,
            inputs=inputs,
            n_actions=n_actions,
            drawn="any",
            centred=params.centre_rewards,
        )

    def add(self, transitions: Transitions) -> None:
        """Store transitions of all agents."""
        self.replay.add(transitions)

    def learn(self, updates: int) -> dict[str, float]:
        """That many updates and their mean STATS; nothing and {} before the replay holds a minibatch."""

        def update() -> Tensor:
            rng = self._rng.at(self.updates)
            return self.update(self.replay.sample(rng, self.params.batch), rng)

        return run_updates(update, updates, replay=self.replay, batch=self.params.batch, statistics=STATS)

    def update(self, minibatch: Minibatch, rng: np.random.Generator) -> Tensor:
        """One step of li2020 alg. 1 from line 10 on. `rng` draws Gumbel noise. Returns the values of STATS."""
        rows = EveryRow(self.params.batch) if minibatch.valid.all() else ValidRows(minibatch.valid)
        actions = rows.known(self._one_hot(torch.tensor(minibatch.actions).T))  # [N, B, A]
        own_states = rows.known(stacked.by_agent(minibatch.states))
        joined = self.critic.join(self._gather(own_states), self._gather(actions))
        critic_stats = self._critic_backward(rows, joined, self._targets(rows, minibatch))
        if self.params.actor_gradient == "expected":
            climb: Climb = partial(self._climb_expected, rows, joined)
        else:
            climb = partial(self._climb_sampled, rows, joined, self._noise(rng))
        actor_stats = self._actor_backward(rows, own_states, climb)
        self._critic_adam.step()  # deviation 3: both gradients exist already
        self._actor_adam.step()
        stacked.soft_update(self.target_critic.tensors, self.critic.tensors, self.params.tau)  # eq. (19)
        stacked.soft_update(self.target_actor.tensors, self.actor.tensors, self.params.tau)
        self.updates += 1
        return torch.stack([*critic_stats, *actor_stats])

    def weights(self, node: int) -> dict[str, Floats]:
        """The target actor of one agent, which li2020 alg. 2 downloads; for `numpy_nets.Mlp`."""
        return self.target_actor.weights(node)

    def start(self, weights: Sequence[Weights]) -> None:
        """Actors and target actors begin with these weights, critics as they are drawn. ValueError for other shapes."""
        for agent, own in enumerate(weights):
            for actor in (self.actor, self.target_actor):
                actor.load(agent, own)

    def save(self) -> dict[str, Any]:
        """All state that `learn` depends on."""
        return {
            "updates": self.updates,
            "networks": {name: stacked.snapshot(tensors) for name, tensors in self._networks.items()},
            "actor_adam": self._actor_adam.snapshot(),
            "critic_adam": self._critic_adam.snapshot(),
            "replay": self.replay.snapshot(),
        }

    def load(self, data: dict[str, Any]) -> None:
        """The inverse of `save`, for a learner of the same parameters, shapes and seed."""
        self.updates = data["updates"]
        for name, tensors in self._networks.items():
            stacked.restore(tensors, data["networks"][name])
        self._actor_adam.restore(data["actor_adam"])
        self._critic_adam.restore(data["critic_adam"])
        self.replay.restore(data["replay"])

    def _targets(self, rows: Rows, minibatch: Minibatch) -> Tensor:
        """y [N, B, 1], eq. (15)"""
        own = rows.known(stacked.by_agent(minibatch.next_states))
        best = rows.known(self._one_hot(self.target_actor(own).argmax(dim=2)))  # deviation 1
        ahead = self.target_critic(self._gather(own), self._gather(best))
        not_terminal = torch.tensor(minibatch.not_terminal)[:, None]  # [B, 1]
        return torch.tensor(minibatch.rewards).T[:, :, None] + self.params.discount * not_terminal * ahead

    def _critic_backward(self, rows: Rows, joined: Joined, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The critics' gradient, eq. (14); returns loss and mean Q."""
        hidden, q = self.critic.tail.forward_from_first(joined.second)
        error = q - targets
        self.critic.backward(joined, hidden, error * rows.share(2))
        return rows.mean(error.square()), rows.mean(q)

    def _actor_backward(self, rows: Rows, own_states: Tensor, climb: Climb) -> tuple[Tensor, Tensor]:
        """The actors' gradient, eq. (17); returns the loss and the entropy of the choices."""
        penalty = self.params.logit_penalty
        hidden, logits = self.actor.forward(own_states)
        d_logits, q = climb(logits)
        d_logits += logits * rows.share(2 * penalty, entries=self._n_actions)  # deviation 2
        self.actor.backward(own_states, hidden, d_logits)
        return penalty * rows.mean(logits.square()) - rows.mean(q), rows.mean(_entropy(logits))

    def _climb_expected(self, rows: Rows, joined: Joined, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Deviation 1, `expected`: J = sum_k pi_k Q_k, dJ/dlogit_k = pi_k (Q_k - J). -dJ/dlogits and J [N, B, 1]."""
        q = self.critic.of_own_actions(joined)
        pi = torch.softmax(logits, dim=2)
        expected = (pi * q).sum(dim=2, keepdim=True)
        return pi * (q - expected) * rows.share(-1), expected

    def _climb_sampled(self, rows: Rows, joined: Joined, noise: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Deviation 1, `gumbel`: Q at a drawn choice. Its negative gradient at the logits, and Q [N, B, 1]."""
        temperature = self.params.gumbel_temperature
        soft = torch.softmax((logits + noise) / temperature, dim=2)
        chosen = self._one_hot(soft.argmax(dim=2))
        hidden, q = self.critic.with_own_action(joined, chosen)
        d_choice = self.critic.own_action_gradient(joined, hidden, torch.ones_like(q) * rows.share(-1))
        # straight-through: the gradient at the one-hot choice passes through the Jacobian of the softmax
        return soft * (d_choice - (soft * d_choice).sum(dim=2, keepdim=True)) / temperature, q

    def _noise(self, rng: np.random.Generator) -> Tensor:
        """Gumbel [N, B, A]"""
        return torch.tensor(rng.gumbel(size=(self._agents, self.params.batch, self._n_actions)), dtype=torch.float32)

    def _gather(self, per_agent: Tensor) -> Tensor:
        """The inputs of each critic, its own agent's first: [N, B, X] to [N, B, M X]."""
        return per_agent.transpose(0, 1)[:, self._known].transpose(0, 1).flatten(start_dim=2)

    def _one_hot(self, choice: Tensor) -> Tensor:
        """[N, B] to [N, B, A]"""
        return (choice[:, :, None] == torch.arange(self._n_actions)).float()

    @property
    def _networks(self) -> dict[str, tuple[Tensor, ...]]:
        networks = {"actor": self.actor, "target_actor": self.target_actor}
        critics = {"critic": self.critic, "target_critic": self.target_critic}
        return {name: network.tensors for name, network in (networks | critics).items()}


def _entropy(logits: Tensor) -> Tensor:
    """Entropy of softmax(logits) in nats, [N, B, 1]. logits [N, B, A]"""
    log_p = torch.log_softmax(logits, dim=2)
    return -(log_p.exp() * log_p).sum(dim=2, keepdim=True)

"""MAAC and NAAC with all agents' networks stacked and hand-written gradients: the learner that runs use.

    y_i = r_i + gamma Q'_i(s', mu'(s'))                                                       eq. (15)
    L(theta_i) = E (Q_i(s, a) - y_i)^2                                                        eq. (14)
    grad J_i = E grad_a Q_i(s, a) grad mu_i(s_i)  at a_i = mu_i(s_i), the others' a from D    eq. (17)
    theta' <- tau theta + (1 - tau) theta'                                                    eq. (19)

Read `learner_maac_reference` first: it is the same algorithm in plain autograd, with the equations at the lines and the
deviations from the paper explained (their numbers are used below). tests/schemes/li2020/test_learner_maac.py compares
the two over updates of MAAC and NAAC. What stacking saves, in processor time per update on one thread, batch 64
(`python -m benchmarks.learner`):

    networks (actor; critic; inputs of an agent)       N    stacked    reference    ratio
    paper    (512-128; 1024-512-256; 40)              10     109 ms       203 ms      1.9
                                                      20     268 ms       491 ms      1.8
    example  (64-64; 128-64-64; 13)                   10     8.6 ms        38 ms      4.4
                                                      20      19 ms        75 ms      4.0

NAAC is MAAC with fewer inputs to each critic (eq. 20, 21): `critic_inputs` lists the agents whose states and actions
critic i knows. All N actors and all N critics are one stack each, so that a layer is one batched product.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from protocol.determinism.rng import CounterRng
from schemes.li2020.maac import Maac
from schemes.parts.critic_inputs import CriticInputs, check_critic_inputs
from schemes.parts.learner_start import Weights
from schemes.parts.nn import stacked
from schemes.parts.nn.adam import Adam
from schemes.parts.nn.determinism import make_deterministic
from schemes.parts.nn.stacked import StackedLayer, StackedMlp
from schemes.parts.nn.updates import run_updates
from schemes.parts.replay import Floats, Minibatch, Replay, Transitions

STATS = ("critic_loss", "mean_q", "actor_loss", "entropy")


class JointCritic:
    """N critics of fig. 4: the states pass one layer, the actions join after it.

    Each critic knows M agents, itself first. `states`: the first layer, of the M states [N, B, M S]. `tail`: all layers
    after it; its inputs [N, B, H + M A] are the first layer's outputs, the own action, the others' actions.
    """

    def __init__(self, states: StackedLayer, tail: StackedMlp, *, n_actions: int) -> None:
        self.states, self.tail = states, tail
        self._width = states.weight.shape[2]  # H
        self._own = slice(self._width, self._width + n_actions)

    @classmethod
    def draw(
        cls, rngs: Sequence[np.random.Generator], hidden: Sequence[int], *, known: int, inputs: int, n_actions: int
    ) -> "JointCritic":
        """Random first weights. `known`: M; `inputs`: S; `n_actions`: A."""
        first, *rest = hidden
        states = StackedLayer.draw(rngs, known * inputs, first)
        tail = StackedMlp.draw(rngs, (first + known * n_actions, *rest, 1))
        return cls(states, tail, n_actions=n_actions)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return *self.states.tensors, *self.tail.tensors

    def copy(self) -> "JointCritic":
        return JointCritic(self.states.copy(), self.tail.copy(), n_actions=self._own.stop - self._own.start)

    def join(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """The tail's inputs, and its first layer's output. states [N, B, M S], actions [N, B, M A]"""
        joined = torch.cat([torch.relu_(self.states(states)), actions], dim=2)
        return joined, self.tail.layers[0](joined)

    def __call__(self, states: Tensor, actions: Tensor) -> Tensor:
        """Q [N, B, 1]"""
        return self.tail.forward_from_first(self.join(states, actions)[1])[1]

    def backward(self, states: Tensor, joined: Tensor, hidden: Sequence[Tensor], dq: Tensor) -> None:
        """Critic loss gradient, eq. (14), into `.grad` of every weight. states [N, B, M S], dq [N, B, 1] = dL/dQ."""
        at_second = self.tail.backward(joined, hidden, dq)
        from_states = self.tail.layers[0].weight[:, : self._width]
        # the gradient at the actions is not needed here, so only the columns of the states' layer are multiplied back
        at_first = torch.bmm(at_second, from_states.mT).mul_(joined[:, :, : self._width] > 0)
        self.states.backward(states, at_first)

    def with_own_action(self, second: Tensor, change: Tensor) -> tuple[list[Tensor], Tensor]:
        """`hidden` and Q for another own action, which differs by `change` [N, B, A] from the one that gave `second`.

        The own action enters one layer, linearly: `second` + change x its rows replaces a pass of the whole layer.
        """
        return self.tail.forward_from_first(torch.baddbmm(second, change, self._own_rows))

    def own_action_gradient(self, hidden: Sequence[Tensor], dq: Tensor) -> Tensor:
        """dL/d(own action) [N, B, A] from `dq` = dL/dQ [N, B, 1]."""
        return torch.bmm(self.tail.output_gradients(hidden, dq)[0], self._own_rows.mT)

    @property
    def _own_rows(self) -> Tensor:
        return self.tail.layers[0].weight[:, self._own]


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


class MaacLearner:
    """The actors, critics and targets of N agents, and their replay. `inputs`: size S of a state; `n_actions`: A.

    Random numbers depend on the seed and a position: agent i's first weights are drawn at (seed, i), the minibatch and
    the Gumbel noise of update u at (seed, u).
    """

    def __init__(self, params: Maac, *, inputs: int, n_actions: int, critic_inputs: CriticInputs, seed: int) -> None:
        make_deterministic()
        check_critic_inputs(critic_inputs)
        self.params, self.updates = params, 0
        self._agents, self._n_actions = len(critic_inputs), n_actions
        self._known = torch.tensor(critic_inputs)  # [N, M]
        rngs = [CounterRng(seed, "learner", i).at(0) for i in range(self._agents)]
        known = len(critic_inputs[0])
        self.actor = StackedMlp.draw(rngs, (inputs, *params.actor_hidden, n_actions))
        self.critic = JointCritic.draw(rngs, params.critic_hidden, known=known, inputs=inputs, n_actions=n_actions)
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
            minibatch = self.replay.sample(rng, self.params.batch)
            return self.update(minibatch, rng.gumbel(size=(self._agents, self.params.batch, self._n_actions)))

        return run_updates(update, updates, replay=self.replay, batch=self.params.batch, statistics=STATS)

    def update(self, minibatch: Minibatch, noise: npt.NDArray[np.float64]) -> Tensor:
        """One step of li2020 alg. 1 from line 10 on. `noise`: Gumbel [N, B, A]. Returns the values of STATS."""
        rows = EveryRow(self.params.batch) if minibatch.valid.all() else ValidRows(minibatch.valid)
        actions = rows.known(self._one_hot(torch.tensor(minibatch.actions).T))  # [N, B, A]
        own_states = rows.known(stacked.by_agent(minibatch.states))
        states = self._gather(own_states)
        joined, second = self.critic.join(states, self._gather(actions))
        critic_stats = self._critic_backward(rows, states, joined, second, self._targets(rows, minibatch))
        drawn = torch.tensor(noise, dtype=torch.float32)
        actor_stats = self._actor_backward(rows, own_states, actions, second, drawn)
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

    def _critic_backward(
        self, rows: Rows, states: Tensor, joined: Tensor, second: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The critics' gradient, eq. (14); returns loss and mean Q."""
        hidden, q = self.critic.tail.forward_from_first(second)
        error = q - targets
        self.critic.backward(states, joined, hidden, error * rows.share(2))
        return rows.mean(error.square()), rows.mean(q)

    def _actor_backward(
        self, rows: Rows, own_states: Tensor, actions: Tensor, second: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The actors' gradient, eq. (17); returns the loss and the entropy of the choices."""
        params = self.params
        hidden, logits = self.actor.forward(own_states)
        soft = torch.softmax((logits + noise) / params.gumbel_temperature, dim=2)  # deviation 1
        chosen = self._one_hot(soft.argmax(dim=2))
        critic_hidden, q = self.critic.with_own_action(second, chosen - actions)
        d_choice = self.critic.own_action_gradient(critic_hidden, torch.ones_like(q) * rows.share(-1))
        # straight-through: the gradient at the one-hot choice passes through the Jacobian of the softmax
        d_logits = soft * (d_choice - (soft * d_choice).sum(dim=2, keepdim=True)) / params.gumbel_temperature
        d_logits += logits * rows.share(2 * params.logit_penalty, entries=self._n_actions)  # deviation 2
        self.actor.backward(own_states, hidden, d_logits)
        return params.logit_penalty * rows.mean(logits.square()) - rows.mean(q), rows.mean(_entropy(logits))

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

"""MAAC and NAAC: a deterministic actor per pair, trained with a critic that knows the states and actions of others.

    y_i = r_i + gamma Q'_i(s', mu'(s'))                                                       eq. (15)
    L(theta_i) = E (Q_i(s, a) - y_i)^2                                                        eq. (14)
    grad J_i = E grad_a Q_i(s, a) grad mu_i(s_i)  at a_i = mu_i(s_i), the others' a from D    eq. (17)
    theta' <- tau theta + (1 - tau) theta'                                                    eq. (19)

NAAC is the same with fewer inputs to each critic (eq. 20, 21): `critic_inputs` says whom critic i knows. All N actors
and critics are stacked: one product per layer for all of them.

Deviations from the paper, of the mathematics alone:
1. Actions are categorical: mu_i is softmax((logits + Gumbel noise) / temperature), passed on as the one-hot of its
   largest entry (straight-through), as in the MADDPG reference code. In targets mu' is the plain argmax, as executed.
2. The squares of the logits are held down by a penalty, as in the MADDPG reference code, but a larger one: through a
   softmax that has saturated no gradient passes.
3. Critic and actor step from the same weights: both gradients are taken before either moves (alg. 1 steps the critic
   first), so that the actor's pass through the critic needs only what its own action changes in the second layer.
4. Adam, batch size, temperature, initial weights: ours; the paper does not give them.
5. Rewards are learnt from less each agent's mean so far: with a discount of 0.95 the values' common part is 20 times a
   reward, and a critic that has yet to reach it says nothing of the actions. Mean Q is told of the centred ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from protocol.determinism.rng import CounterRng
from schemes.parts.nn import stacked
from schemes.parts.nn.adam import Adam
from schemes.parts.nn.determinism import settle
from schemes.parts.nn.stacked import Layer, StackedMlp
from schemes.parts.replay import Floats, JointTrajectory, Minibatch, Replay

CriticInputs = tuple[tuple[int, ...], ...]


def everybody(agents: int) -> CriticInputs:
    """MAAC: critic i knows i, then all others."""
    return tuple((i, *(j for j in range(agents) if j != i)) for i in range(agents))


def neighbours(nearest: Sequence[Sequence[int]]) -> CriticInputs:
    """NAAC: critic i knows i, then the pairs `nearest[i]`. li2020 eq. (20)"""
    return tuple((i, *others) for i, others in enumerate(nearest))


@dataclass(frozen=True)
class MaacSettings:
    """Sizes of the game, and how to learn it. Defaults are li2020 sec. V where it speaks.

    `critic_inputs`: per agent the agents its critic knows, itself first, as many for each.
    """

    inputs: int  # S, of one agent's state
    n_actions: int  # A
    critic_inputs: CriticInputs
    actor_hidden: tuple[int, ...] = (512, 128)
    critic_hidden: tuple[int, ...] = (1024, 512, 256)
    actor_rate: float = 1e-4
    critic_rate: float = 1e-3
    discount: float = 0.95
    tau: float = 0.01
    replay_capacity: int = 1_000_000
    centre_rewards: bool = True  # ours
    batch: int = 64  # ours
    temperature: float = 1.0  # ours
    logit_penalty: float = 1.0  # ours

    def __post_init__(self) -> None:
        if len({len(known) for known in self.critic_inputs}) != 1:
            raise ValueError("critics are stacked: each must know as many agents as the others")
        if any(known[0] != i or len(set(known)) != len(known) for i, known in enumerate(self.critic_inputs)):
            raise ValueError("critic_inputs[i] must begin with i and name nobody twice")
        if len(self.critic_hidden) < 2:
            raise ValueError("actions join after a critic's first hidden layer: give it at least two")

    @property
    def agents(self) -> int:
        return len(self.critic_inputs)

    @property
    def known(self) -> int:
        """M, how many agents a critic knows."""
        return len(self.critic_inputs[0])


class JointCritic:
    """N critics of fig. 4: the states pass one layer, the actions join after it.

    `second` and the layers after it are `tail`; its inputs are [states' layer, own action, the others' actions].
    """

    def __init__(self, states: Layer, tail: StackedMlp, *, n_actions: int) -> None:
        self.states, self.tail = states, tail
        self._width = states.weight.shape[2]
        self._own = slice(self._width, self._width + n_actions)

    @classmethod
    def draw(cls, rngs: Sequence[np.random.Generator], settings: MaacSettings) -> "JointCritic":
        first, *rest = settings.critic_hidden
        states = Layer.draw(rngs, settings.known * settings.inputs, first)
        sizes = (first + settings.known * settings.n_actions, *rest, 1)
        return cls(states, StackedMlp.draw(rngs, sizes), n_actions=settings.n_actions)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return *self.states.tensors, *self.tail.tensors

    def copy(self) -> "JointCritic":
        return JointCritic(self.states.copy(), self.tail.copy(), n_actions=self._own.stop - self._own.start)

    def join(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """The tail's inputs, and what its first layer makes of them. states [N, B, M S], actions [N, B, M A]"""
        joined = torch.cat([torch.relu_(self.states(states)), actions], dim=2)
        return joined, self.tail.layers[0](joined)

    def __call__(self, states: Tensor, actions: Tensor) -> Tensor:
        """Q [N, B, 1]"""
        return self.tail.onward(self.join(states, actions)[1])[1]

    def gradients(self, states: Tensor, joined: Tensor, hidden: Sequence[Tensor], upstream: Tensor) -> None:
        """Fill every `.grad`."""
        at_second = self.tail.gradients(joined, hidden, upstream)
        from_states = self.tail.layers[0].weight[:, : self._width]
        at_first = torch.bmm(at_second, from_states.mT).mul_(joined[:, :, : self._width] > 0)
        self.states.gradients(states, at_first)

    def with_own(self, second: Tensor, change: Tensor) -> tuple[list[Tensor], Tensor]:
        """`hidden` and Q after the own action has changed by `change` [N, B, A]; `second` is of the actions before."""
        return self.tail.onward(torch.baddbmm(second, change, self._own_rows))

    def own_gradient(self, hidden: Sequence[Tensor], upstream: Tensor) -> Tensor:
        """The gradient at the own action, [N, B, A]."""
        return torch.bmm(self.tail.back(hidden, upstream)[0], self._own_rows.mT)

    @property
    def _own_rows(self) -> Tensor:
        return self.tail.layers[0].weight[:, self._own]


class MaacLearner:
    """Absorbs what the pairs went through, learns, gives the weights of their target actors.

    CounterRng is a position: update u draws its minibatch and noise at u, agent i its first weights at i.
    """

    def __init__(self, settings: MaacSettings, *, seed: int) -> None:
        settle()
        self.settings, self.updates = settings, 0
        rngs = [CounterRng(seed, "learner", i).at(0, 0) for i in range(settings.agents)]
        self.actor = StackedMlp.draw(rngs, (settings.inputs, *settings.actor_hidden, settings.n_actions))
        self.critic = JointCritic.draw(rngs, settings)
        self.target_actor, self.target_critic = self.actor.copy(), self.critic.copy()
        self._actor_adam = Adam(self.actor.tensors, settings.actor_rate)
        self._critic_adam = Adam(self.critic.tensors, settings.critic_rate)
        self._known = torch.tensor(settings.critic_inputs)  # [N, M]
        self._chance = CounterRng(seed, "updates")
        self.replay = Replay(
            settings.replay_capacity,
            agents=settings.agents,
            inputs=settings.inputs,
            n_actions=settings.n_actions,
            centred=settings.centre_rewards,
        )

    def add(self, trajectory: JointTrajectory) -> None:
        """Remember what happened to all pairs."""
        self.replay.add(trajectory)

    def learn(self, updates: int) -> dict[str, float]:
        """That many updates, or none before the replay holds a minibatch; means over them and the pairs."""
        settings = self.settings
        if updates < 1 or len(self.replay) < settings.batch:
            return {"updates": 0.0}
        told: list[Tensor] = []
        for _ in range(updates):
            rng = self._chance.at(0, self.updates)
            minibatch = self.replay.sample(rng, settings.batch)
            told.append(self.update(minibatch, rng.gumbel(size=(settings.agents, settings.batch, settings.n_actions))))
        means = torch.stack(told).mean(0).tolist()
        return {"updates": float(updates), **dict(zip(_TOLD, means, strict=True))}

    def update(self, minibatch: Minibatch, noise: npt.NDArray[np.float64]) -> Tensor:
        """One step of alg. 1 from line 10 on. noise [N, B, A]; returns the values of `_TOLD`."""
        actions = self._one_hot(torch.tensor(minibatch.actions).T)  # [N, B, A]
        own_states = _by_agent(minibatch.states)
        states = self._gather(own_states)
        joined, second = self.critic.join(states, self._gather(actions))
        told_critic = self._critic_gradients(states, joined, second, self._targets(minibatch))
        told_actor = self._actor_gradients(own_states, actions, second, torch.tensor(noise, dtype=torch.float32))
        self._critic_adam.step()  # deviation 3: both gradients are there
        self._actor_adam.step()
        stacked.follow(self.target_critic.tensors, self.critic.tensors, self.settings.tau)  # eq. (19)
        stacked.follow(self.target_actor.tensors, self.actor.tensors, self.settings.tau)
        self.updates += 1
        return torch.stack([*told_critic, *told_actor])

    def weights(self, node: int) -> dict[str, Floats]:
        """The target actor's of one pair, as li2020 alg. 2 downloads it; for `numpy_nets.Mlp`."""
        return self.target_actor.weights(node)

    def save(self) -> dict[str, Any]:
        """All that `learn` depends on."""
        return {
            "updates": self.updates,
            "networks": {name: stacked.snapshot(tensors) for name, tensors in self._networks.items()},
            "actor_adam": self._actor_adam.snapshot(),
            "critic_adam": self._critic_adam.snapshot(),
            "replay": self.replay.snapshot(),
        }

    def load(self, data: dict[str, Any]) -> None:
        """The inverse of `save`, for a learner of the same settings and seed."""
        self.updates = data["updates"]
        for name, tensors in self._networks.items():
            stacked.restore(tensors, data["networks"][name])
        self._actor_adam.restore(data["actor_adam"])
        self._critic_adam.restore(data["critic_adam"])
        self.replay.restore(data["replay"])

    # -------------------------------------------------------------------------------- one update

    def _targets(self, minibatch: Minibatch) -> Tensor:
        """y [N, B, 1], eq. (15)"""
        own = _by_agent(minibatch.next_states)
        best = self._one_hot(self.target_actor(own).argmax(dim=2))  # deviation 1
        ahead = self.target_critic(self._gather(own), self._gather(best))
        not_terminal = torch.tensor(minibatch.not_terminal)[:, None]  # [B, 1]
        return torch.tensor(minibatch.rewards).T[:, :, None] + self.settings.discount * not_terminal * ahead

    def _critic_gradients(
        self, states: Tensor, joined: Tensor, second: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of eq. (14); tells the loss and mean Q."""
        hidden, q = self.critic.tail.onward(second)
        error = q - targets
        self.critic.gradients(states, joined, hidden, error * (2 / self.settings.batch))
        return error.square().mean(), q.mean()

    def _actor_gradients(
        self, own_states: Tensor, actions: Tensor, second: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of eq. (17); tells the loss, and the entropy of the choices."""
        settings = self.settings
        hidden, logits = self.actor.forward(own_states)
        soft = torch.softmax((logits + noise) / settings.temperature, dim=2)  # deviation 1
        chosen = self._one_hot(soft.argmax(dim=2))
        critic_hidden, q = self.critic.with_own(second, chosen - actions)
        at_choice = self.critic.own_gradient(critic_hidden, torch.full_like(q, -1 / settings.batch))
        at_logits = soft * (at_choice - (soft * at_choice).sum(dim=2, keepdim=True)) / settings.temperature
        at_logits += logits * (2 * settings.logit_penalty / logits[0].numel())  # deviation 2
        self.actor.gradients(own_states, hidden, at_logits)
        return settings.logit_penalty * logits.square().mean() - q.mean(), _entropy(logits)

    def _gather(self, of_agents: Tensor) -> Tensor:
        """What each critic knows, itself first: [N, B, X] to [N, B, M X]."""
        return of_agents.transpose(0, 1)[:, self._known].transpose(0, 1).flatten(start_dim=2)

    def _one_hot(self, choice: Tensor) -> Tensor:
        """[N, B] to [N, B, A]"""
        return (choice[:, :, None] == torch.arange(self.settings.n_actions)).float()

    @property
    def _networks(self) -> dict[str, tuple[Tensor, ...]]:
        networks = {"actor": self.actor, "target_actor": self.target_actor}
        critics = {"critic": self.critic, "target_critic": self.target_critic}
        return {name: network.tensors for name, network in (networks | critics).items()}


_TOLD = ("critic_loss", "mean_q", "actor_loss", "entropy")


def _by_agent(states: Floats) -> Tensor:
    """[B, N, S] to [N, B, S], in memory of torch's own."""
    return torch.tensor(states).transpose(0, 1).contiguous()


def _entropy(logits: Tensor) -> Tensor:
    """Of the softmax, in nats; mean over pairs and minibatch."""
    log_p = torch.log_softmax(logits, dim=2)
    return -(log_p.exp() * log_p).sum(dim=2).mean()

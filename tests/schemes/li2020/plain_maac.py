"""The mathematics of `learner_maac` as a loop over agents with autograd: one nn.Module each, nothing shared."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from schemes.li2020.learner_maac import MaacLearner, MaacSettings
from schemes.parts.nn.stacked import Layer
from schemes.parts.replay import Minibatch


class Actor(nn.Module):
    def __init__(self, layers: list[nn.Linear]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.relu(layer(x))
        logits: Tensor = last(x)
        return logits


class Critic(nn.Module):
    """Fig. 4: states, one layer, then the actions join."""

    def __init__(self, states: nn.Linear, tail: list[nn.Linear]) -> None:
        super().__init__()
        self.states, self.tail = states, Actor(tail)

    def forward(self, states: list[Tensor], actions: list[Tensor]) -> Tensor:
        h = torch.relu(self.states(torch.cat(states, dim=1)))
        q: Tensor = self.tail(torch.cat([h, *actions], dim=1))
        return q


class Agent:
    """Four networks and two optimisers, first weights as agent i of `like` has them."""

    def __init__(self, like: MaacLearner, i: int) -> None:
        settings = like.settings
        self.actor = Actor(_linears(like.actor.layers, i))
        self.target_actor = Actor(_linears(like.target_actor.layers, i))
        self.critic = _critic(like, i)
        self.target_critic = _critic(like, i)
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), lr=settings.actor_rate)
        self.critic_adam = torch.optim.Adam(self.critic.parameters(), lr=settings.critic_rate)


class PlainMaac:
    """A copy of `like` before its first update, to be fed the same minibatches and noise."""

    def __init__(self, like: MaacLearner) -> None:
        self.settings: MaacSettings = like.settings
        self.agents = [Agent(like, i) for i in range(like.settings.agents)]

    def update(self, minibatch: Minibatch, noise: npt.NDArray[np.float64]) -> None:
        states = [torch.tensor(minibatch.states[:, j]) for j in range(len(self.agents))]
        following = [torch.tensor(minibatch.next_states[:, j]) for j in range(len(self.agents))]
        n_actions = self.settings.n_actions
        actions = [functional.one_hot(a, n_actions).float() for a in torch.tensor(minibatch.actions).T]
        with torch.no_grad():
            best = [
                functional.one_hot(agent.target_actor(s).argmax(dim=1), n_actions).float()
                for agent, s in zip(self.agents, following, strict=True)
            ]
        for i, agent in enumerate(self.agents):
            self._critic_gradient(agent, i, minibatch, states, actions, following, best)
            self._actor_gradient(agent, i, states, actions, torch.tensor(noise[i], dtype=torch.float32))
            agent.critic_adam.step()
            agent.actor_adam.step()
            self._follow(agent.target_critic, agent.critic)
            self._follow(agent.target_actor, agent.actor)

    def _critic_gradient(
        self,
        agent: Agent,
        i: int,
        minibatch: Minibatch,
        states: list[Tensor],
        actions: list[Tensor],
        following: list[Tensor],
        best: list[Tensor],
    ) -> None:
        known = self.settings.critic_inputs[i]
        with torch.no_grad():
            ahead = agent.target_critic([following[j] for j in known], [best[j] for j in known])[:, 0]
        y = torch.tensor(minibatch.rewards[:, i])
        y = y + self.settings.discount * torch.tensor(minibatch.not_terminal) * ahead
        q = agent.critic([states[j] for j in known], [actions[j] for j in known])[:, 0]
        agent.critic_adam.zero_grad()
        functional.mse_loss(q, y).backward()  # type: ignore[no-untyped-call]

    def _actor_gradient(self, agent: Agent, i: int, states: list[Tensor], actions: list[Tensor], noise: Tensor) -> None:
        known, temperature = self.settings.critic_inputs[i], self.settings.temperature
        logits = agent.actor(states[i])
        soft = torch.softmax((logits + noise) / temperature, dim=1)
        hard = functional.one_hot(soft.argmax(dim=1), self.settings.n_actions).float()
        own = hard - soft.detach() + soft  # straight-through
        q = agent.critic([states[j] for j in known], [own if j == i else actions[j] for j in known])
        loss = self.settings.logit_penalty * logits.square().mean() - q.mean()
        parameters = list(agent.actor.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient

    def _follow(self, target: nn.Module, network: nn.Module) -> None:
        with torch.no_grad():
            for mine, theirs in zip(target.parameters(), network.parameters(), strict=True):
                mine.mul_(1 - self.settings.tau).add_(self.settings.tau * theirs)


def _critic(like: MaacLearner, i: int) -> Critic:
    return Critic(_linear(like.critic.states, i), _linears(like.critic.tail.layers, i))


def _linears(layers: tuple[Layer, ...], i: int) -> list[nn.Linear]:
    return [_linear(layer, i) for layer in layers]


def _linear(layer: Layer, i: int) -> nn.Linear:
    _, inputs, outputs = layer.weight.shape
    linear = nn.Linear(inputs, outputs)
    with torch.no_grad():
        linear.weight.copy_(layer.weight[i].T)
        linear.bias.copy_(layer.bias[i, 0])
    return linear

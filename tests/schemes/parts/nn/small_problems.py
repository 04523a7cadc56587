"""Problems with a known optimum that a learner solves in a second, and how nodes play them with numpy networks."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from protocol.messages.episodes import TERMINATED, TRUNCATED
from schemes.parts.distributions import Distribution
from schemes.parts.exploration import EpsilonSoftmax, GaussianNoise
from schemes.parts.numpy_nets import Architecture, Network
from schemes.parts.replay import Transitions
from schemes.parts.rollout import Rollout

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


class Problem(Protocol):
    """`state` is an array [E, ...]; `slots`: after which an episode is cut."""

    agents: int
    inputs: int
    slots: int
    optimum: float  # mean reward of an agent and slot

    def reset(self, replicas: int, rng: np.random.Generator) -> Array: ...
    def observe(self, state: Array) -> Floats: ...  # [E, N, S]
    def step(self, state: Array, actions: Array) -> tuple[Array, Floats]: ...  # actions [E, N, K]; rewards [E, N]


class TwoStates:
    """Each agent by itself: staying earns 1 in state 1 and 0.3 in state 0, moving nothing. The myopic never move."""

    inputs, slots, optimum = 2, 20, 19.5 / 20

    def __init__(self, agents: int) -> None:
        self.agents = agents

    def reset(self, replicas: int, rng: np.random.Generator) -> Array:
        return np.arange(replicas * self.agents).reshape(replicas, self.agents) % 2

    def observe(self, state: Array) -> Floats:
        return np.eye(2, dtype=np.float32)[state]

    def step(self, state: Array, actions: Array) -> tuple[Array, Floats]:
        moves = actions[:, :, 0]
        return np.where(moves, 1 - state, state), np.where(moves, 0, np.where(state, 1, 0.3)).astype(np.float32)


class Coordination:
    """Two agents that earn 1, 0.5 or 0.25 if they make the same choice, else nothing. One slot."""

    agents, inputs, slots, optimum = 2, 1, 1, 1.0

    def reset(self, replicas: int, rng: np.random.Generator) -> Array:
        return np.zeros(replicas)

    def observe(self, state: Array) -> Floats:
        return np.ones((len(state), 2, 1), np.float32)

    def step(self, state: Array, actions: Array) -> tuple[Array, Floats]:
        first, second = actions[:, 0, 0], actions[:, 1, 0]
        reward = np.where(first == second, np.array([0.25, 1, 0.5])[first], 0)
        return state, np.repeat(reward[:, None], 2, 1).astype(np.float32)


class Aim:
    """Each agent sees a sign s and aims at s / 2: the reward is 1 - 4 (a - s / 2)^2, of both agents if `team`."""

    inputs, slots, optimum = 1, 1, 1.0

    def __init__(self, agents: int, *, team: bool = False) -> None:
        self.agents, self._team = agents, team

    def reset(self, replicas: int, rng: np.random.Generator) -> Array:
        return rng.choice([-1.0, 1.0], (replicas, self.agents))

    def observe(self, state: Array) -> Floats:
        return state[:, :, None].astype(np.float32)

    def step(self, state: Array, actions: Array) -> tuple[Array, Floats]:
        reward = (1 - 4 * np.square(actions[:, :, 0] - state / 2)).astype(np.float32)
        mean = reward.mean(axis=1, keepdims=True)
        return state, np.broadcast_to(mean, reward.shape).copy() if self._team else reward


class Recall:
    """One agent sees a sign in the first slot alone and earns 1 in the third for choosing by it, 0 without memory."""

    agents, inputs, slots, optimum = 1, 2, 3, 1 / 3

    def reset(self, replicas: int, rng: np.random.Generator) -> Array:
        return np.stack([rng.integers(0, 2, replicas), np.zeros(replicas, int)], 1)

    def observe(self, state: Array) -> Floats:
        sign, slot = state.T
        return np.stack([np.where(slot == 0, 2 * sign - 1, 0), slot == 2], 1)[:, None].astype(np.float32)

    def step(self, state: Array, actions: Array) -> tuple[Array, Floats]:
        sign, slot = state.T
        right = np.where(actions[:, 0, 0] == sign, 1, -1)
        return np.stack([sign, slot + 1], 1), np.where(slot == 2, right, 0)[:, None].astype(np.float32)


class Acting(NamedTuple):
    """How outputs [E, width] become actions [E, K]: `explore`, with their log-probabilities [E], or `best`."""

    explore: Callable[[Floats, np.random.Generator], tuple[Array, Floats]]
    best: Callable[[Floats], Array]


def by_distribution(kind: Distribution) -> Acting:
    def explore(outputs: Floats, rng: np.random.Generator) -> tuple[Array, Floats]:
        actions = kind.sample(outputs, rng)
        return actions, kind.log_prob(outputs, actions)

    return Acting(explore, kind.mode)


def greedy_but(epsilon: float) -> Acting:
    """Epsilon-greedy choices."""
    exploration = EpsilonSoftmax(epsilon)
    return Acting(
        lambda outputs, rng: (exploration.choose(outputs, rng)[:, None], np.zeros(len(outputs), np.float32)),
        lambda outputs: outputs.argmax(axis=1)[:, None],
    )


def with_noise(sigma: float) -> Acting:
    """The outputs, in training with Gaussian noise."""
    noise = GaussianNoise(sigma, -1, 1)
    return Acting(
        lambda outputs, rng: (noise.act(outputs, rng), np.zeros(len(outputs), np.float32)), lambda outputs: outputs
    )


class Players:
    """The nodes: network n acts for agent n, or one for all of them together."""

    def __init__(self, architecture: Architecture, weights: Sequence[dict[str, Floats]], acting: Acting) -> None:
        self.nets = [Network(architecture, each) for each in weights]
        self.acting = acting

    def first(self, replicas: int) -> list[Floats]:
        """Each network's carried state as an episode begins."""
        return [net.first_state(replicas) for net in self.nets]

    def outputs(self, states: Floats, hidden: list[Floats]) -> list[Floats]:
        """Of each network, from states [E, N, S]; carries `hidden`."""
        seen = states.reshape(len(states), len(self.nets), -1)
        made = []
        for n, net in enumerate(self.nets):
            y, hidden[n] = net.step(seen[:, n], hidden[n])
            made.append(y)
        return made

    def explore(self, states: Floats, hidden: list[Floats], rng: np.random.Generator) -> tuple[Array, Floats]:
        """Actions [E, N, K] and log-probabilities [E, N]; those of a joint action are divided among the agents."""
        drawn = [self.acting.explore(outputs, rng) for outputs in self.outputs(states, hidden)]
        replicas, agents = states.shape[:2]
        share = agents // len(self.nets)
        log_probs = np.stack([log_p for _, log_p in drawn], 1) / share
        return np.stack([a for a, _ in drawn], 1).reshape(replicas, agents, -1), np.repeat(log_probs, share, 1)

    def best(self, states: Floats, hidden: list[Floats]) -> Array:
        """Actions [E, N, K] without exploration."""
        chosen = [self.acting.best(outputs) for outputs in self.outputs(states, hidden)]
        return np.stack(chosen, 1).reshape(*states.shape[:2], -1)


def play(problem: Problem, players: Players, replicas: int, episodes: int, rng: np.random.Generator) -> Rollout:
    """Whole episodes, cut after `problem.slots`."""
    columns: dict[str, list[Array]] = {name: [] for name in ("s", "a", "r", "next", "log_p")}
    for _ in range(episodes):
        state, hidden = problem.reset(replicas, rng), players.first(replicas)
        for _slot in range(problem.slots):
            seen = problem.observe(state)
            actions, log_probs = players.explore(seen, hidden, rng)
            state, rewards = problem.step(state, actions)
            row = {"s": seen, "a": actions, "r": rewards, "next": problem.observe(state), "log_p": log_probs}
            for name, array in row.items():
                columns[name].append(array)
    s, a, r, following, log_p = (np.stack(column) for column in columns.values())
    ends = np.zeros(r.shape[:2], bool)
    ends[problem.slots - 1 :: problem.slots] = True
    # an episode of one slot terminates: nothing follows; a longer one of TwoStates would go on
    over = problem.slots == 1 or isinstance(problem, Recall)
    return Rollout(
        states=s,
        actions=a,
        rewards=r,
        next_states=following,
        log_probs=log_p,
        terminated=ends & over,
        truncated=ends & (not over),
    )


def transitions_of(rollout: Rollout) -> list[Transitions]:
    """All of it, one slot after the other."""
    actions = rollout.actions[..., 0] if np.issubdtype(rollout.actions.dtype, np.integer) else rollout.actions
    states = np.concatenate([rollout.states, rollout.next_states[-1:]])
    ended = np.where(rollout.terminated, TERMINATED, np.where(rollout.truncated, TRUNCATED, 0)).astype(np.uint8)
    return [Transitions(states, actions, rollout.rewards, ended=ended)]


def score(problem: Problem, players: Players) -> float:
    """Mean reward of the modes as a share of the optimum."""
    rng = np.random.default_rng(99)
    state, hidden = problem.reset(64, rng), players.first(64)
    rewards = []
    for _ in range(problem.slots):
        state, earned = problem.step(state, players.best(problem.observe(state), hidden))
        rewards.append(earned)
    return float(np.mean(rewards)) / problem.optimum

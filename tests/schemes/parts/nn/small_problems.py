"""Problems with a known optimum that a learner solves in a second, and how nodes play them with numpy networks."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from schemes.parts.distributions import Distribution
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


class Players:
    """The nodes: network n acts for agent n, or one for all of them together."""

    def __init__(self, architecture: Architecture, weights: Sequence[dict[str, Floats]], kind: Distribution) -> None:
        self.nets = [Network(architecture, each) for each in weights]
        self.kind = kind

    def act(self, states: Floats, hidden: list[Floats], rng: np.random.Generator | None) -> tuple[Array, Floats]:
        """states [E, N, S] to actions [E, N, K] and log-probabilities [E, N]; carries `hidden`. No rng: the mode."""
        joint = len(self.nets) == 1 < states.shape[1]
        seen = states.reshape(len(states), 1, -1) if joint else states
        actions, log_probs = [], []
        for n, net in enumerate(self.nets):
            outputs, hidden[n] = net.step(seen[:, n], hidden[n])
            drawn = self.kind.mode(outputs) if rng is None else self.kind.sample(outputs, rng)
            actions.append(drawn)
            log_probs.append(self.kind.log_prob(outputs, drawn))
        chosen, log_p = np.stack(actions, 1), np.stack(log_probs, 1)
        if joint:  # the members' shares of the joint action
            agents = states.shape[1]
            return chosen.reshape(len(states), agents, -1), np.repeat(log_p / agents, agents, 1)
        return chosen, log_p

    def first(self, replicas: int) -> list[Floats]:
        return [net.first_state(replicas) for net in self.nets]


def play(problem: Problem, players: Players, replicas: int, episodes: int, rng: np.random.Generator) -> Rollout:
    """Whole episodes, cut after `problem.slots`."""
    columns: dict[str, list[Array]] = {name: [] for name in ("s", "a", "r", "next", "log_p")}
    for _ in range(episodes):
        state, hidden = problem.reset(replicas, rng), players.first(replicas)
        for _slot in range(problem.slots):
            seen = problem.observe(state)
            actions, log_probs = players.act(seen, hidden, rng)
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
    """Episode by episode."""
    ends = np.flatnonzero((rollout.terminated | rollout.truncated)[:, 0]) + 1
    made = []
    for episode, (first, after) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        states = np.concatenate([rollout.states[first:after], rollout.next_states[after - 1 : after]])
        actions = rollout.actions[first:after]
        made.append(
            Transitions(
                states,
                actions[..., 0] if np.issubdtype(actions.dtype, np.integer) else actions,
                rollout.rewards[first:after],
                episode,
                terminated=bool(rollout.terminated[after - 1, 0]),
            )
        )
    return made


def score(problem: Problem, players: Players) -> float:
    """Mean reward of the modes as a share of the optimum."""
    rng = np.random.default_rng(99)
    state, hidden = problem.reset(64, rng), players.first(64)
    rewards = []
    for _ in range(problem.slots):
        actions, _ = players.act(problem.observe(state), hidden, None)
        state, earned = problem.step(state, actions)
        rewards.append(earned)
    return float(np.mean(rewards)) / problem.optimum

"""MAAC against exhaustive search, in cells small enough to try every allocation: 3 pairs, 3 RBs, no fading.

Score: (reward - random) / (optimum - random), where reward is that of the greedy target actors after training, random
the mean over all 27 allocations and optimum the best of them.

    li2020's cell     the first ten drops in which the optimum is at least 5 % above random. At least 8 must score 0.95.
    two states        the same drops, with each pair's own link 20 dB down on all RBs but one. Which one differs between
                      two states, drawn anew in each slot, so a pair must use its measurement. `blind` is the score of
                      the best allocation for both states. At least 8 must score 0.95.
    crowded cells     100 m and 20 dBm, where pairs interfere with each other more than the BS does. Reported only: a
                      pair without a good RB gains nothing by staying on one, so that training does not settle.

While training, a pair draws a uniform choice with probability EPSILON, else one from softmax(logits / TEMPERATURE) of
its target actor. In the first RANDOM_SLOTS all choices are uniform.

    python -m benchmarks.tiny_cells
"""

from protocol.determinism import threads

threads.pin()

import itertools  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from dataclasses import dataclass, replace  # noqa: E402

import msgspec  # noqa: E402
import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

from channel_server.worlds.d2d_underlay import WORLD, CellState, D2DCell, D2DUnderlay  # noqa: E402
from schemes.li2020.cell_info import CellInfo, Standardiser  # noqa: E402
from schemes.li2020.learner_maac import MaacLearner  # noqa: E402
from schemes.li2020.maac import Maac  # noqa: E402
from schemes.parts.critic_inputs import all_agents  # noqa: E402
from schemes.parts.numpy_nets import Mlp  # noqa: E402
from schemes.parts.replay import Floats, Transitions  # noqa: E402

PAIRS = RBS = 3
SLOTS, RANDOM_SLOTS, STRETCH, EVAL_SLOTS = 6000, 500, 10, 200
EPSILON, TEMPERATURE = 0.1, 0.2
ACTOR_HIDDEN, CRITIC_HIDDEN = (64, 64), (64, 64, 64)
ACTOR_RATE = 1e-3
DROPS, NEEDED, MIN_SCORE = 10, 8, 0.95
MIN_GAIN, FADED = 0.05, 0.01
PAPER_CELL = D2DUnderlay(pairs=PAIRS, rbs=RBS, fading="none", d2d_intercept_db=128.1)
CROWDED = replace(PAPER_CELL, radius_m=100.0, bs_power_dbm=20.0)
ALLOCATIONS = list(itertools.product(range(RBS), repeat=PAIRS))
Choice = Sequence[int] | npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drop:
    """One drop in one state, and the total reward of each of its allocations."""

    world: D2DCell
    state: CellState
    rewards: npt.NDArray[np.float64]  # [27]

    @classmethod
    def of(cls, world: D2DCell, state: CellState) -> "Drop":
        return cls(world, state, np.array([transmit(world, state, a)[1].sum() for a in ALLOCATIONS]))

    @classmethod
    def draw(cls, params: D2DUnderlay, seed: int) -> "Drop":
        world = WORLD.build(params, seed=seed, replicas=1)
        assert isinstance(world, D2DCell)
        return cls.of(world, world.begin(world.reset(), 0))

    def faded(self, shift: int) -> "Drop":
        """Pair i's own link is weakened on all RBs but (i + shift) % RBS."""
        gain = {
            name: self.world.geometry.links.group(self.state.gain, name).copy()
            for name in self.world.geometry.links.shapes
        }
        for pair, rb in itertools.product(range(PAIRS), range(RBS)):
            if rb != (pair + shift) % RBS:
                gain["d2d"][:, pair, rb, pair] *= FADED
        return Drop.of(self.world, replace(self.state, gain=self.world.geometry.links.pack(**gain)))

    @property
    def leaves_room(self) -> bool:
        """Whether the optimum lies at least MIN_GAIN above random."""
        return bool(self.rewards.max() >= (1 + MIN_GAIN) * self.rewards.mean())


class Game:
    """Each slot is one of the drops; what was measured in the slot before stays in the state."""

    def __init__(self, drops: Sequence[Drop], rng: np.random.Generator) -> None:
        self.drops, self._rng = drops, rng
        world = drops[0].world
        self._standardise = Standardiser(msgspec.convert(world.static_info(0), CellInfo), world.views["observation"][0])
        self.inputs, self.gates = self._standardise.inputs, self._standardise.of_choice
        self._last = drops[0].state.last
        self._turn()

    def _turn(self) -> None:
        self.now = self.drops[int(self._rng.integers(len(self.drops)))]
        self._state = replace(self.now.state, last=self._last)

    def see(self) -> Floats:
        """[N, S]"""
        records = self.now.world.measure(self._state, "observation")
        return np.concatenate([self._standardise(record) for record in records])

    def play(self, choice: Choice) -> npt.NDArray[np.float64]:
        """One slot; rewards [N]."""
        state, rewards = transmit(self.now.world, self._state, choice)
        self._last = state.last
        self._turn()
        return rewards


def transmit(world: D2DCell, state: CellState, choice: Choice) -> tuple[CellState, npt.NDArray[np.float64]]:
    """The state after, and rewards [N]."""
    actions = [world.silent(node) for node in range(PAIRS)]
    for action, rb in zip(actions, choice, strict=True):
        action["rb"] = rb
    state, outcome = world.transmit(state, actions)
    return state, outcome.rewards[:, 0]


def logits(actors: Sequence[Mlp], seen: Floats) -> Floats:
    """[N, RBS]"""
    return np.concatenate([actor(x[None]) for actor, x in zip(actors, seen, strict=True)])


def explore(actors: Sequence[Mlp], seen: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Epsilon-softmax by Gumbel-max."""
    drawn = (logits(actors, seen) + TEMPERATURE * rng.gumbel(size=(PAIRS, RBS))).argmax(axis=1)
    return np.where(rng.random(PAIRS) < EPSILON, rng.integers(RBS, size=PAIRS), drawn)


def train(drops: Sequence[Drop], seed: int) -> list[Mlp]:
    """The target actors after SLOTS slots, one update per slot."""
    rng = np.random.default_rng(seed)
    game = Game(drops, rng)
    params = Maac(actor_hidden=ACTOR_HIDDEN, critic_hidden=CRITIC_HIDDEN, actor_rate=ACTOR_RATE)
    learner = MaacLearner(
        params,
        inputs=game.inputs,
        n_actions=RBS,
        critic_inputs=all_agents(PAIRS),
        gates=game.gates,
        seed=seed,
    )
    actors: list[Mlp] = []
    for first in range(0, SLOTS, STRETCH):
        learner.add(gather(game, actors if first >= RANDOM_SLOTS else [], first, rng))
        learner.learn(STRETCH)
        actors = [Mlp(learner.weights(node)) for node in range(PAIRS)]
    return actors


def gather(game: Game, actors: Sequence[Mlp], first: int, rng: np.random.Generator) -> Transitions:
    """STRETCH slots of history; random ones without actors."""
    states, actions, rewards = [game.see()], [], []
    for _ in range(STRETCH):
        choice = explore(actors, states[-1], rng) if actors else rng.integers(RBS, size=PAIRS)
        rewards.append(game.play(choice).astype(np.float32))
        actions.append(choice)
        states.append(game.see())
    return Transitions(np.array(states)[:, None], np.array(actions)[:, None], np.array(rewards)[:, None], first)


def score(drops: Sequence[Drop], actors: Sequence[Mlp]) -> float:
    """The score of the greedy actors over EVAL_SLOTS slots."""
    game, gained, possible = Game(drops, np.random.default_rng(0)), 0.0, 0.0
    for _ in range(EVAL_SLOTS):
        of_all = game.now.rewards
        gained += game.play(logits(actors, game.see()).argmax(axis=1)).sum() - of_all.mean()
        possible += of_all.max() - of_all.mean()
    return gained / possible


def blind(drops: Sequence[Drop]) -> float:
    """The score of the best single allocation."""
    best = np.mean([drop.rewards for drop in drops], axis=0).max()
    return float((best - _random(drops)) / (_optimum(drops) - _random(drops)))


def _random(drops: Sequence[Drop]) -> float:
    return float(np.mean([drop.rewards.mean() for drop in drops]))


def _optimum(drops: Sequence[Drop]) -> float:
    return float(np.mean([drop.rewards.max() for drop in drops]))


def drops_with_room(params: D2DUnderlay) -> Iterator[tuple[int, Drop]]:
    """Seeds and drops whose optimum lies at least MIN_GAIN above random."""
    drops = ((seed, Drop.draw(params, seed)) for seed in itertools.count())
    return ((seed, drop) for seed, drop in drops if drop.leaves_room)


def run(name: str, drops: Sequence[Drop]) -> float:
    """Train, print a row, and return the score."""
    started = time.perf_counter()
    reached = score(drops, train(drops, seed=1))
    wall_s = time.perf_counter() - started
    print(f"{name:26} {_random(drops):8.2f} {_optimum(drops):8.2f} {reached:7.3f} {wall_s:6.1f}", flush=True)
    return reached


def main() -> int:
    """Print a table; 1 if too few cells reach MIN_SCORE."""
    print(f"{'cell':26} {'random':>8} {'optimum':>8} {'score':>7} {'s':>6}")
    several = list(itertools.islice(drops_with_room(PAPER_CELL), DROPS))
    papers = count_solved([(f"drop {seed}", [drop]) for seed, drop in several])
    states = [(f"two states {seed}", [drop.faded(0), drop.faded(1)]) for seed, drop in several]
    two_states = count_solved([(f"{name}, blind {blind(drops):.2f}", drops) for name, drops in states])
    crowded = count_solved([(f"crowded {s}", [d]) for s, d in itertools.islice(drops_with_room(CROWDED), DROPS)])
    print(
        f"{MIN_SCORE} or more, of {DROPS}: drops {papers}, two states {two_states} ({NEEDED} needed); crowded {crowded}"
    )
    return 0 if min(papers, two_states) >= NEEDED else 1


def count_solved(cells: Sequence[tuple[str, Sequence[Drop]]]) -> int:
    """The number of cells that reach MIN_SCORE."""
    return sum(run(name, drops) >= MIN_SCORE for name, drops in cells)


if __name__ == "__main__":
    sys.exit(main())

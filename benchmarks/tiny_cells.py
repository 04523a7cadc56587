"""Does it learn? MAAC in cells small enough to try every allocation: 3 pairs, 3 RBs, no fading.

Score: (reward - random) / (optimum - random), the reward that of the greedy target actors after training, random the
mean over all 27 allocations, optimum the best of them.

    li2020's cell     ten drops: the first in which the optimum is at least 5 % above random, elsewhere any RB will do.
                      At least 8 must score 0.95.
    two states        the same drops, with each pair's own link 20 dB down on all RBs but one, and that one another in
                      each of two states, drawn anew in each slot: a pair has to look at what it measures. Blind is the
                      score of the best allocation for both. At least 8 must score 0.95.
    crowded cells     100 m and 20 dBm, where pairs disturb each other more than the BS does. Shown, not required: a
                      pair without a good RB gains nothing by leaving the others alone, and keeps moving.

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

from channel_server.worlds.d2d_underlay import WORLD, Cell, D2DUnderlay, State  # noqa: E402
from schemes.li2020 import cell  # noqa: E402
from schemes.li2020.learner_maac import MaacLearner, MaacSettings, everybody  # noqa: E402
from schemes.parts.numpy_nets import Mlp  # noqa: E402
from schemes.parts.replay import Floats, JointTrajectory  # noqa: E402

PAIRS = RBS = 3
SLOTS, RANDOM_SLOTS, STRETCH, EVAL_SLOTS = 6000, 500, 10, 200
EPSILON, TEMPERATURE = 0.1, 0.2
ACTOR_HIDDEN, CRITIC_HIDDEN = (64, 64), (64, 64, 64)
ACTOR_RATE = 1e-3
DROPS, NEEDED, LEAST_SCORE = 10, 8, 0.95
LEAST_GAIN, FADED = 0.05, 0.01
PAPERS = D2DUnderlay(pairs=PAIRS, rbs=RBS, fading="none", d2d_intercept_db=128.1)
CROWDED = replace(PAPERS, radius_m=100.0, bs_power_dbm=20.0)
ALLOCATIONS = list(itertools.product(range(RBS), repeat=PAIRS))
Choice = Sequence[int] | npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drop:
    """One drop in one state, and the total reward of each of its allocations."""

    world: Cell
    state: State
    rewards: npt.NDArray[np.float64]  # [27]

    @classmethod
    def of(cls, world: Cell, state: State) -> "Drop":
        return cls(world, state, np.array([transmit(world, state, a)[1].sum() for a in ALLOCATIONS]))

    @classmethod
    def draw(cls, params: D2DUnderlay, seed: int) -> "Drop":
        world = WORLD.build(params, seed=seed, replicas=1)
        assert isinstance(world, Cell)
        return cls.of(world, world.begin(world.reset(0), 0, 0))

    def faded(self, shift: int) -> "Drop":
        """Pair i's own link is left as it is on RB (i + shift) % RBS alone."""
        gain = {name: self.world.links.group(self.state.gain, name).copy() for name in self.world.links.shapes}
        for pair, rb in itertools.product(range(PAIRS), range(RBS)):
            if rb != (pair + shift) % RBS:
                gain["d2d"][:, pair, rb, pair] *= FADED
        return Drop.of(self.world, replace(self.state, gain=self.world.links.pack(**gain)))

    @property
    def matters(self) -> bool:
        """Is the optimum well above random?"""
        return bool(self.rewards.max() >= (1 + LEAST_GAIN) * self.rewards.mean())


class Game:
    """Each slot is one of the drops; what was measured in the slot before stays in the state."""

    def __init__(self, drops: Sequence[Drop], rng: np.random.Generator) -> None:
        self.drops, self._rng = drops, rng
        world = drops[0].world
        self._standardise = cell.Standardiser(
            msgspec.convert(world.static_info(0), cell.Cell), world.views["observation"][0]
        )
        self.inputs = self._standardise.inputs
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


def transmit(world: Cell, state: State, choice: Choice) -> tuple[State, npt.NDArray[np.float64]]:
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
    """Gumbel-max, and now and then anything."""
    drawn = (logits(actors, seen) + TEMPERATURE * rng.gumbel(size=(PAIRS, RBS))).argmax(axis=1)
    return np.where(rng.random(PAIRS) < EPSILON, rng.integers(RBS, size=PAIRS), drawn)


def train(drops: Sequence[Drop], seed: int) -> list[Mlp]:
    """The target actors after SLOTS slots, one update per slot."""
    rng = np.random.default_rng(seed)
    game = Game(drops, rng)
    settings = MaacSettings(
        game.inputs,
        RBS,
        everybody(PAIRS),
        actor_hidden=ACTOR_HIDDEN,
        critic_hidden=CRITIC_HIDDEN,
        actor_rate=ACTOR_RATE,
    )
    learner, actors = MaacLearner(settings, seed=seed), list[Mlp]()
    for first in range(0, SLOTS, STRETCH):
        learner.add(gather(game, actors if first >= RANDOM_SLOTS else [], first, rng))
        learner.learn(STRETCH)
        actors = [Mlp(learner.weights(node)) for node in range(PAIRS)]
    return actors


def gather(game: Game, actors: Sequence[Mlp], first: int, rng: np.random.Generator) -> JointTrajectory:
    """STRETCH slots of history; random ones without actors."""
    states, actions, rewards = [game.see()], [], []
    for _ in range(STRETCH):
        choice = explore(actors, states[-1], rng) if actors else rng.integers(RBS, size=PAIRS)
        rewards.append(game.play(choice).astype(np.float32))
        actions.append(choice)
        states.append(game.see())
    return JointTrajectory(np.array(states)[:, None], np.array(actions)[:, None], np.array(rewards)[:, None], 0, first)


def score(drops: Sequence[Drop], actors: Sequence[Mlp]) -> float:
    """Of the greedy actors, over the states that came up."""
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


def drops_that_matter(params: D2DUnderlay) -> Iterator[tuple[int, Drop]]:
    """With their seeds."""
    return ((s, drop) for s, drop in ((s, Drop.draw(params, s)) for s in itertools.count()) if drop.matters)


def run(name: str, drops: Sequence[Drop]) -> float:
    """Train, print, and the score."""
    started = time.perf_counter()
    reached = score(drops, train(drops, seed=1))
    wall_s = time.perf_counter() - started
    print(f"{name:26} {_random(drops):8.2f} {_optimum(drops):8.2f} {reached:7.3f} {wall_s:6.1f}", flush=True)
    return reached


def main() -> int:
    """Print a table; 1 if too few cells are learnt."""
    print(f"{'cell':26} {'random':>8} {'optimum':>8} {'score':>7} {'s':>6}")
    several = list(itertools.islice(drops_that_matter(PAPERS), DROPS))
    papers = learnt([(f"drop {seed}", [drop]) for seed, drop in several])
    states = [(f"two states {seed}", [drop.faded(0), drop.faded(1)]) for seed, drop in several]
    looked = learnt([(f"{name}, blind {blind(drops):.2f}", drops) for name, drops in states])
    crowded = learnt([(f"crowded {s}", [d]) for s, d in itertools.islice(drops_that_matter(CROWDED), DROPS)])
    print(
        f"{LEAST_SCORE} or more, of {DROPS}: drops {papers}, two states {looked} ({NEEDED} needed); crowded {crowded}"
    )
    return 0 if min(papers, looked) >= NEEDED else 1


def learnt(cells: Sequence[tuple[str, Sequence[Drop]]]) -> int:
    """How many of them reach the least score."""
    return sum(run(name, drops) >= LEAST_SCORE for name, drops in cells)


if __name__ == "__main__":
    sys.exit(main())

"""The closed forms behind the index rules, against draws of the fading and eq. (1, 2, 5-7) in plain numpy."""

from dataclasses import replace

import numpy as np
import pytest

from schemes.li2020.index_rules import Floats, Goal, IndexRule, Knowledge, MeanPowers, RuleSearch

PAIRS, RBS, DRAWS = 3, 2, 40_000


def drop(seed: int) -> MeanPowers:
    """One in which pairs, the BS and the CUEs all matter: means from 0 to 25 dB over the noise."""
    rng = np.random.default_rng(seed)

    def powers(*shape: int, low: float, high: float) -> Floats:
        return np.asarray(10 ** rng.uniform(low, high, shape))

    return MeanPowers(
        own=powers(PAIRS, low=1.0, high=2.5),
        cross=powers(PAIRS, PAIRS, low=0.0, high=1.5),
        bs=powers(PAIRS, low=0.0, high=1.5),
        cue=powers(PAIRS, RBS, low=-0.5, high=1.0),
        cue_bs=powers(RBS, low=0.5, high=1.5),
        cue_threshold=1.0,
        negative_reward=-1.0,
    )


class Draws:
    """Faded powers of many slots."""

    def __init__(self, mean: MeanPowers, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.mean = mean
        self.own = mean.own[:, None] * rng.exponential(size=(DRAWS, PAIRS, RBS))
        self.cross = mean.cross[:, :, None] * rng.exponential(size=(DRAWS, PAIRS, PAIRS, RBS))
        self.bs = mean.bs[:, None] * rng.exponential(size=(DRAWS, PAIRS, RBS))
        self.cue = mean.cue * rng.exponential(size=(DRAWS, PAIRS, RBS))
        self.cue_bs = mean.cue_bs * rng.exponential(size=(DRAWS, RBS))

    def choices(self, rules: list[IndexRule], knows: Knowledge) -> np.ndarray:
        """[DRAWS, N], by the rules' weights spelt out."""
        return np.stack([self._choices_of(rule, n, knows) for n, rule in enumerate(rules)], axis=1)

    def _choices_of(self, rule: IndexRule, n: int, knows: Knowledge) -> np.ndarray:
        value = np.zeros((DRAWS, RBS)) - rule.offset
        for at, weight in zip(rule.z, rule.weight.T, strict=True):
            signal = 1 - np.exp(-at * self.own[:, n])
            value += weight * (signal * np.exp(-at * self.bs[:, n]) if knows == "bs_gain" else signal)
        return np.asarray(value.argmax(axis=1))

    def rewards(self, choices: np.ndarray) -> np.ndarray:
        """[DRAWS, N]"""
        slot, rewards = np.arange(DRAWS), np.empty((DRAWS, PAIRS))
        for n in range(PAIRS):
            rb = choices[:, n]
            interference, at_cue = self.bs[slot, n, rb], np.zeros(DRAWS)
            for other in range(PAIRS):
                shares = choices[:, other] == rb
                at_cue = at_cue + np.where(shares, self.cue[slot, other, rb], 0.0)
                if other != n:
                    interference = interference + np.where(shares, self.cross[slot, other, n, rb], 0.0)
            rate = np.log2(1 + self.own[slot, n, rb] / (1 + interference))
            served = self.cue_bs[slot, rb] / (1 + at_cue) >= self.mean.cue_threshold
            rewards[:, n] = np.where(served, rate, self.mean.negative_reward)
        return rewards


@pytest.mark.parametrize("knows", ["own_gain", "bs_gain"])
@pytest.mark.parametrize("goal", ["own_reward", "total"])
def test_expected_rewards_are_those_of_draws(knows: Knowledge, goal: Goal) -> None:
    for seed in range(2):
        mean = drop(seed)
        search = RuleSearch(mean, knows)
        search.settle(goal, tolerance=1e-9)
        draws = Draws(mean, seed + 10)
        rewards = draws.rewards(draws.choices([search.rule(n, goal) for n in range(PAIRS)], knows))
        error = rewards.std(axis=0) / np.sqrt(DRAWS)
        assert (np.abs(rewards.mean(axis=0) - search.expected_rewards()) < 4 * error + 2e-3).all()


def test_before_the_first_rule_choices_are_uniform() -> None:
    mean = drop(3)
    draws = Draws(mean, 4)
    rewards = draws.rewards(np.random.default_rng(5).integers(0, RBS, (DRAWS, PAIRS)))
    expected = RuleSearch(mean, "own_gain").expected_rewards()
    assert expected == pytest.approx(rewards.mean(axis=0), abs=4 * float(rewards.std(axis=0).max()) / DRAWS**0.5)


@pytest.mark.parametrize("knows", ["own_gain", "bs_gain"])
def test_an_index_is_the_expected_reward_given_what_the_pair_knows(knows: Knowledge) -> None:
    mean = drop(1)
    search = RuleSearch(mean, knows)
    search.settle("own_reward")
    draws, rules = Draws(mean, 2), [search.rule(n, "own_reward") for n in range(PAIRS)]
    choices = draws.choices(rules, knows)
    own, bs = np.full(RBS, 40.0), np.full(RBS, 3.0)
    draws.own[:, 0] = own
    if knows == "bs_gain":
        draws.bs[:, 0] = bs
    for rb in range(RBS):
        choices[:, 0] = rb
        rewards = draws.rewards(choices)[:, 0]
        signal = 1 - np.exp(-rules[0].z * own[rb])
        signal = signal * np.exp(-rules[0].z * bs[rb]) if knows == "bs_gain" else signal
        index = float((rules[0].weight[rb] * signal).sum() - rules[0].offset[rb])
        assert index == pytest.approx(float(rewards.mean()), abs=4 * float(rewards.std()) / DRAWS**0.5)


@pytest.mark.parametrize("goal", ["own_reward", "total"])
@pytest.mark.parametrize("knows", ["own_gain", "bs_gain"])
def test_a_step_adds_what_it_says_and_never_takes(knows: Knowledge, goal: Goal) -> None:
    search = RuleSearch(drop(2), knows)
    for _ in range(4):
        for n in range(PAIRS):
            before = search.expected_rewards()
            added = search.improve(n, goal)
            change = search.expected_rewards() - before
            assert added == pytest.approx(change.sum() if goal == "total" else change[n], abs=1e-9)
            assert added > -1e-9


def test_the_total_is_raised_beyond_the_equilibrium() -> None:
    search = RuleSearch(drop(2), "own_gain")
    search.settle("own_reward")
    equilibrium = search.expected_rewards().sum()
    search.settle("total")
    assert search.expected_rewards().sum() > equilibrium + 0.01


def test_what_a_pair_knows_of_the_bs_is_worth_something() -> None:
    near_the_bs = replace(drop(1), bs=100 * drop(1).bs)
    totals = []
    for knows in ("own_gain", "bs_gain"):
        search = RuleSearch(near_the_bs, knows)
        search.settle("total")
        totals.append(search.expected_rewards().sum())
    assert totals[1] > totals[0] + 0.1


def test_the_first_of_equal_rbs_is_taken() -> None:
    rule = IndexRule(np.array([0.1, 1.0]), np.ones((3, 2)), np.zeros(3))
    assert rule.choose(np.array([1.0, 2.0, 2.0]), None) == 1
    assert rule.choose(np.array([2.0, 2.0, 2.0]), np.array([3.0, 1.0, 1.0])) == 1


def test_rules_that_go_on_changing_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="still change"):
        RuleSearch(drop(1), "own_gain").settle("own_reward", tolerance=-np.inf)

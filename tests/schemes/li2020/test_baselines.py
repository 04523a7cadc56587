"""random, best_own_rb and untrained_actor: their choices, and the order of their rewards with greedy_central."""

from typing import Any

import numpy as np
import pytest

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from schemes.contract import Scheme
from schemes.li2020 import (
    best_own_rb,
    greedy_central,
    local_nash,
    local_team,
    optimal_central,
    random,
    sla,
    untrained_actor,
)
from schemes.li2020.best_own_rb import BestOwnRb
from tests.schemes.direct import Stage, play

BOUNDS = (local_nash.SCHEME, local_team.SCHEME, optimal_central.SCHEME)
ALL = (random.SCHEME, best_own_rb.SCHEME, greedy_central.SCHEME, sla.SCHEME, untrained_actor.SCHEME, *BOUNDS)


def stage(scheme: Scheme, params: Any = None, *, replicas: int = 1, **world: Any) -> Stage:
    built = WORLD.build(D2DUnderlay(**world), seed=1, replicas=replicas)
    return Stage(built, scheme, params, replicas=replicas)


@pytest.mark.parametrize("scheme", ALL, ids=lambda scheme: scheme.card.name)
@pytest.mark.parametrize("power_levels", [1, 3])
@pytest.mark.parametrize("replicas", [1, 4])
def test_every_action_lies_in_its_space(scheme: Scheme, power_levels: int, replicas: int) -> None:
    on_stage = stage(scheme, replicas=replicas, pairs=6, rbs=4, power_levels=power_levels)
    fits = on_stage.world.actions[0].checker(replicas)
    for _ in range(5):
        on_stage.play_slot()
        assert all(fits(action.tobytes()) for action in on_stage.actions)


@pytest.mark.parametrize("scheme", ALL, ids=lambda scheme: scheme.card.name)
def test_a_run_repeats_itself_and_follows_its_seed(scheme: Scheme) -> None:
    runs = [play(WORLD, D2DUnderlay(pairs=4), scheme, slots=5, seed=seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_random_is_uniform_over_rbs_and_levels() -> None:
    on_stage = stage(random.SCHEME, replicas=3000, pairs=2, rbs=3, power_levels=2)
    on_stage.play_slot()
    drawn = on_stage.actions[0]
    counts = np.bincount(drawn["rb"] * 2 + drawn["power"], minlength=6)
    assert counts == pytest.approx(np.full(6, 500), abs=5 * np.sqrt(500))
    assert (on_stage.actions[1] != drawn).any()


@pytest.mark.parametrize("form", ["own_gain", "gain_over_bs"])
def test_best_own_rb_takes_the_largest(form: Any) -> None:
    on_stage = stage(best_own_rb.SCHEME, BestOwnRb(form), pairs=5)
    on_stage.play_slot()
    for action, seen in zip(on_stage.actions, on_stage.world.measure(on_stage.state, "receiver"), strict=True):
        score_db = seen["own_gain_db"][0] - (seen["bs_gain_db"][0] if form == "gain_over_bs" else 0)
        assert int(action["rb"][0]) == max(range(10), key=lambda k: score_db[k])


@pytest.mark.parametrize("intercept_db", [148.0, 128.1])
def test_a_scheme_with_more_information_has_a_higher_reward(intercept_db: float) -> None:
    cell = D2DUnderlay(d2d_intercept_db=intercept_db)

    def reward(scheme: Scheme, params: Any = None) -> float:
        return play(WORLD, cell, scheme, params, slots=20, replicas=20)["reward_total"]

    by_chance, own = reward(random.SCHEME), reward(best_own_rb.SCHEME, BestOwnRb("own_gain"))
    over_bs, greedy = reward(best_own_rb.SCHEME), reward(greedy_central.SCHEME)
    assert by_chance * 1.1 < own < over_bs * 0.95
    assert over_bs < greedy


@pytest.mark.parametrize("scheme", [random.SCHEME, best_own_rb.SCHEME, untrained_actor.SCHEME])
def test_schemes_that_send_nothing_send_nothing(scheme: Scheme) -> None:
    on_stage = stage(scheme)
    on_stage.play_slot()
    assert not on_stage.note_bytes


def test_an_actor_follows_from_seed_and_node() -> None:
    first, second = (stage(untrained_actor.SCHEME, observation="compact") for _ in range(2))
    for _ in range(3):
        first.play_slot()
        second.play_slot()
        assert [a.tolist() for a in first.actions] == [a.tolist() for a in second.actions]
    assert len({int(action["rb"][0]) for action in first.actions}) > 1

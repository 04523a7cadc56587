"""The bounds as schemes: optimal_central against exhaustive search and greedy_central, index rules against their
expectation."""

from itertools import product

import numpy as np
import pytest

from channel_server.worlds.d2d_underlay import WORLD, CellState, D2DCell, D2DUnderlay
from schemes.contract import Scheme
from schemes.li2020 import greedy_central, local_nash, local_team, optimal_central
from schemes.li2020.index_rules import Goal, Knowledge, RuleSearch
from schemes.li2020.local_rules import Drop, LocalRules, rules_of
from schemes.parts.facts import static_facts
from tests.schemes.direct import Stage, play, welcome_for


def on_stage(scheme: Scheme, params: D2DUnderlay, rules: LocalRules | None = None, *, replicas: int = 1) -> Stage:
    return Stage(WORLD.build(params, seed=1, replicas=replicas), scheme, rules, replicas=replicas)


def best_reward(world: D2DCell, state: CellState) -> float:
    """Of all allocations and silences, by the world's own rewards."""
    best = 0.0
    for rbs in product(range(-1, world.params.rbs), repeat=world.params.pairs):
        actions = [world.silent(n) for n in range(len(rbs))]
        for records, rb in zip(actions, rbs, strict=True):
            records["rb"] = rb
        best = max(best, float(world.transmit(state, actions)[1].rewards.sum()))
    return best


@pytest.mark.parametrize("intercept_db", [148.0, 128.1, 110.0])
def test_optimal_central_is_as_good_as_exhaustive_search(intercept_db: float) -> None:
    stage = on_stage(optimal_central.SCHEME, D2DUnderlay(pairs=4, rbs=3, d2d_intercept_db=intercept_db))
    for _ in range(3):
        stage.play_slot()
        assert isinstance(stage.world, D2DCell)
        assert stage.rewards.sum() == pytest.approx(best_reward(stage.world, stage.state), abs=1e-3)


@pytest.mark.parametrize("intercept_db", [148.0, 128.1, 110.0])
def test_optimal_central_is_never_below_greedy_central(intercept_db: float) -> None:
    params = D2DUnderlay(pairs=8, rbs=4, d2d_intercept_db=intercept_db)
    optimal, greedy = on_stage(optimal_central.SCHEME, params), on_stage(greedy_central.SCHEME, params)
    ahead = []
    for _ in range(30):
        optimal.play_slot()
        greedy.play_slot()
        ahead.append(float(optimal.rewards.sum() - greedy.rewards.sum()))
    assert min(ahead) > -1e-3
    assert max(ahead) > 0.1 or intercept_db == 148.0  # greedy is optimal where pairs hardly interfere


def test_replicas_are_allocated_independently() -> None:
    params = D2DUnderlay(pairs=5, rbs=3, d2d_intercept_db=128.1)
    alone = on_stage(optimal_central.SCHEME, params)
    replicated = on_stage(optimal_central.SCHEME, params, replicas=3)
    alone.play_slot()
    replicated.play_slot()
    assert [int(a["rb"][0]) for a in alone.actions] == [int(a["rb"][0]) for a in replicated.actions]
    assert any(len(set(a["rb"].tolist())) > 1 for a in replicated.actions)


def test_more_pairs_than_an_exact_search_takes_are_rejected() -> None:
    world = WORLD.build(D2DUnderlay(pairs=13), seed=1, replicas=1)
    with pytest.raises(ValueError, match="at most 12, not 13: lower world"):
        optimal_central.scheduler(welcome_for(world, optimal_central.SCHEME, 13), greedy_central.GreedyCentral())


@pytest.mark.parametrize("knows", ["own_gain", "bs_gain"])
@pytest.mark.parametrize(("scheme", "goal"), [(local_nash.SCHEME, "own_reward"), (local_team.SCHEME, "total")])
def test_rewards_are_those_that_the_rules_expect(scheme: Scheme, goal: Goal, knows: Knowledge) -> None:
    stage = on_stage(scheme, D2DUnderlay(pairs=4, rbs=3, d2d_intercept_db=110.0), LocalRules(knows))
    drop = static_facts(welcome_for(stage.world, scheme, 0), Drop, world="d2d_underlay")
    search = RuleSearch(drop.mean_powers(0), knows)
    search.settle("own_reward")
    if goal == "total":
        search.settle("total")
    rewards = []
    for _ in range(800):
        stage.play_slot()
        rewards.append(stage.rewards[:, 0])
    error = np.std(rewards, axis=0) / len(rewards) ** 0.5
    assert (np.abs(np.mean(rewards, axis=0) - search.expected_rewards()) < 4 * error + 2e-3).all()
    assert not stage.note_bytes


def test_replicas_have_rules_of_their_own() -> None:
    params = D2DUnderlay(pairs=4, rbs=3, d2d_intercept_db=128.1)
    alone, replicated = on_stage(local_team.SCHEME, params), on_stage(local_team.SCHEME, params, replicas=2)
    for stage in (alone, replicated):
        stage.play_slot()
    assert [int(a["rb"][0]) for a in alone.actions] == [int(a["rb"][0]) for a in replicated.actions]
    drop = static_facts(welcome_for(replicated.world, local_team.SCHEME, 0, replicas=2), Drop, world="d2d_underlay")
    first, second = (rules_of(drop, replica, "own_gain", "total") for replica in range(2))
    assert first[0].offset.tolist() != second[0].offset.tolist()


def test_the_rules_spare_the_cellular_users_more_than_the_best_own_gain_does() -> None:
    params = D2DUnderlay(d2d_intercept_db=128.1)
    means = play(WORLD, params, local_nash.SCHEME, slots=200)
    assert means["cellular_outage"] < 0.02
    assert means["reward_total"] > 95


def test_a_world_without_fading_is_rejected() -> None:
    world = WORLD.build(D2DUnderlay(fading="none"), seed=1, replicas=1)
    for scheme in (local_nash.SCHEME, local_team.SCHEME):
        with pytest.raises(ValueError, match="or take li2020/optimal_central"):
            scheme.node(welcome_for(world, scheme, 0), LocalRules())

"""The greedy central scheduler against a slow ascent and exhaustive search, and its notes."""

from itertools import product
from math import log2

import numpy as np
import pytest

from channel_server.worlds.d2d_underlay import WORLD, CellState, D2DCell, D2DUnderlay
from protocol.messages.kinds import Kind
from schemes.li2020 import greedy_central
from tests.schemes.direct import Stage, play, welcome_for


def reward_of(world: D2DCell, state: CellState, rbs: tuple[int, ...]) -> float:
    actions = [world.silent(n) for n in range(len(rbs))]
    for records, rb in zip(actions, rbs, strict=True):
        records["rb"] = rb
    return float(world.transmit(state, actions)[1].rewards.sum())


def on_stage(params: D2DUnderlay, *, seed: int = 1, replicas: int = 1) -> tuple[D2DCell, Stage]:
    world = WORLD.build(params, seed=seed, replicas=replicas)
    assert isinstance(world, D2DCell)
    stage = Stage(world, greedy_central.SCHEME, seed=seed, replicas=replicas)
    return world, stage


def greedy_by_hand(world: D2DCell, state: CellState) -> tuple[int, ...]:
    """Steepest ascent in plain Python, over the world's own rewards."""
    n, k = world.params.pairs, world.params.rbs
    placed, total = [-1] * n, 0.0
    while True:
        trials = {
            (pair, rb): reward_of(world, state, (*placed[:pair], rb, *placed[pair + 1 :]))
            for pair, rb in product(range(n), range(k))
            if placed[pair] < 0
        }
        best = max(trials, key=lambda trial: trials[trial], default=None)
        if best is None or trials[best] <= total:
            return tuple(placed)
        placed[best[0]], total = best[1], trials[best]


@pytest.mark.parametrize("intercept_db", [148.0, 128.1, 110.0])
def test_it_places_as_the_slow_ascent_does(intercept_db: float) -> None:
    world, stage = on_stage(D2DUnderlay(pairs=6, rbs=3, d2d_intercept_db=intercept_db))
    for _ in range(4):
        stage.play_slot()
        chosen = tuple(int(action["rb"][0]) for action in stage.actions)
        assert chosen == greedy_by_hand(world, stage.state)


def test_replicas_are_placed_independently() -> None:
    params = D2DUnderlay(pairs=5, rbs=3, d2d_intercept_db=128.1)
    _, alone = on_stage(params)
    _, replicated = on_stage(params, replicas=3)
    alone.play_slot()
    replicated.play_slot()
    assert [int(a["rb"][0]) for a in alone.actions] == [int(a["rb"][0]) for a in replicated.actions]
    assert any(len(set(a["rb"].tolist())) > 1 for a in replicated.actions)


@pytest.mark.parametrize("intercept_db", [148.0, 110.0])
def test_it_comes_close_to_exhaustive_search(intercept_db: float) -> None:
    reached, best = [], []
    for seed in range(12):
        world, stage = on_stage(D2DUnderlay(pairs=3, rbs=3, d2d_intercept_db=intercept_db), seed=seed)
        stage.play_slot()
        reached.append(float(stage.rewards.sum()))
        best.append(max(reward_of(world, stage.state, rbs) for rbs in product(range(-1, 3), repeat=3)))
    assert all(r <= b + 1e-9 for r, b in zip(reached, best, strict=True))
    assert sum(reached) >= 0.95 * sum(best)


def test_notes_of_a_slot() -> None:
    _, stage = on_stage(D2DUnderlay(pairs=5, rbs=10))
    stage.play_slot()
    assert stage.note_bytes == {Kind.CSI: 5 * 4 * 6 * 10 + 10 * 4 * 6, Kind.DECISION: 5}
    assert stage.payload_bits[Kind.DECISION] == 5 * 4  # ceil(log2(11))


def test_many_rbs_take_two_bytes() -> None:
    _, stage = on_stage(D2DUnderlay(pairs=2, rbs=200))
    stage.play_slot()
    assert stage.note_bytes[Kind.DECISION] == 4
    assert all(0 <= action["rb"][0] < 200 for action in stage.actions)


def test_a_pair_without_a_decision_keeps_its_action() -> None:
    _, stage = on_stage(D2DUnderlay(pairs=3))
    stage.play_slot()
    before = [action.copy() for action in stage.actions]
    spec = stage.choreography.turns[-1]
    stage._play(spec)
    assert [a.tolist() for a in stage.actions] == [a.tolist() for a in before]


def test_without_new_gains_the_cloud_decides_the_same() -> None:
    _, stage = on_stage(D2DUnderlay(pairs=4, rbs=3))
    stage.play_slot()
    first = [action["rb"].tolist() for action in stage.actions]
    stage._play(stage.choreography.turns[2])  # the cloud decides again, nothing has arrived
    stage._play(stage.choreography.turns[3])
    assert [action["rb"].tolist() for action in stage.actions] == first


def test_rbs_of_cellular_users_without_gains_stay_unused() -> None:
    _, stage = on_stage(D2DUnderlay(pairs=4, rbs=3))
    exchange, _, decide, act = stage.choreography.turns
    stage.state, stage.turn = stage.world.begin(stage.state, 0), 0
    for spec in (exchange, decide, act):
        stage._play(spec)
    assert [int(action["rb"][0]) for action in stage.actions] == [-1] * 4


def test_a_restored_cloud_decides_the_same() -> None:
    world, stage = on_stage(D2DUnderlay(pairs=4, rbs=3))
    stage.play_slot()
    again = greedy_central.scheduler(welcome_for(world, greedy_central.SCHEME, 4), greedy_central.GreedyCentral())
    again.restore(stage.policies[4].snapshot())
    stage.policies[4] = again
    first = [action["rb"].tolist() for action in stage.actions]
    stage._play(stage.choreography.turns[2])
    stage._play(stage.choreography.turns[3])
    assert [action["rb"].tolist() for action in stage.actions] == first


def test_cellular_users_are_spared() -> None:
    means = play(WORLD, D2DUnderlay(pairs=20, d2d_intercept_db=128.1), greedy_central.SCHEME, slots=10)
    assert means["penalised_pairs"] == 0
    assert means["d2d_sum_rate_bps_hz"] > 20 * log2(1 + 10)
    assert np.isclose(means["reward_total"], means["d2d_sum_rate_bps_hz"])

"""FLWF over the turns of a slot, against a slow loop over eq. (7), (15), (16); its starts, its circle, its limit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_server.worlds.mumimo_cells import WORLD, Cells, CellsState, MuMimoCells
from channel_server.worlds.mumimo_cells.physics import CellsPhysics
from protocol.determinism.snapshots import pack, unpack
from schemes.wong2021 import flwf
from schemes.wong2021.flwf import Flwf
from tests.schemes.direct import Stage

SMALL = MuMimoCells(antennas=4, users=2, channels=3, snr_db=10.0)


def stage(world_params: MuMimoCells = SMALL, *, seed: int = 1, replicas: int = 2, **params: Any) -> Stage:
    world = WORLD.build(world_params, seed=seed, replicas=replicas)
    return Stage(world, flwf.SCHEME, Flwf(**params), seed=seed, replicas=replicas)


def slow_update(costs: list[float], before: list[float], budget: float) -> list[float]:
    """Eq. (15), (16) of one user in plain Python; the level w by bisection."""
    floors = []
    for c, p in zip(costs, before, strict=True):
        phi = -((c / (2 * c + p)) ** 0.5)
        floors.append((c * c + phi * p * p) / (c - phi * p))
    low, high = min(floors), max(floors) + budget
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if sum(max(level - x, 0) for x in floors) < budget else (low, level)
    return [max(low - x, 0) for x in floors]


def slow_costs(state: CellsState, p: Any, e: int) -> Any:
    """Eq. (7) in loops: [B, U, F]."""
    b, u, f = p.shape
    costs = np.zeros(p.shape)
    for i, j, k in np.ndindex(b, u, f):
        others = [(c, v) for c in range(b) if c != i for v in range(u)]
        interference = sum(p[c, v, k] * state.gain[e, k, c, v, i, j] for c, v in others)
        costs[i, j, k] = (interference + 1) / state.gain[e, k, i, j, i, j]
    return costs


@pytest.mark.parametrize(("updates", "cells_per_turn"), [("jacobi", 3), ("sequential", 1)])
def test_a_slot_is_that_of_a_slow_loop(updates: str, cells_per_turn: int) -> None:
    it = stage(replicas=2, iterations=7, updates=updates)
    it.play_slot()
    for e in range(2):
        p = np.full((3, 2, 3), 10.0)  # SNR 10 dB on each channel
        for i in range(7):
            costs = slow_costs(it.state, p, e)
            due = range(3) if cells_per_turn == 3 else [i % 3]
            for b in due:
                p[b] = [slow_update(costs[b, u].tolist(), p[b, u].tolist(), 30.0) for u in range(2)]
        np.testing.assert_allclose(it.state.power[e], p, atol=2e-4)  # costs and shares travel in single precision


def test_one_probe_turn_per_iteration_and_no_note() -> None:
    it = stage(replicas=1, iterations=5)
    it.play_slot()
    assert it.state.probes.tolist() == [5]
    assert not it.note_bytes


def test_without_iterations_the_first_powers_go_on_the_air() -> None:
    it = stage(iterations=0)
    it.play_slot()
    np.testing.assert_allclose(it.state.power, 10.0, rtol=1e-6)
    assert it.state.probes.tolist() == [0, 0]


def test_where_it_settles_the_fixed_point_conditions_hold() -> None:
    """c (c + p) / (c - phi p) = w on used channels, c >= w on the others, for every user at once."""
    it = stage(MuMimoCells(), replicas=4, seed=3, iterations=1500)
    it.play_slot()
    state = it.state
    p, costs = state.power, CellsPhysics(MuMimoCells()).costs(state.gain, state.power)
    reached = costs * (costs + p) / (costs + np.sqrt(costs / (2 * costs + p)) * p)
    used = p > 1e-3
    level = np.where(used, reached, 0).sum(axis=-1, keepdims=True) / used.sum(axis=-1, keepdims=True)
    spread = np.where(used, np.abs(reached / level - 1), 0)
    settled = np.abs(p - state.trial).sum(axis=(1, 2, 3)) < 1e-3  # of the replicas some may cycle
    assert settled.sum() >= 2
    assert spread[settled].max() < 0.02
    assert (costs >= level * 0.98)[settled][~used[settled]].all()


def test_powers_that_are_carried_settle_further_with_every_slot() -> None:
    fresh, carried = stage(MuMimoCells(), iterations=3), stage(MuMimoCells(), iterations=3, start="carried")
    for _ in range(10):
        fresh.play_slot()
        carried.play_slot()
    assert carried.slots[0] == fresh.slots[0]  # nothing is carried into the first slot
    assert carried.slots[9]["reward_total"] > 2 * fresh.slots[9]["reward_total"]


def test_a_new_episode_carries_nothing() -> None:
    it, new = stage(iterations=2, start="carried"), stage(iterations=2)
    for _ in range(3):
        it.play_slot()
        new.play_slot()
    it.truncate()
    it.play_slot()
    new.play_slot()
    np.testing.assert_allclose(it.state.power, new.state.power, rtol=1e-6)


def test_random_starts_differ_by_their_draw_and_not_the_channels() -> None:
    first, again, other = (stage(start="random", draw=draw, iterations=0) for draw in (0, 0, 1))
    for it in (first, again, other):
        it.play_slot()
    np.testing.assert_array_equal(first.state.power, again.state.power)
    np.testing.assert_array_equal(first.state.gain, other.state.gain)
    assert (first.state.power != other.state.power).all()
    np.testing.assert_allclose(other.state.power.sum(axis=-1), 30.0, rtol=1e-6)


def test_what_is_carried_survives_a_checkpoint() -> None:
    it, resumed = stage(iterations=2, start="carried"), stage(iterations=2, start="carried")
    for _ in range(2):
        it.play_slot()
        resumed.play_slot()
    for policy in resumed.policies:
        data = unpack(pack(policy.snapshot()))
        policy.restore(data)
    it.play_slot()
    resumed.play_slot()
    np.testing.assert_array_equal(it.state.power, resumed.state.power)


def test_a_missed_first_turn_is_answered_from_equal_powers() -> None:
    it = stage(iterations=1)
    it.state = it.world.begin(it.state, 0)
    it.turn = 1
    it._play(it.choreography.turns[1])  # the act turn, without the probe before
    assert isinstance(it.world, Cells)
    np.testing.assert_allclose(it.actions[0]["share"].sum(axis=-1), 1, rtol=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.sampled_from(["equal", "random", "carried"]), st.integers(0, 4), st.floats(-20, 60))
def test_budgets_are_spent_and_never_exceeded(seed: int, start: str, iterations: int, snr_db: float) -> None:
    world_params = replace(SMALL, snr_db=snr_db, budget_slots=2)
    it = stage(world_params, seed=seed, start=start, iterations=iterations)
    for _ in range(3):
        it.play_slot()
        by_user = it.state.power.sum(axis=-1) / world_params.mean_power
        assert (by_user <= 1 + 1e-5).all()
        assert (by_user >= 1 - 1e-5).all()

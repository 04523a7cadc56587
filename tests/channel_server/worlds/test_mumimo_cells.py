"""wong2021's cells: eq. (1)-(7) against a slow loop and closed forms, the budget over slots, probes, carried powers."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_server.radio import zero_forcing
from channel_server.worlds.contract import SlotOutcome
from channel_server.worlds.mumimo_cells import WORLD, Cells, CellsState, MuMimoCells
from protocol.messages.spaces import Records


def cells(*, seed: int = 1, replicas: int = 2, **params: Any) -> Cells:
    world = WORLD.build(MuMimoCells(**params), seed=seed, replicas=replicas)
    assert isinstance(world, Cells)
    return world


def opened(world: Cells, slot: int = 0) -> CellsState:
    return world.begin(world.reset(), slot)


def some_actions(world: Cells, seed: int) -> list[Records]:
    rng = np.random.default_rng(seed)
    return [world.random(b, rng) for b in range(world.params.cells)]


def on_channels(world: Cells, channels: Sequence[int]) -> list[Records]:
    """Each cell with all its power on one channel, silent on -1."""
    actions = [world.silent(b) for b in range(world.params.cells)]
    for action, channel in zip(actions, channels, strict=True):
        if channel >= 0:
            action["share"][..., channel] = 1
    return actions


def metrics(world: Cells, outcome: SlotOutcome) -> dict[str, float]:
    return {m.name: float(s / c) for m, s, c in zip(world.metrics, outcome.sums, outcome.counts, strict=True)}


def same_channels(a: CellsState, b: CellsState) -> bool:
    return bool((a.gain == b.gain).all() and (a.own == b.own).all())


# physics


def test_inside_a_cell_nothing_is_left_of_interference() -> None:
    state = opened(cells(antennas=8, users=8, channels=12))
    inside = np.einsum("efbubv->efbuv", state.gain)
    off = ~np.eye(8, dtype=bool)
    assert np.abs(inside[..., off]).max() < 1e-10
    assert inside[..., ~off].min() > 1e-6


def test_a_slot_is_that_of_a_loop() -> None:
    """wong2021 eq. (6), (7), (18), from the gains; these are those of `zero_forcing`, which has its own loop."""
    world = cells(replicas=2, antennas=4, users=2, channels=3, sir_db=3.0)
    state = opened(world)
    actions = some_actions(world, 1)
    after, outcome = world.transmit(state, actions)
    for e in range(2):
        share = np.array([action["share"][e] for action in actions], float)  # [B, U, F]
        p = 100 * 3 * share / np.maximum(share.sum(axis=-1, keepdims=True), 1)
        for b in range(3):
            rate = 0.0
            for u, f in np.ndindex(2, 3):
                others = [(c, v) for c in range(3) if c != b for v in range(2)]
                interference = sum(p[c, v, f] * state.gain[e, f, c, v, b, u] for c, v in others)
                rate += np.log2(1 + p[b, u, f] * state.gain[e, f, b, u, b, u] / (interference + 1))
            assert outcome.rewards[b, e] == pytest.approx(rate, rel=1e-9)
    assert metrics(world, outcome)["cell_rate_bps_hz"] == pytest.approx(outcome.rewards.mean())
    np.testing.assert_array_equal(after.rate, outcome.rewards.T)


def test_mean_gains_are_those_of_the_channel_model() -> None:
    """Eq. (2), (23). A unit beamformer that knows nothing of a channel receives its mean gain; zero-forcing leaves M -
    U + 1 dimensions for the own user."""
    gain = opened(cells(replicas=300, antennas=6, users=3, channels=4, sir_db=5.0)).gain
    own = np.einsum("efbubu->efbu", gain)
    between = np.einsum("efbvcu,bc->efbvcu", gain, 1 - np.eye(3))
    assert own.mean() == pytest.approx(6 - 3 + 1, rel=0.03)
    assert between.sum() / np.count_nonzero(between) == pytest.approx(10**-0.5, rel=0.03)


def test_h_and_w_are_measured_as_the_equations_have_them() -> None:
    world = cells(antennas=4, users=2, channels=3)
    state = opened(world)
    for b, records in enumerate(world.measure(state, "experience")):
        h, w = (records[f"{name}_re"] + 1j * records[f"{name}_im"] for name in "hw")  # [E, F, M, U]
        through = w.conj().swapaxes(-1, -2) @ h
        np.testing.assert_allclose(np.linalg.norm(w, axis=-2), 1, rtol=1e-6)
        np.testing.assert_allclose(np.abs(through) * (1 - np.eye(2)), 0, atol=1e-6)
        own = np.abs(np.einsum("efuu->euf", through)) ** 2
        np.testing.assert_allclose(1 / records["quiet_cost"], own, rtol=1e-4)
        np.testing.assert_allclose(h, state.own[:, :, b], rtol=1e-6)
    np.testing.assert_array_equal(zero_forcing.beamformers(state.own).shape, state.own.shape)


def test_cells_on_disjoint_channels_do_not_meet() -> None:
    world = cells(antennas=4, users=2, channels=3)
    state = opened(world)
    after = world.probe(state, on_channels(world, [0, 1, 2]))
    quiet = [records["quiet_cost"] for records in world.measure(after, "costs")]
    for b, records in enumerate(world.measure(after, "costs")):
        np.testing.assert_array_equal(records["cost"][..., b], quiet[b][..., b])
        others = [f for f in range(3) if f != b]
        assert (records["cost"][..., others] > quiet[b][..., others]).all()


@given(st.integers(0, 2**31), st.integers(0, 2))
def test_more_interference_never_raises_a_rate(seed: int, louder: int) -> None:
    world = cells(replicas=1, antennas=4, users=2, channels=3)
    state, actions = opened(world), some_actions(world, seed)
    rewards = world.transmit(state, actions)[1].rewards
    more = [action.copy() for action in actions]
    for action in more:
        action["share"] /= 4  # far below the budget
    before = world.transmit(state, more)[1].rewards
    more[louder]["share"] *= 2
    after = world.transmit(state, more)[1].rewards
    others = [b for b in range(3) if b != louder]
    assert (after[others] <= before[others]).all()
    assert (after[louder] >= before[louder]).all()
    assert rewards.shape == before.shape


# the budget


@given(st.integers(0, 2**31), st.integers(1, 5), st.floats(0, 1))
def test_a_budget_is_never_exceeded(seed: int, budget_slots: int, scale: float) -> None:
    world = cells(replicas=2, antennas=2, users=2, channels=3, budget_slots=budget_slots, snr_db=7.0)
    state = world.reset()
    total = 2 * world.params.mean_power * budget_slots
    spent = np.zeros((2, 3))
    for slot in range(2 * budget_slots):
        state = world.begin(state, slot)
        if slot % budget_slots == 0:
            spent[:] = 0
        actions = some_actions(world, seed + slot)
        for action in actions:
            action["share"] *= scale
        allowed = np.stack([records["budget"] for records in world.measure(state, "costs")], axis=1)  # [E, B]
        state, _ = world.transmit(state, actions)
        by_user = state.power.sum(axis=-1)
        assert (by_user <= allowed[..., None] * (1 + 1e-6)).all()
        spent += state.power.sum(axis=(2, 3))
        assert (spent <= total * (1 + 1e-12)).all()


def test_power_that_was_not_spent_rolls_over() -> None:
    """Eq. (5): with nothing spent P(t) = Pbar / (T - t + 1); with all of it, P(t) = Pbar / T."""
    world = cells(antennas=2, users=1, channels=2, budget_slots=4, snr_db=10.0)
    state, silent = world.reset(), [world.silent(b) for b in range(3)]
    for slot, expected in enumerate([20, 80 / 3, 40, 80, 20]):
        state = world.begin(state, slot)
        budgets = [records["budget"] for records in world.measure(state, "costs")]
        np.testing.assert_allclose(budgets, expected, rtol=1e-6)
        state, _ = world.transmit(state, silent)
    for slot in range(5, 12):
        state = world.begin(state, slot)
        if slot >= 8:
            np.testing.assert_allclose(world.measure(state, "costs")[0]["budget"], 20, rtol=1e-6)
        state, outcome = world.transmit(state, on_channels(world, [0, 1, 0]))
        assert metrics(world, outcome)["power_spent"] == pytest.approx(1)


def test_a_new_episode_has_a_new_budget_and_no_carried_powers() -> None:
    world = cells(antennas=2, users=1, channels=2, budget_slots=4)
    state = opened(world)
    state, _ = world.transmit(state, on_channels(world, [0, 0, 0]))
    state = world.begin(state, 1, np.array([True, False]))
    assert (state.spent[0] == 0).all()
    assert (state.spent[1] > 0).all()
    assert state.elapsed.tolist() == [0, 1]
    records = world.measure(state, "costs")[0]
    np.testing.assert_array_equal(records["cost"][0], records["quiet_cost"][0])
    assert (records["cost"][1, :, 0] > records["quiet_cost"][1, :, 0]).all()
    assert (world.measure(state, "experience")[0]["rate"] > 0).all()  # of the slot before, in both


# time


def test_channels_change_with_the_block_and_not_with_actions() -> None:
    world = cells(antennas=2, users=1, channels=2, block_slots=3)
    busy, idle, gains = world.reset(), world.reset(), []
    for slot in range(7):
        busy, idle = world.begin(busy, slot), world.begin(idle, slot)
        assert same_channels(busy, idle)
        gains.append(busy.gain)
        busy, _ = world.transmit(busy, on_channels(world, [0, 1, 0]))
        idle, _ = world.transmit(idle, on_channels(world, [-1, -1, -1]))
    changed = [not (a == b).all() for a, b in pairwise(gains)]
    assert changed == [False, False, True, False, False, True]


@pytest.mark.parametrize("carry", [True, False])
def test_the_first_measurement_shows_carried_powers(carry: bool) -> None:
    world = cells(antennas=2, users=1, channels=2, carry=carry)
    state = opened(world)
    state, _ = world.transmit(state, on_channels(world, [0, 0, 1]))
    state = world.begin(state, 1)
    for records, met in zip(world.measure(state, "costs"), ([0, 1], [0, 1], [0]), strict=True):
        louder = records["cost"][0, 0] > records["quiet_cost"][0, 0]
        assert np.flatnonzero(louder).tolist() == (met if carry else [])


def test_probes_change_costs_alone_and_are_charged_as_airtime() -> None:
    world = cells(antennas=4, users=2, channels=3, probe_share=0.1)
    start, actions = opened(world), some_actions(world, 2)
    state = start
    for _ in range(3):
        state = world.probe(state, on_channels(world, [0, 1, 1]))
    probed, plain = world.transmit(state, actions), world.transmit(start, actions)
    np.testing.assert_array_equal(probed[1].rewards, plain[1].rewards)
    np.testing.assert_array_equal(probed[0].spent, plain[0].spent)
    values = metrics(world, probed[1])
    assert values["probe_airtime"] == pytest.approx(0.3)
    assert values["net_cell_rate_bps_hz"] == pytest.approx(0.7 * values["cell_rate_bps_hz"])
    assert metrics(world, plain[1])["net_cell_rate_bps_hz"] == pytest.approx(values["cell_rate_bps_hz"])
    assert world.begin(probed[0], 1).probes.tolist() == [0, 0]


def test_power_change_is_the_share_that_moved_since_the_last_probe() -> None:
    world = cells(antennas=4, users=2, channels=3)
    state = world.probe(opened(world), on_channels(world, [0, 1, 1]))
    same = metrics(world, world.transmit(state, on_channels(world, [0, 1, 1]))[1])["power_change"]
    moved = metrics(world, world.transmit(state, on_channels(world, [0, 1, 2]))[1])["power_change"]
    assert same == 0
    assert moved == pytest.approx(1 / 3)


def test_the_whole_slot_may_go_to_probes() -> None:
    world = cells(antennas=4, users=2, channels=3, probe_share=1.0)
    state = world.probe(world.probe(opened(world), some_actions(world, 1)), some_actions(world, 2))
    values = metrics(world, world.transmit(state, some_actions(world, 3))[1])
    assert (values["net_cell_rate_bps_hz"], values["probe_airtime"]) == (0, 1)


def test_more_users_than_antennas_are_rejected() -> None:
    with pytest.raises(ValueError, match="users 5 must be at most antennas 4"):
        cells(antennas=4, users=5)


def test_the_drawing_has_a_gauge_per_cell_and_channel() -> None:
    world = cells(antennas=4, users=2, channels=3)
    state, _ = world.transmit(opened(world), on_channels(world, [0, 1, -1]))
    drawing = world.render(state)
    assert [bar.share for bar in drawing.bars] == [1, 0, 0, 0, 1, 0, 0, 0, 0]
    assert drawing.table is not None
    assert len(drawing.table.rows) == 3

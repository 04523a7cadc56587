"""zhang2025's cellular network: eq. (9)-(15) against slow loops and closed forms, and its drops."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_server.worlds.contract import SlotOutcome
from channel_server.worlds.traffic_cells import Cells, CellsState, TrafficCells, build
from protocol.messages.episodes import TRUNCATED
from protocol.messages.spaces import Records

SMALL = TrafficCells(rings=1, devices_per_cell=2, subbands=2, load_packets_s=40.0)


def network(params: TrafficCells = SMALL, *, seed: int = 1, replicas: int = 1) -> Cells:
    return build(params, seed=seed, replicas=replicas)


def some_actions(world: Cells, *position: int) -> list[Records]:
    """Random actions with some subbands left free."""
    actions = []
    for k in range(len(world.agents)):
        rng = np.random.default_rng([*position, k])
        action = world.random(k, rng)
        action["device"] *= rng.random(action["device"].shape) < 0.7
        actions.append(action)
    return actions


def serving_all(world: Cells, device: int = 1) -> list[Records]:
    """Every AP serves that device on all subbands at full power."""
    actions = [world.silent(k) for k in range(len(world.agents))]
    for action in actions:
        action["device"], action["level"] = device, len(world.budget.powers_w) - 1
    return actions


def metrics(world: Cells, outcomes: list[SlotOutcome]) -> dict[str, float]:
    sums, counts = (np.sum([getattr(o, part) for o in outcomes], axis=0) for part in ("sums", "counts"))
    names = [metric.name for metric in world.metrics]
    return {name: float(s / c) for name, s, c in zip(names, sums, counts, strict=True) if c}


def slow_slot(world: Cells, state: CellsState, actions: list[Records], e: int) -> dict[str, Any]:
    """Eq. (9)-(15) of one replica in plain loops, from places and fading coefficients."""
    params, drop = world.params, world.drop
    cells, devices, bands = range(len(drop.own)), range(len(drop.cell)), range(params.subbands)
    power_w = [[0.0 for _ in devices] for _ in bands]
    levels_w = 10 ** (np.linspace(0, 23, 6) / 10 - 3)
    waiting = state.queues.waiting_bits[e].tolist()
    for k in cells:
        for h in bands:
            local = int(actions[k]["device"][e][h])
            device = drop.own[k].start + local - 1
            if local and waiting[device]:
                power_w[h][device] = levels_w[actions[k]["level"][e][h]]

    def gain(k: int, n: int, h: int) -> float:
        apart_km = max(np.hypot(*(drop.sites_m[k] - drop.devices_m[n])), 35.0) / 1e3
        return float(10 ** (-(128.1 + 37.6 * np.log10(apart_km)) / 10) * abs(state.fading[e, h, k, n]) ** 2)

    noise_w, efficiency = 10 ** (-114 / 10 - 3), np.zeros((params.subbands, len(drop.cell)))
    interference_w = np.zeros(efficiency.shape)
    for h in bands:
        for n in devices:
            others_w = sum(gain(drop.cell[j], n, h) * power_w[h][j] for j in devices if j != n)
            interference_w[h, n] = others_w + noise_w
            sinr = min(gain(drop.cell[n], n, h) * power_w[h][n] / interference_w[h, n], 1000.0)
            efficiency[h, n] = np.log2(1 + sinr)
    left = [max(0.0, waiting[n] - 0.02 * 20e6 * efficiency[:, n].sum()) for n in devices]
    per_cell = [sum(left[n] for n in devices if drop.cell[n] == k) / params.packet_bits for k in cells]
    rewards = [-sum(per_cell[j] for j in (k, *drop.neighbours[k])) for k in cells]
    return {"interference_w": interference_w, "efficiency": efficiency, "left": left, "rewards": rewards}


@pytest.mark.parametrize("drop", ["hexagonal", "random"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_slot_equals_the_slow_loop(drop: Any, replicas: int) -> None:
    world = network(replace(SMALL, drop=drop), replicas=replicas)
    state = world.reset()
    for slot in range(6):
        state = world.begin(state, slot)
        actions = some_actions(world, slot)
        slow = [slow_slot(world, state, actions, e) for e in range(replicas)]
        state, outcome = world.transmit(state, actions)
        for name in ("interference_w", "efficiency"):
            np.testing.assert_allclose(getattr(state.last, name), [s[name] for s in slow], rtol=1e-4, atol=1e-20)
        np.testing.assert_allclose(state.left_bits, [s["left"] for s in slow], rtol=1e-5, atol=60)
        np.testing.assert_allclose(outcome.rewards.T, [s["rewards"] for s in slow], rtol=1e-5, atol=1e-3)
    assert state.left_bits.any()


@given(st.integers(0, 2**20), st.integers(1, 3), st.lists(st.booleans(), min_size=1, max_size=6))
def test_no_packet_and_no_bit_is_lost_or_made(seed: int, replicas: int, restarts: list[bool]) -> None:
    """In every slot and replica what arrived is what was delivered plus what waits; restarts forget what waited."""
    world = network(seed=seed % 7, replicas=replicas)
    state, size = world.reset(), SMALL.packet_bits
    for slot, first_restarts in enumerate(restarts):
        restart = np.arange(replicas) < first_restarts
        kept = np.where(restart[:, None], 0, state.queues.packets)
        kept_bits = np.where(restart[:, None], 0, state.queues.waiting_bits)
        state = world.begin(state, slot, restart if first_restarts else None)
        np.testing.assert_array_equal(kept + state.arrived, state.queues.packets)
        np.testing.assert_array_equal(kept_bits + size * state.arrived, state.queues.waiting_bits)
        after, outcome = world.transmit(state, some_actions(world, seed, slot))
        sent = np.minimum(world._physics.bits(after.last), state.queues.waiting_bits)
        np.testing.assert_array_equal(state.queues.waiting_bits, sent + after.left_bits)
        delivered = state.queues.packets.sum() - after.queues.packets.sum()
        assert outcome.occurrences[0].sum() == delivered == outcome.sums[0:4][3]
        assert outcome.sums[2] == state.arrived.sum()
        state = after


def one_link(load: float, **more: Any) -> TrafficCells:
    """One cell, one device, one subband, no fading: a constant rate of one packet per slot."""
    params = TrafficCells(rings=0, devices_per_cell=1, subbands=1, fading="none", **more)
    world = network(params)
    state = world.begin(world.reset(), 0)
    while not state.queues.waiting_bits.all():
        state = world.begin(state, 0)
    state, _ = world.transmit(state, serving_all(world))
    return replace(params, packet_bits=int(world._physics.bits(state.last)[0, 0]), load_packets_s=load / params.slot_s)


@pytest.mark.parametrize("load", [0.3, 0.8])
def test_delays_of_a_constant_service_are_those_of_a_queue_m_d_1(load: float) -> None:
    """Packets in a slot, after its arrivals, follow Z' = max(Z - 1, 0) + Y with Poisson Y: the chain of an M/D/1 queue
    at departures. Pollaczek-Khinchine gives its mean L = load + load^2 / (2 (1 - load)) (Kleinrock 1975, Queueing
    Systems I, sec. 5.6), and Little's law the delay in slots, L / load = 1 + load / (2 (1 - load))."""
    world = network(one_link(load), replicas=400)
    state, outcomes = world.reset(), []
    for slot in range(600):
        state, outcome = world.transmit(world.begin(state, slot), serving_all(world))
        outcomes += [outcome] if slot >= 100 else []
    expected_ms = 20 * (1 + load / (2 * (1 - load)))
    assert metrics(world, outcomes)["delay_ms"] == pytest.approx(expected_ms, rel=0.02)
    counts = np.sum([np.pad(o.occurrences[0], (0, 99 - len(o.occurrences[0]))) for o in outcomes], axis=0)
    assert 20 * (counts @ np.arange(99)) / counts.sum() == pytest.approx(metrics(world, outcomes)["delay_ms"])


def test_an_ap_with_nothing_to_send_is_silent() -> None:
    world = network(replace(SMALL, load_packets_s=0.0))
    state, outcome = world.transmit(world.begin(world.reset(), 0), serving_all(world))
    assert not state.last.power_w.any()
    np.testing.assert_allclose(state.last.interference_w, 10 ** (-114 / 10 - 3), rtol=1e-6)
    assert not outcome.rewards.any()


def test_a_device_hears_its_own_ap_serve_another() -> None:
    world = network(replace(SMALL, rings=0, load_packets_s=1e4))
    state, _ = world.transmit(world.begin(world.reset(), 0), serving_all(world, device=1))
    own_w = state.last.gain[0, :, 1] * world.budget.powers_w[-1]
    np.testing.assert_allclose(state.last.interference_w[0, :, 1], own_w + 10 ** (-114 / 10 - 3), rtol=1e-5)
    assert (state.last.efficiency[0, :, 0] > 0).all()


@pytest.mark.parametrize(
    ("preset", "subband_hz", "levels", "power"), [("paper", 20e6, 6, 1.0), ("code", 10e6, 5, 4 / np.pi)]
)
def test_a_preset_sets_what_is_not_given(preset: Any, subband_hz: float, levels: int, power: float) -> None:
    budget = network(TrafficCells(preset=preset)).budget
    assert (budget.subband_hz, len(budget.powers_w), budget.fading_power) == (subband_hz, levels, power)
    given = network(TrafficCells(preset=preset, subband_hz=1e6, power_levels=3, fading_power=2.0)).budget
    assert (given.subband_hz, given.fading_power) == (1e6, 2.0)
    np.testing.assert_allclose(given.powers_w, 10 ** (np.array([0, 11.5, 23]) / 10 - 3))


def test_the_codes_powers_and_correlation() -> None:
    budget = network(TrafficCells(preset="code")).budget
    np.testing.assert_allclose(10 * np.log10(budget.powers_w) + 30, [0, 5.75, 11.5, 17.25, 23])
    assert budget.correlation == pytest.approx(0.6425, abs=1e-4)


def test_fading_has_its_mean_power_and_correlation() -> None:
    world = network(replace(SMALL, fading_power=2.0), replicas=60)
    state = world.begin(world.reset(), 0)
    later = world.begin(state, 1)
    mean = world.drop.path_gain
    first, second = (world._physics.gains(s.fading) / mean for s in (state, later))
    assert first.mean() == pytest.approx(2.0, rel=0.03)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] == pytest.approx(0.6425**2, abs=0.03)  # of the powers


# drops


def test_hexagonal_cells_have_three_devices_each_at_their_nearest_ap() -> None:
    drop = network(TrafficCells(min_distance_m=35.0)).drop
    assert drop.counts == [3] * 19
    apart_m = np.hypot(*np.moveaxis(drop.sites_m[:, None] - drop.devices_m[None], -1, 0))  # [K, N]
    assert apart_m.argmin(axis=0).tolist() == drop.cell.tolist()
    assert apart_m.min() >= 35
    assert apart_m.min(axis=0).max() <= 500


@pytest.mark.parametrize("seed", range(4))
def test_a_random_drop_serves_every_device_from_the_nearest_ap(seed: int) -> None:
    drop = network(TrafficCells(drop="random"), seed=seed).drop
    apart_m = np.hypot(*np.moveaxis(drop.sites_m[:, None] - drop.devices_m[None], -1, 0))
    assert apart_m.argmin(axis=0).tolist() == drop.cell.tolist()
    assert apart_m.min() >= 35
    assert apart_m.min(axis=0).max() <= 250 * np.sqrt(2)
    assert min(drop.counts) >= 2
    assert max(drop.counts) <= 5
    assert sum(drop.counts) == 57


def test_a_drop_follows_its_seed_whatever_the_runs_seed_is() -> None:
    params = TrafficCells(drop="random", drop_seed=5)
    first, second = (network(params, seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(first.drop.devices_m, second.drop.devices_m)
    assert (first.reset().fading != second.reset().fading).all()
    other = network(replace(params, drop_seed=None), seed=1)
    assert (other.drop.devices_m != first.drop.devices_m).any()


def test_neighbours_are_cells_within_the_margin_at_a_device() -> None:
    drop = network(TrafficCells()).drop
    loss_db = -10 * np.log10(drop.path_gain)
    expected: list[set[int]] = [set() for _ in drop.own]
    for n, k in enumerate(drop.cell.tolist()):
        for j in range(19):
            if j != k and loss_db[j, n] - loss_db[k, n] < 8:
                expected[k].add(j)
                expected[j].add(k)
    assert [set(near) for near in drop.neighbours] == expected
    assert any(expected)


# episodes


def test_a_queue_past_the_bound_cuts_its_replica_off() -> None:
    world = network(replace(SMALL, queue_bound=2), replicas=6)
    state = world.begin(world.reset(), 0)
    state, outcome = world.transmit(state, [world.silent(k) for k in range(7)])
    over = (state.queues.packets > 2).any(axis=1)
    assert over.any()
    assert not over.all()
    assert outcome.ended is not None
    np.testing.assert_array_equal(outcome.ended, np.where(over, TRUNCATED, 0))


def test_a_new_episode_has_empty_queues_a_new_channel_and_the_old_ones_last_measurement() -> None:
    world = network(replicas=2)
    state, _ = world.transmit(world.begin(world.reset(), 0), some_actions(world, 1))
    one, none = world.begin(state, 1, np.array([True, False])), world.begin(state, 1)
    np.testing.assert_array_equal(one.queues.packets[0], one.arrived[0])
    np.testing.assert_array_equal(one.queues.packets[1], none.queues.packets[1])
    assert (one.fading[0] != none.fading[0]).all()
    np.testing.assert_array_equal(one.fading[1], none.fading[1])
    np.testing.assert_array_equal(one.left_bits, state.left_bits)


def test_the_same_channels_and_arrivals_whatever_the_actions() -> None:
    world = network(replicas=2)
    state = other = world.reset()
    for slot in range(4):
        state, other = world.begin(state, slot), world.begin(other, slot)
        np.testing.assert_array_equal(state.fading, other.fading)
        np.testing.assert_array_equal(state.arrived, other.arrived)
        state, _ = world.transmit(state, some_actions(world, slot))
        other, _ = world.transmit(other, serving_all(world))
    assert (state.queues.packets != other.queues.packets).any()


# what an AP measures


def test_an_ap_measures_the_last_slot_and_its_queues_in_time() -> None:
    world = network(replicas=2)
    after, _ = world.transmit(world.begin(world.reset(), 0), some_actions(world, 3))
    state = world.begin(after, 1)
    record, own = world.measure(state, "local")[2], world.drop.own[2]
    np.testing.assert_array_equal(record["waiting_bits"], state.queues.waiting_bits[:, own])
    np.testing.assert_array_equal(record["left_bits"], after.left_bits[:, own])
    for name, values in (
        ("power_w", after.last.power_w),
        ("efficiency_bps_hz", after.last.efficiency),
        ("gain_db", 10 * np.log10(after.last.gain)),
        ("interference_dbm", 10 * np.log10(after.last.interference_w) + 30),
    ):
        np.testing.assert_allclose(record[name], values[:, :, own].swapaxes(1, 2), rtol=1e-6)
    csi = world.measure(state, "csi")[2]
    gains_db = 10 * np.log10(world._physics.gains(state.fading))[..., own]  # [E, H, K, n_own]
    np.testing.assert_allclose(csi["gain_db"], gains_db.transpose(0, 3, 2, 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "named"),
    [
        (TrafficCells(min_power_dbm=30.0), "min_power_dbm 30.0"),
        (TrafficCells(min_distance_m=300.0), "min_distance_m 300.0"),
    ],
)
def test_impossible_parameters_are_named(params: TrafficCells, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        network(params)

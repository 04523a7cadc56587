"""The benchmarks on the cellular network: decisions against slow loops, FP and WMMSE against a generic optimiser."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from channel_server.worlds.traffic_cells import WORLD, Cells, TrafficCells, build
from protocol.messages.spaces import Field, Space
from schemes.contract import Scheme, load
from schemes.parts.solvers import fp, wmmse
from schemes.parts.solvers.ascent import ascend
from schemes.parts.solvers.interference import Floats, SumRateProblem
from schemes.parts.solvers.itlinq import FairBound, ItLinq
from schemes.zhang2025.cells import AllocationCode, WholeCells, packets_in
from schemes.zhang2025.cells_central import Allocation, NetworkCsi
from schemes.zhang2025.itlinq import ItLinqParams, allocate, rule
from schemes.zhang2025.weighted_sum_rate import WaitingLinks, allocation
from tests.schemes.direct import Stage, play, welcome_for

SMALL = TrafficCells(rings=1, devices_per_cell=2, subbands=2, load_packets_s=40.0)
CENTRAL = ["zhang2025/itlinq", "zhang2025/fp", "zhang2025/wmmse"]


def world_and_cells(params: TrafficCells = SMALL, replicas: int = 2) -> tuple[Cells, WholeCells]:
    world = build(params, seed=1, replicas=replicas)
    return world, msgspec.convert(world.static_info(len(world.agents)), WholeCells)


def csi_of(world: Cells, seed: int = 0) -> NetworkCsi:
    """Gains of slot 0 and random queues, some of them empty."""
    state = world.begin(world.reset(), 0)
    packets = np.random.default_rng(seed).integers(0, 4, state.queues.packets.shape)
    return NetworkCsi(packets, world._physics.gains(state.fading).astype(float))


def served(allocated: Allocation, e: int, h: int) -> set[int]:
    return set(allocated.device[e, h].tolist()) - {-1}


# actions as numbers


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 3), st.integers(0, 2**31))
def test_an_action_survives_its_number(devices: int, levels: int, subbands: int, seed: int) -> None:
    code, rng = AllocationCode(devices, levels, subbands), np.random.default_rng(seed)
    device = rng.integers(0, devices, (7, subbands), endpoint=True)
    level = rng.integers(0, levels, (7, subbands)) * (device > 0)
    space = Space((Field("device", "i1", (subbands,)), Field("level", "i1", (subbands,))))
    numbers = code.encode(device, level)
    assert (numbers < code.choices).all()
    action = code.action(numbers, space)
    np.testing.assert_array_equal(action["device"], device)
    np.testing.assert_array_equal(action["level"], level)


def test_more_actions_than_a_decision_can_name_are_refused() -> None:
    with pytest.raises(ValueError, match="take fewer power_levels"):
        AllocationCode(20, 100, 16)


def test_a_packet_that_has_gone_in_part_waits_whole() -> None:
    assert packets_in(np.array([0, 1, 10, 11]), 10).tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("name", ["zhang2025/cells_llq", "zhang2025/max_power", *CENTRAL])
def test_another_world_is_named(name: str) -> None:
    scheme, (world, _) = load(name), world_and_cells()
    other = msgspec.structs.replace(welcome_for(world, scheme, 0), static_info={"pairs": 3})
    with pytest.raises(ValueError, match=f"{name} runs in the world traffic_cells"):
        scheme.node(other, scheme.params())


# LLQ and full power


def test_llq_serves_the_longest_queue_of_the_neighbourhood_at_full_power() -> None:
    world = build(SMALL, seed=3, replicas=4)
    stage, busy, silent = Stage(world, load("zhang2025/cells_llq"), seed=3, replicas=4), 0, 0
    for slot in range(8):
        before = world.begin(stage.state, slot)
        packets = packets_in(before.queues.waiting_bits, SMALL.packet_bits)
        stage.play_slot()
        for k, own in enumerate(world.drop.own):
            for e in range(4):
                mine = packets[e, own].max()
                around = [packets[e, world.drop.own[j]].max() for j in world.drop.neighbours[k]]
                device, level = (stage.actions[k][name][e].tolist() for name in ("device", "level"))
                if mine == 0 or mine < max(around, default=0):
                    assert device == [0, 0]
                    silent += 1
                else:
                    assert len(set(device)) == 1
                    assert packets[e, own][device[0] - 1] == mine
                    assert level == [5, 5]
                    busy += 1
    assert busy
    assert silent


def test_llq_takes_one_of_equally_long_queues_evenly() -> None:
    world = build(TrafficCells(rings=0, devices_per_cell=2, subbands=1, load_packets_s=0.0), seed=1, replicas=2000)
    stage = Stage(world, load("zhang2025/cells_llq"), replicas=2000)
    stage.state = replace(stage.state, queues=stage.state.queues.arrive(np.ones((2000, 2), np.int64)))
    stage.play_slot()
    device = stage.actions[0]["device"]
    assert set(device.ravel().tolist()) == {1, 2}
    assert np.mean(device == 1) == pytest.approx(0.5, abs=0.05)


def test_full_power_serves_the_longest_own_queue() -> None:
    world = build(SMALL, seed=3, replicas=4)
    stage = Stage(world, load("zhang2025/max_power"), seed=3, replicas=4)
    for slot in range(4):
        waiting = world.begin(stage.state, slot).queues.waiting_bits
        stage.play_slot()
        for action, own in zip(stage.actions, world.drop.own, strict=True):
            assert (action["device"] == waiting[:, own].argmax(axis=1)[:, None] + 1).all()
            assert (action["level"] == 5).all()


# ITLinQ


@pytest.mark.parametrize(
    ("params", "drop", "expected"),
    [
        (ItLinqParams(), "hexagonal", ItLinq(10.0, 0.7, FairBound(0.1, 0.5, 1200.0))),
        (ItLinqParams(), "random", ItLinq(20.0, 0.7, FairBound(2.0, 0.5, 5000.0))),
        (ItLinqParams(fair=False), "hexagonal", ItLinq(20.0, 0.6)),
        (ItLinqParams(factor=3.0, exponent=0.9), "random", ItLinq(3.0, 0.9, FairBound(2.0, 0.5, 5000.0))),
    ],
)
def test_the_constants_follow_from_the_drop_where_none_are_given(
    params: ItLinqParams, drop: str, expected: ItLinq
) -> None:
    assert rule(params, drop) == expected


@pytest.mark.parametrize("links", [ItLinq(1.0, 0.6), ItLinq(0.5, 0.7, FairBound(0.1, 0.5, 100.0))])
def test_itlinq_lets_join_whom_the_conditions_let(links: ItLinq) -> None:
    """In the order that its generator draws, with INR i->j from the AP of i to the device of j."""
    world, cells = world_and_cells()
    csi = csi_of(world)
    allocated = allocate(csi, cells, links, np.random.default_rng(7))
    orders = np.random.default_rng(7).permuted(np.tile(np.arange(14), (4, 1)), axis=1).reshape(2, 2, 14)
    for e in range(2):
        for h in range(2):
            inr = csi.gains[e, h][cells.cell] * cells.powers_w[-1] / cells.noise_w  # [i, j]
            active: set[int] = set()
            for j in orders[e, h].tolist():
                snr = inr[j, j]
                accepted = caused = links.factor * snr**links.exponent
                if links.fair and snr > links.fair.min_snr:
                    caused = links.fair.factor * snr**links.fair.exponent
                apart = all(cells.cell[i] != cells.cell[j] for i in active)
                if csi.packets[e, j] and apart and all(inr[i, j] <= accepted and inr[j, i] <= caused for i in active):
                    active.add(j)
            assert served(allocated, e, h) == active
            assert (allocated.level[e, h] == len(cells.powers_w) - 1).all()


# FP and WMMSE


def generic_end(problem: SumRateProblem, start_w: Floats) -> float:
    """The weighted sum rate that L-BFGS-B reaches from a start, with the exact gradient; one replica, powers scaled."""
    gains, weights, limit = problem.gains[0], problem.weights[0], problem.max_w[0]
    cross = gains * (1 - np.eye(len(gains)))

    def loss(share: Floats) -> tuple[float, Floats]:
        power_w = share * limit
        below = 1 + power_w @ cross
        total = below + np.diag(gains) * power_w
        slope = gains @ (weights / total) - cross @ (weights / below)
        return -float((weights * np.log2(total / below)).sum()), -slope * limit / np.log(2)

    bounds = [(0.0, 1.0)] * len(limit)
    return -float(minimize(loss, start_w / limit, jac=True, method="L-BFGS-B", bounds=bounds).fun)


@pytest.mark.parametrize("drop", ["hexagonal", "random"])
def test_fp_and_wmmse_reach_a_generic_optimisers_weighted_sum_rate_with_57_links(drop: Any) -> None:
    """All three climb to a local optimum from full power, hence the best of a few starts; each within 0.5 %."""
    world, cells = world_and_cells(TrafficCells(drop=drop, subbands=1), replicas=1)
    state = world.begin(world.reset(), 0)
    rng = np.random.default_rng(5)
    packets = rng.integers(1, 9, (1, 57))
    links = WaitingLinks.of(NetworkCsi(packets, world._physics.gains(state.fading).astype(float)), cells)
    problem = links.problem
    starts_w = [problem.max_w, *(problem.max_w * rng.random(problem.max_w.shape) for _ in range(2))]
    ends = {
        name: [float(ascend(step, problem, w, max_iterations=1000, tolerance=1e-7).sum_rate[0]) for w in starts_w]
        for name, step in (("fp", fp.step), ("wmmse", wmmse.step))
    }
    assert ends["fp"] == pytest.approx(ends["wmmse"], rel=5e-3)
    best = max(ends["fp"])
    generic = max(generic_end(problem, start_w[0]) for start_w in starts_w)
    assert best >= generic * (1 - 5e-3)
    end_w = ascend(fp.step, problem, starts_w[int(np.argmax(ends["fp"]))], max_iterations=1000, tolerance=1e-7).powers_w
    assert generic_end(problem, end_w[0]) == pytest.approx(best, rel=5e-3)  # no way up from there


def test_links_without_packets_are_left_out_and_change_nothing() -> None:
    world, cells = world_and_cells()
    csi = csi_of(world)
    links = WaitingLinks.of(csi, cells)
    end = ascend(fp.step, links.problem, links.start_w, max_iterations=40)
    powers_w = links.by_device(end.powers_w, 14)
    for e in range(2):
        alone = WaitingLinks.of(NetworkCsi(csi.packets[[e]], csi.gains[[e]]), cells)
        one = ascend(fp.step, alone.problem, alone.start_w, max_iterations=40)
        np.testing.assert_allclose(powers_w[2 * e : 2 * e + 2], alone.by_device(one.powers_w, 14), rtol=1e-9)
    assert not powers_w[np.repeat(csi.packets == 0, 2, axis=0)].any()
    for row, (e, h) in enumerate((e, h) for e in range(2) for h in range(2)):
        rate = sum(
            csi.packets[e, n]
            * np.log2(
                1
                + csi.gains[e, h, cells.cell[n], n]
                * powers_w[row, n]
                / (
                    cells.noise_w
                    + sum(csi.gains[e, h, cells.cell[i], n] * powers_w[row, i] for i in range(14) if i != n)
                )
            )
            for n in range(14)
        )
        assert links.problem.sum_rate(end.powers_w)[row] == pytest.approx(rate)


def test_an_ap_serves_its_link_of_the_largest_weighted_rate_at_the_nearest_level() -> None:
    world, cells = world_and_cells(replicas=1)
    csi = csi_of(world)._replace(packets=np.full((1, 14), 1))
    csi.packets[0, 5] = 0
    links = WaitingLinks.of(csi, cells)
    powers_w = np.zeros((2, len(links.link[0])))
    column = {device: at for at, device in enumerate(links.link[0].tolist())}
    levels_w = cells.powers_w
    for device, power_w in {
        0: levels_w[3] * 1.1,
        1: levels_w[3] / 1e5,  # beside it at far less
        2: levels_w[0] * 0.6,
        4: levels_w[0] * 0.4,  # less than half of the smallest
        6: levels_w[-1],
    }.items():
        powers_w[:, column[device]] = power_w
    allocated = allocation(links, powers_w, cells)
    assert allocated.device[0].tolist() == [[0, 2, -1, 6, -1, -1, -1]] * 2
    assert allocated.level[0, :, [0, 1, 3]].T.tolist() == [[3, 0, 5]] * 2


# whole runs


@pytest.mark.parametrize("name", CENTRAL)
def test_the_trainers_decision_is_what_aps_do(name: str) -> None:
    scheme: Scheme = load(name)
    means = play(WORLD, SMALL, scheme, slots=20, replicas=2)
    assert means["transmissions"] > 3
    assert means["delay_ms"] >= 20


def test_central_knowledge_beats_full_power_in_a_network_with_little_spectrum() -> None:
    world = TrafficCells(preset="code", drop_seed=1, load_packets_s=25.0)
    delays = {
        name: play(WORLD, world, load(f"zhang2025/{name}"), slots=60, replicas=2)["delay_ms"]
        for name in ("fp", "max_power", "cells_llq")
    }
    assert delays["fp"] < delays["max_power"]
    assert delays["fp"] < delays["cells_llq"]

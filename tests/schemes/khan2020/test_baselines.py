"""khan2020's schemes without learning: what they choose, what they earn, what they send."""

from dataclasses import replace
from itertools import product
from typing import Any

import msgspec
import numpy as np
import pytest

from channel_server.worlds.downlink_cells import WORLD, Cells, DownlinkCells, build
from protocol.messages.kinds import Kind
from schemes.contract import Scheme, load
from schemes.khan2020.network_info import NetworkInfo
from schemes.khan2020.optimiser import OptimiserSettings, solve, sum_rate_problem
from schemes.parts.solvers import fp, wmmse
from tests.schemes.direct import Stage, play

CELLS = DownlinkCells()
NETWORKS = [{}, {"power_budget": "per_bs"}, {"interference": "other_cells"}]


def played(name: str, params: Any = None, *, world: DownlinkCells = CELLS, replicas: int = 200) -> float:
    """The mean sum rate of three slots, in bit/s/Hz."""
    means = play(WORLD, world, load(f"khan2020/{name}"), params, slots=3, replicas=replicas)
    return means["reward_total"]


def stage(name: str, params: Any = None, *, world: DownlinkCells = CELLS, replicas: int = 2) -> Stage:
    scheme: Scheme = load(f"khan2020/{name}")
    one = Stage(WORLD.build(world, seed=1, replicas=replicas), scheme, params, replicas=replicas)
    one.play_slot()
    return one


def info_and_gains(world: Cells) -> tuple[NetworkInfo, Any]:
    return msgspec.convert(world.static_info(0), NetworkInfo), world.begin(world.reset(), 0).gain


def test_max_power_uses_the_budget_of_every_bs() -> None:
    per_bs = replace(CELLS, power_budget="per_bs")
    for world, total_w in ((CELLS, 6 * CELLS.max_power_w), (per_bs, 3 * CELLS.max_power_w)):
        one = stage("max_power", world=world)
        assert sum(action["power_w"].sum() for action in one.actions) == pytest.approx(2 * total_w, rel=1e-6)


def test_the_strongest_own_user_alone_is_served() -> None:
    one = stage("strongest_user", replicas=20)
    for b, action in enumerate(one.actions):
        best = one.state.gain[:, b, b].argmax(axis=1)
        np.testing.assert_array_equal(action["power_w"].argmax(axis=1), best)
        assert (np.count_nonzero(action["power_w"], axis=1) == 1).all()


@pytest.mark.parametrize("changes", NETWORKS)
def test_fp_and_wmmse_from_one_start_find_the_same_powers(changes: dict[str, Any]) -> None:
    info, gains = info_and_gains(build(replace(CELLS, **changes), seed=3, replicas=50))
    rng, settings = np.random.default_rng(1), OptimiserSettings(iterations=15, tolerance=0.0)
    first, second = (solve(step, settings, info, gains, rng) for step in (fp.step, wmmse.step))
    np.testing.assert_allclose(first, second, atol=1e-4)


@pytest.mark.parametrize("changes", NETWORKS)
def test_the_problem_that_is_solved_is_the_worlds(changes: dict[str, Any]) -> None:
    world = build(replace(CELLS, **changes), seed=3, replicas=20)
    info, gains = info_and_gains(world)
    shares = solve(fp.step, OptimiserSettings(), info, gains, np.random.default_rng(1))
    actions = [space.empty(20) for space in world.actions]
    for b, action in enumerate(actions):
        action["power_w"] = shares[:, b] * np.float32(info.max_power_w)
    after, outcome = world.transmit(world.begin(world.reset(), 0), actions)
    expected = sum_rate_problem(info, gains).sum_rate(shares.reshape(20, -1).astype(float) * info.max_power_w)
    subbands = info.users if info.interference == "other_cells" else 1
    np.testing.assert_allclose(outcome.rewards.sum(axis=0) * subbands, expected, rtol=1e-5)
    np.testing.assert_allclose(after.last.powers_w, shares * info.max_power_w, rtol=1e-5, atol=1e-9)  # not scaled down


def test_fp_is_near_the_best_powers_of_a_grid() -> None:
    world = build(CELLS, seed=3, replicas=30)
    info, gains = info_and_gains(world)
    problem = sum_rate_problem(info, gains)
    grid = np.array(list(product([0.0, 0.1, 0.3, 1.0], repeat=6))) * info.max_power_w
    best = np.max([problem.sum_rate(np.broadcast_to(powers, (30, 6))) for powers in grid], axis=0)
    settings = OptimiserSettings(starts=20)
    shares = solve(fp.step, settings, info, gains, np.random.default_rng(1)).reshape(30, 6).astype(float)
    found = problem.sum_rate(shares * info.max_power_w)
    assert (found >= 0.98 * best).all()  # FP ends in local optima
    assert found.mean() >= 0.999 * best.mean()


def test_optimised_powers_earn_more_than_simple_ones_and_more_starts_are_never_worse() -> None:
    full, strongest = played("max_power"), played("strongest_user")
    one, many = (played("fp", OptimiserSettings(starts=starts)) for starts in (1, 10))
    assert full < 0.6 * one
    assert one <= many
    assert strongest > 0.9 * one


@pytest.mark.parametrize(("precision", "size"), [("float32", 4), ("float16", 2), ("int8", 1)])
def test_the_cloud_gets_k_b_squared_scalars_and_sends_k_b(precision: Any, size: int) -> None:
    one = stage("fp", OptimiserSettings(csi=precision, powers=precision), replicas=1)
    assert dict(one.note_bytes) == {Kind.CSI: 18 * size, Kind.DECISION: 6 * size}
    assert played("fp", OptimiserSettings(csi=precision)) == pytest.approx(played("fp"), rel=0.02)


def test_a_bs_whose_csi_is_lost_counts_with_the_mean() -> None:
    one = Stage(WORLD.build(CELLS, seed=1, replicas=4), load("khan2020/wmmse"), replicas=4)
    whole = one.policies[-1].on_turn

    def without_first(turn: Any) -> Any:
        return whole(turn._replace(inbox=[note for note in turn.inbox if note.source != 0]))

    one.policies[-1].on_turn = without_first  # type: ignore[method-assign]
    one.play_slot()
    assert [action["power_w"].max() > 0 for action in one.actions] == [True, True, True]

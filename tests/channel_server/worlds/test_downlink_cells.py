"""The downlink of several cells: gains, rates against a slow loop, budgets, episodes, and the networks of its kin."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from airtoll.testing import check_world
from channel_server.radio.decibels import to_db
from channel_server.radio.path_loss import BoundedPowerLaw, PathLoss
from channel_server.worlds.downlink_cells import KIN, Cells, DownlinkCells, State, build
from protocol.messages.episodes import TERMINATED, TRUNCATED
from protocol.messages.spaces import Records

Powers = npt.NDArray[np.float64]


def world(replicas: int = 3, **changes: Any) -> Cells:
    return build(replace(DownlinkCells(), **changes), seed=5, replicas=replicas)


def first(cells: Cells) -> State:
    return cells.begin(cells.reset(), 0)


def actions(cells: Cells, powers_w: Powers) -> list[Records]:
    """[E, B, K] as actions."""
    records = [space.empty(len(powers_w)) for space in cells.actions]
    for b, record in enumerate(records):
        record["power_w"] = powers_w[:, b]
    return records


def some_powers(cells: Cells) -> Powers:
    shape = (cells.replicas, cells.params.cells, cells.params.users)
    drawn = np.random.default_rng(1).uniform(0, cells.params.max_power_w, shape)
    return np.asarray(drawn.astype(np.float32).astype(float))


def test_the_bounded_path_loss_of_exponent_3_76_is_that_of_3gpp() -> None:
    distance_m = np.geomspace(50, 5000, 30)
    bounded, log_distance = BoundedPowerLaw(0.392, 3.76), PathLoss(128.1, 37.6, 1.0)
    np.testing.assert_allclose(bounded.loss_db(distance_m), log_distance.loss_db(distance_m), atol=0.2)


@pytest.mark.parametrize("budget", ["per_user", "per_bs"])
@pytest.mark.parametrize("interference", ["all", "other_cells"])
def test_rates_are_those_of_a_slow_loop(budget: str, interference: str) -> None:
    cells = world(cells=4, users=3, power_budget=budget, interference=interference)
    state, powers = first(cells), some_powers(cells)
    after, outcome = cells.transmit(state, actions(cells, powers))
    e, b_, k_ = powers.shape
    z = cells.params.noise_w / (k_ if interference == "other_cells" else 1)
    for r in range(e):
        sent = powers[r].copy()
        if budget == "per_bs":
            for b in range(b_):
                if sent[b].sum() > cells.params.max_power_w:
                    sent[b] *= cells.params.max_power_w / sent[b].sum()
        for b, k in np.ndindex(b_, k_):
            interference_w = 0.0
            for c, j in np.ndindex(b_, k_):
                same_band = interference == "all" or j == k
                if (c, j) != (b, k) and same_band:
                    interference_w += sent[c, j] * state.gain[r, c, b, k]
            rate = np.log2(1 + sent[b, k] * state.gain[r, b, b, k] / (interference_w + z))
            rate /= k_ if interference == "other_cells" else 1
            assert after.last.rate_bps_hz[r, b, k] == pytest.approx(rate, rel=1e-9)
        assert outcome.rewards[:, r].sum() == pytest.approx(after.last.rate_bps_hz[r].sum())
    assert outcome.sums[1] / outcome.counts[1] == pytest.approx(20 * outcome.sums[0] / outcome.counts[0])
    assert outcome.sums[2] == pytest.approx(after.last.powers_w.sum())
    assert outcome.sums[3] / outcome.counts[3] == pytest.approx(outcome.sums[1] / outcome.sums[2])


def test_readings_of_the_noise_follow_from_density_figure_and_band() -> None:
    band_db = to_db(20e6)
    assert -150 + band_db == pytest.approx(-77, abs=0.05)
    assert -150 + 9 + band_db == pytest.approx(-68, abs=0.05)
    assert -174 + 9 + band_db == pytest.approx(-92, abs=0.05)
    assert world(noise_dbm=-77.0).params.noise_w == pytest.approx(10**-10.7)


def test_three_cells_are_mutual_neighbours_and_users_lie_in_their_disc() -> None:
    cells = world(replicas=400)
    sites_m = cells.places.sites_m
    apart_m = np.hypot(*(sites_m[:, None] - sites_m).transpose(2, 0, 1))
    np.testing.assert_allclose(apart_m[~np.eye(3, dtype=bool)], np.sqrt(3) * 1000)
    from_bs_m = np.hypot(*(first(cells).users_m - sites_m[:, None]).transpose(3, 0, 1, 2))
    assert from_bs_m.max() <= 1000
    assert np.mean(from_bs_m < 500) == pytest.approx(0.25, abs=0.03)  # uniform over the area


@pytest.mark.parametrize("area", ["disc", "hexagon"])
def test_no_user_is_nearer_than_the_minimum(area: str) -> None:
    cells = world(replicas=200, user_area=area, min_distance_m=300.0)
    from_bs_m = np.hypot(*(first(cells).users_m - cells.places.sites_m[:, None]).transpose(3, 0, 1, 2))
    assert from_bs_m.min() >= 300
    assert from_bs_m.max() <= 1000 * 1.0001


def test_typical_gains_are_those_of_many_draws() -> None:
    cells = world(replicas=3000)
    gain_db, own = to_db(first(cells).gain), np.eye(3, dtype=bool)
    for name, mask in (("own", own), ("other", ~own)):
        mean, deviation = cells.places.typical_db[name]
        assert gain_db[:, mask].mean() == pytest.approx(mean, abs=0.5)
        assert gain_db[:, mask].std() == pytest.approx(deviation, abs=0.5)


def test_an_episode_of_one_slot_is_over_and_a_longer_one_is_cut_off() -> None:
    one, three, endless = (world(redraw_every_slots=n) for n in (1, 3, 0))
    silent = actions(one, np.zeros((3, 3, 2)))
    assert np.all(one.transmit(first(one), silent)[1].ended == TERMINATED)
    assert endless.transmit(first(endless), silent)[1].ended is None
    state, ends = three.reset(), []
    for slot in range(3):
        state = three.begin(state, slot)
        state, outcome = three.transmit(state, silent)
        ends.append(outcome.ended)
    assert [set(np.asarray(end).tolist()) for end in ends] == [{0}, {0}, {TRUNCATED}]


def test_places_are_drawn_anew_in_the_replicas_that_restart_alone() -> None:
    cells = world(redraw_every_slots=5)
    state = first(cells)
    after = cells.begin(state, 1, np.array([True, False, False]))
    assert (after.users_m[0] != state.users_m[0]).all()
    np.testing.assert_array_equal(after.users_m[1:], state.users_m[1:])
    np.testing.assert_array_equal(after.age, [0, 1, 1])
    for_good = world(redraw_every_slots=0)
    state = first(for_good)
    again = for_good.begin(state, 1, np.ones(3, bool))
    np.testing.assert_array_equal(again.users_m, state.users_m)


def test_fading_is_fresh_correlated_or_none() -> None:
    def correlation(**changes: Any) -> float:
        cells = world(replicas=2000, redraw_every_slots=0, **changes)
        state = first(cells)
        later = cells.begin(state, 1)
        before, after = ((s.gain / s.mean_gain).ravel() for s in (state, later))
        return float(np.corrcoef(before, after)[0, 1])

    rho = 0.642  # J0(2 pi 10 Hz 20 ms)
    assert correlation() == pytest.approx(0, abs=0.03)
    assert correlation(fading="jakes") == pytest.approx(rho**2, abs=0.05)  # of |h|^2
    still = world(fading="none")
    np.testing.assert_array_equal(first(still).gain, first(still).mean_gain)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"wraparound": True}, "do not tile"),
        ({"min_distance_m": 1000.0}, "leaves no place"),
        ({"path_loss": "log_distance"}, "set min_distance_m"),
    ],
)
def test_impossible_parameters_are_rejected_with_a_fix(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        world(**changes)


@pytest.mark.parametrize("kin", KIN.values(), ids=KIN)
def test_networks_of_its_kin_are_worlds(kin: dict[str, Any]) -> None:
    check_world("downlink_cells", params=kin | {"redraw_every_slots": min(7, kin.get("redraw_every_slots", 1))})

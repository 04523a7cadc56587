"""The D2D cell: eq. (1)-(7) against a slow loop and by hand, its fading, what nodes measure, known numbers."""

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from channel_server.worlds.contract import SlotOutcome
from channel_server.worlds.d2d_underlay import WORLD, CellState, D2DCell, D2DUnderlay
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.kinds import TRAINER, Kind, LinkClass
from protocol.messages.spaces import Records

VIEWS = ("observation", "receiver", "csi", "interference", "probe")


def cell(params: D2DUnderlay, *, seed: int = 1, replicas: int = 1) -> D2DCell:
    world = WORLD.build(params, seed=seed, replicas=replicas)
    assert isinstance(world, D2DCell)
    return world


def some_actions(world: D2DCell, seed: int, *, silence: bool = True) -> list[Records]:
    rng = np.random.default_rng(seed)
    actions = [world.random(n, rng) for n in range(world.params.pairs)]
    for records in actions:
        records["rb"][rng.random(world.replicas) < 0.2 * silence] = -1
    return actions


def on_rbs(world: D2DCell, rbs: list[int]) -> list[Records]:
    actions = [world.silent(n) for n in range(world.params.pairs)]
    for records, rb in zip(actions, rbs, strict=True):
        records["rb"] = rb
    return actions


def opened(world: D2DCell, slot: int = 0) -> CellState:
    return world.begin(world.reset(), slot)


def metrics(outcome: SlotOutcome, world: D2DCell) -> dict[str, float]:
    ratios = outcome.sums / outcome.counts
    return {metric.name: float(ratio) for metric, ratio in zip(world.metrics, ratios, strict=True)}


# physics against a slow loop and by hand


def slow_slot(world: D2DCell, state: CellState, actions: list[Records], e: int) -> dict[str, Any]:
    """One replica of eq. (1-7) in plain Python."""
    params, links = world.params, world.geometry.links
    gain = {name: links.group(state.gain, name)[e].tolist() for name in links.shapes}
    bs_w = 10 ** (params.bs_power_dbm / 10 - 3) / (params.rbs if params.bs_power_split == "total" else 1)
    noise_w = 10 ** ((params.noise_density_dbm_hz + params.noise_figure_db) / 10 - 3) * params.rb_width_hz
    rb = [int(records["rb"][e]) for records in actions]
    level = [int(records["power"][e]) if params.power_levels > 1 else 0 for records in actions]
    power_w = [10 ** ((params.d2d_power_dbm - step * params.power_step_db) / 10 - 3) for step in level]
    pairs = range(params.pairs)
    cue_sinr = []
    for k in range(params.rbs):
        interference_w = sum(power_w[n] * gain["cue"][n][k] for n in pairs if rb[n] == k)
        cue_sinr.append(bs_w * gain["bs_cue"][k] / (interference_w + noise_w))
    sinr: list[float] = []
    rewards: list[float] = []
    outage: list[float] = []
    for n in pairs:
        k = rb[n]
        if k < 0:
            for silent in (sinr, rewards, outage):
                silent.append(0)
            continue
        interference_w = sum(power_w[i] * gain["d2d"][i][k][n] for i in pairs if i != n and rb[i] == k)
        sinr.append(power_w[n] * gain["d2d"][n][k][n] / (bs_w * gain["bs_rx"][n][k] + interference_w + noise_w))
        outage.append(int(cue_sinr[k] < 10 ** (params.cue_threshold_db / 10)))
        rewards.append(params.negative_reward if outage[-1] else math.log2(1 + sinr[-1]))
    return {"sinr": sinr, "cue_sinr": cue_sinr, "rewards": rewards, "outage": outage}


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("split", ["total", "per_rb"])
@pytest.mark.parametrize("intercept_db", [148.0, 128.1])
@pytest.mark.parametrize("power_levels", [1, 3])
def test_a_slot_equals_the_slow_loop(replicas: int, split: Any, intercept_db: float, power_levels: int) -> None:
    params = D2DUnderlay(
        pairs=7, rbs=3, bs_power_split=split, d2d_intercept_db=intercept_db, power_levels=power_levels,
        cue_threshold_db=45.0,
    )  # fmt: skip
    world = cell(params, replicas=replicas)
    state = world.reset()
    penalties = 0
    for slot in range(8):
        state = world.begin(state, slot)
        actions = some_actions(world, slot)
        slow = [slow_slot(world, state, actions, e) for e in range(replicas)]
        state, outcome = world.transmit(state, actions)
        np.testing.assert_allclose(state.last.sinr, [s["sinr"] for s in slow], rtol=1e-9)
        np.testing.assert_allclose(state.last.cue_sinr, [s["cue_sinr"] for s in slow], rtol=1e-9)
        np.testing.assert_allclose(outcome.rewards.T, [s["rewards"] for s in slow], rtol=1e-9)
        bits = [np.frombuffer(sent.note.body, np.uint8).tolist() for sent in world.report(state, "outage")]
        assert np.transpose(bits).tolist() == [s["outage"] for s in slow]
        expected = metrics_of(slow, params)
        assert metrics(outcome, world) == pytest.approx(expected)
        penalties += sum(sum(s["outage"]) for s in slow)
    assert penalties > 0


def metrics_of(slow: list[dict[str, Any]], params: D2DUnderlay) -> dict[str, float]:
    each = len(slow)
    sinr = [x for s in slow for x in s["sinr"]]
    cue_sinr = [x for s in slow for x in s["cue_sinr"]]
    d2d_threshold, cue_threshold = 10 ** (params.d2d_threshold_db / 10), 10 ** (params.cue_threshold_db / 10)
    return {
        "reward_total": sum(sum(s["rewards"]) for s in slow) / each,
        "cellular_outage": sum(x < cue_threshold for x in cue_sinr) / len(cue_sinr),
        "d2d_outage": sum(x < d2d_threshold for x in sinr) / len(sinr),
        "d2d_sum_rate_bps_hz": sum(math.log2(1 + x) for x in sinr) / each,
        "cellular_sum_rate_bps_hz": sum(math.log2(1 + x) for x in cue_sinr) / each,
        "penalised_pairs": sum(sum(s["outage"]) for s in slow) / len(sinr),
    }


def test_two_pairs_by_hand_from_their_places() -> None:
    world = cell(D2DUnderlay(pairs=2, rbs=1, fading="none"))
    tx, rx, cue = world.geometry.tx_m[0], world.geometry.rx_m[0], world.geometry.cue_m[0, 0]
    bs_w, d2d_w = 10 ** (46 / 10 - 3), 10 ** (13 / 10 - 3)
    noise_w = 10 ** ((-174 + 8) / 10 - 3) * 180e3

    def d2d(a: Any, b: Any) -> float:
        return float(10 ** (-(148 + 40 * math.log10(max(math.dist(a, b), 1.0) / 1000)) / 10))

    def cellular(b: Any) -> float:
        return float(10 ** (-(128.1 + 37.6 * math.log10(math.dist((0, 0), b) / 1000)) / 10))

    state, _ = world.transmit(opened(world), on_rbs(world, [0, 0]))
    signal_w = d2d_w * d2d(tx[0], rx[0])
    sinr = signal_w / (bs_w * cellular(rx[0]) + d2d_w * d2d(tx[1], rx[0]) + noise_w)
    cue_sinr = bs_w * cellular(cue) / (d2d_w * (d2d(tx[0], cue) + d2d(tx[1], cue)) + noise_w)
    assert state.last.sinr[0, 0] == pytest.approx(sinr)
    assert state.last.cue_sinr[0, 0] == pytest.approx(cue_sinr)


def test_all_users_are_dropped_in_the_cell() -> None:
    world = cell(D2DUnderlay(pairs=50), replicas=20)
    assert np.hypot(*np.moveaxis(world.geometry.tx_m, -1, 0)).max() < 500
    assert np.hypot(*np.moveaxis(world.geometry.cue_m, -1, 0)).max() < 500
    apart_m = np.hypot(*np.moveaxis(world.geometry.rx_m - world.geometry.tx_m, -1, 0))
    assert apart_m.max() < 30
    assert apart_m.mean() == pytest.approx(20.0, abs=0.8)  # 2/3 of the radius


def test_outage_of_a_single_link_under_rayleigh_fading() -> None:
    world = cell(D2DUnderlay(pairs=1, rbs=1, bs_power_dbm=-300.0, d2d_power_dbm=-35.0), replicas=400)
    mean_snr = world.geometry.links.group(world.reset().gain, "d2d")[:, 0, 0, 0] * 10**-6.5 / 4.4978e-15
    expected = float(np.mean(1 - np.exp(-1 / mean_snr)))
    state, outages = world.reset(), []
    for slot in range(100):
        state, outcome = world.transmit(world.begin(state, slot), on_rbs(world, [0]))
        outages.append(metrics(outcome, world)["d2d_outage"])
    assert 0.1 < expected < 0.9
    assert np.mean(outages) == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(400 * 100))


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_fading_is_correlated_as_asked(rho: float) -> None:
    world = cell(D2DUnderlay(pairs=20, fading_correlation=rho), replicas=10)
    state = opened(world)
    later = world.begin(state, 1)
    mean = world.reset().gain
    correlation = np.corrcoef((state.gain / mean).ravel(), (later.gain / mean).ravel())[0, 1]
    assert correlation == pytest.approx(rho**2, abs=0.02)  # of the powers
    assert (later.gain / mean).mean() == pytest.approx(1.0, abs=0.02)


def test_another_pair_on_an_rb_never_lowers_its_interference() -> None:
    world = cell(D2DUnderlay(pairs=4, rbs=2))
    state = opened(world)
    without, few = world.transmit(state, on_rbs(world, [0, 0, 1, -1]))
    joined, more = world.transmit(state, on_rbs(world, [0, 0, 1, 0]))
    assert (joined.last.interference_w >= without.last.interference_w).all()
    assert (joined.last.interference_w[0, :3, 0] > without.last.interference_w[0, :3, 0]).all()
    assert (joined.last.sinr[0, :2] < without.last.sinr[0, :2]).all()
    assert (joined.last.cue_sinr <= without.last.cue_sinr).all()
    assert more.rewards[2] == few.rewards[2]  # the other RB is unaffected


def test_silence_radiates_nothing_and_earns_nothing() -> None:
    world = cell(D2DUnderlay(pairs=3, rbs=2, cue_threshold_db=200.0))
    state, outcome = world.transmit(opened(world), on_rbs(world, [-1, -1, 0]))
    assert outcome.rewards[:, 0].tolist() == [0.0, 0.0, -1.0]
    assert [sent.note.body for sent in world.report(state, "outage")] == [b"\0", b"\0", b"\1"]
    bs_alone = 10 ** (46 / 10 - 3) / 2 * world.geometry.links.group(state.gain, "bs_rx")[0, 2]
    np.testing.assert_allclose(state.last.interference_w[0, 2], bs_alone)


# fading and drops


def test_the_same_seed_draws_the_same_whatever_the_actions() -> None:
    world, twin = (cell(D2DUnderlay(fading_correlation=0.5), replicas=2) for _ in range(2))
    state, other = world.reset(), twin.reset()
    for slot in range(4):
        state, other = world.begin(state, slot), twin.begin(other, slot)
        np.testing.assert_array_equal(state.gain, other.gain)
        state, _ = world.transmit(state, some_actions(world, slot))
        other, _ = twin.transmit(twin.probe(other, some_actions(twin, 50)), some_actions(twin, 100 + slot))
        assert state.last.rb.tolist() != other.last.rb.tolist()


def test_other_seeds_slots_and_replicas_differ() -> None:
    world = cell(D2DUnderlay(), replicas=2)
    first = world.begin(world.reset(), 0).gain
    assert (first[0] != first[1]).all()
    assert (world.begin(world.reset(), 1).gain != first).all()
    assert (cell(D2DUnderlay(), seed=2, replicas=2).reset().gain != world.reset().gain).mean() > 0.99


def test_a_new_episode_has_fading_without_a_past_and_leaves_the_last_reception_readable() -> None:
    world = cell(D2DUnderlay(fading_correlation=0.9), replicas=2)
    state, _ = world.transmit(world.begin(world.reset(), 0), some_actions(world, 1))
    one, none = world.begin(state, 1, np.array([True, False])), world.begin(state, 1)
    assert (one.gain[0] != none.gain[0]).all()
    np.testing.assert_array_equal(one.gain[1], none.gain[1])
    np.testing.assert_array_equal(one.last.sinr, state.last.sinr)


def test_the_first_replica_is_the_run_without_replicas() -> None:
    one, three = cell(D2DUnderlay()), cell(D2DUnderlay(), replicas=3)
    np.testing.assert_array_equal(opened(one).gain[0], opened(three).gain[0])


# measurements and reports


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("observation", ["per_rb", "compact"])
def test_records_have_the_announced_spaces(view: str, observation: Any) -> None:
    world = cell(D2DUnderlay(pairs=3, rbs=4, observation=observation), replicas=2)
    records = world.measure(opened(world), view)
    assert len(records) == 3
    for space, mine in zip(world.views[view], records, strict=True):
        assert mine.shape == (2,)
        np.testing.assert_array_equal(space.decode(mine.tobytes()), mine)
        assert all(np.isfinite(mine[name]).all() for name in mine.dtype.names or ())


def test_an_unknown_view_or_report_is_a_key_error() -> None:
    world = cell(D2DUnderlay())
    with pytest.raises(KeyError):
        world.measure(world.reset(), "everything")
    with pytest.raises(KeyError):
        world.report(world.reset(), "everything")


def test_before_the_first_slot_a_pair_reads_noise() -> None:
    world = cell(D2DUnderlay())
    noise_dbm = -174 + 10 * math.log10(180e3) + 8
    seen = world.measure(opened(world), "observation")[0]
    assert seen["last_rb"] == -1
    assert seen["interference_dbm"] == pytest.approx(noise_dbm, abs=1e-3)
    assert world.measure(opened(world), "interference")[0]["interference_over_noise"] == 1.0


def test_a_pair_can_compute_its_last_sinr_from_its_own_observations() -> None:
    world = cell(D2DUnderlay(pairs=5, rbs=2))
    state, noise_w = opened(world), world.static_info(0)["noise_w"]
    before = world.measure(state, "observation")
    state, _ = world.transmit(state, on_rbs(world, [0, 0, 1, 1, 1]))
    after, measured = world.measure(state, "observation"), world.measure(state, "interference")
    for n, rb in enumerate([0, 0, 1, 1, 1]):
        signal_w = 10 ** (float(before[n]["own_gain_db"][0, rb]) / 10) * world.static_info(n)["d2d_powers_w"][0]
        interference_w = 10 ** (float(after[n]["interference_dbm"][0, rb]) / 10 - 3)
        assert float(measured[n]["sinr"][0]) == pytest.approx(signal_w / (interference_w + noise_w), rel=1e-4)
        assert float(measured[n]["interference_over_noise"][0]) == pytest.approx(interference_w / noise_w, rel=1e-4)
        assert int(measured[n]["last_rb"][0]) == int(after[n]["last_rb"][0]) == rb


def test_compact_observations_summarise_the_same_slot() -> None:
    wide, compact = cell(D2DUnderlay()), cell(D2DUnderlay(observation="compact"))
    states = []
    for world in (wide, compact):
        state, _ = world.transmit(opened(world), some_actions(world, 1, silence=False))
        states.append(world.measure(state, "observation"))
    for full, short in zip(*states, strict=True):
        rb = int(short["last_rb"][0])
        np.testing.assert_array_equal(full["own_gain_db"], short["own_gain_db"])
        assert short["interference_dbm"][0] == full["interference_dbm"][0, rb]
        assert 10 ** (short["bs_gain_db"][0] / 10) == pytest.approx((10 ** (full["bs_gain_db"] / 10)).mean(), rel=1e-4)


def test_csi_holds_the_own_gain_of_the_receiver_view() -> None:
    world = cell(D2DUnderlay(pairs=4, rbs=3), replicas=2)
    csi, receiver = (world.measure(opened(world), view) for view in ("csi", "receiver"))
    for n in range(4):
        np.testing.assert_array_equal(csi[n]["d2d_gain_db"][:, n], receiver[n]["own_gain_db"])
        np.testing.assert_array_equal(csi[n]["bs_gain_db"], receiver[n]["bs_gain_db"])


def test_a_probe_shows_what_transmitting_would_do_and_changes_nothing() -> None:
    world = cell(D2DUnderlay(), replicas=2)
    state, actions = opened(world), some_actions(world, 4)
    tried = world.probe(state, actions)
    shown = world.measure(tried, "probe")
    after, outcome = world.transmit(state, actions)
    after_probe, same = world.transmit(tried, actions)
    np.testing.assert_array_equal(shown, world.measure(after, "interference"))
    np.testing.assert_array_equal(outcome.rewards, same.rewards)
    np.testing.assert_array_equal(tried.gain, state.gain)
    assert world.measure(tried, "observation")[0]["last_rb"].tolist() == [-1, -1]
    assert world.measure(world.begin(after_probe, 1), "probe")[0]["last_rb"].tolist() == [-1, -1]


def test_outage_bits_follow_the_penalties() -> None:
    world = cell(D2DUnderlay(pairs=40, d2d_intercept_db=128.1), replicas=3)
    state, outcome = world.transmit(opened(world), some_actions(world, 2))
    sent = world.report(state, "outage")
    bits = np.array([np.frombuffer(t.note.body, np.uint8) for t in sent])
    np.testing.assert_array_equal(bits == 1, outcome.rewards == -1.0)
    assert 0 < bits.sum() < bits.size
    assert {world.infrastructure[t.source] for t in sent} == {"bs"}
    assert [t.note.to for t in sent] == [(n,) for n in range(40)]
    assert sent[0].note.kind is Kind.FEEDBACK
    alone = cell(D2DUnderlay())
    note = alone.report(alone.reset(), "outage")[0].note
    assert (len(note.body), note.payload_bits) == (1, 1)


def test_cellular_users_send_the_trainer_the_gains_on_their_rb() -> None:
    world = cell(D2DUnderlay(pairs=4, rbs=3), replicas=2)
    state = opened(world)
    sent = world.report(state, "cue_csi")
    assert [world.infrastructure[t.source] for t in sent] == ["cue-0", "cue-1", "cue-2"]
    for m, (_, note) in enumerate(sent):
        gains = np.frombuffer(note.body, "<f4").reshape(2, 5)
        np.testing.assert_allclose(gains[:, :4], world.geometry.links.group(state.gain, "cue")[:, :, m], rtol=1e-6)
        np.testing.assert_allclose(gains[:, 4], world.geometry.links.group(state.gain, "bs_cue")[:, m], rtol=1e-6)
        assert (note.to, note.kind, note.payload_bits) == ((TRAINER,), Kind.CSI, None)


def test_neighbours_are_the_nearest_and_never_oneself() -> None:
    world = cell(D2DUnderlay(pairs=6, neighbours=2))
    apart_m = np.hypot(*np.moveaxis(world.geometry.tx_m[0][:, None] - world.geometry.tx_m[0], -1, 0))
    for n, near in enumerate(world.neighbours(world.reset())):
        assert len(near) == 2
        assert n not in near
        assert list(near) == sorted(np.argsort(apart_m[n])[1:3])
    assert cell(D2DUnderlay(pairs=2)).neighbours(world.reset()) == ((1,), (0,))
    assert cell(D2DUnderlay(pairs=1)).neighbours(world.reset()) == ((),)


def test_static_information_is_plain_and_typical_decibels_are_those_of_drops() -> None:
    world = cell(D2DUnderlay(pairs=5, min_bs_distance_m=1e-3, min_d2d_distance_m=1e-3), replicas=3000)
    static_info = msgspec.msgpack.decode(msgspec.msgpack.encode(world.static_info(5)))
    nearest = static_info.pop("nearest")  # only the BS/cloud knows which pairs are near each other
    assert [sorted([n, *others]) for n, others in enumerate(nearest)] == [[0, 1, 2, 3, 4]] * 5
    assert static_info == world.static_info(0)
    for name in ("own_gain_db", "bs_gain_db"):
        seen = np.array([records[name] for records in world.measure(opened(world), "observation")])
        assert static_info["typical_db"][name] == pytest.approx((seen.mean(), seen.std()), abs=0.4)


def test_privileged_information_has_the_mean_gains_of_many_slots() -> None:
    world = cell(D2DUnderlay(pairs=3, rbs=2), replicas=2)
    known = msgspec.msgpack.decode(msgspec.msgpack.encode(world.privileged_info()))
    seen = [world.measure(world.begin(world.reset(), slot), "csi") for slot in range(4000)]
    for n in range(3):
        d2d = np.mean([10 ** (records[n]["d2d_gain_db"].astype(float) / 10) for records in seen], axis=0)  # [E, tx, RB]
        from_bs = np.mean([10 ** (records[n]["bs_gain_db"].astype(float) / 10) for records in seen], axis=0)  # [E, RB]
        assert d2d.mean(axis=2) == pytest.approx(np.array(known["mean_d2d"])[:, :, n], rel=0.06)
        assert from_bs.mean(axis=1) == pytest.approx(np.array(known["mean_bs_rx"])[:, n], rel=0.06)
    at_cues = [np.frombuffer(report.note.body, "<f4") for report in world.report(world.reset(), "cue_csi")]
    without_fading = np.array(at_cues).reshape(2, 2, 4)  # [K, E, N + 1], before the first slot
    assert without_fading[..., :3].transpose(1, 2, 0) == pytest.approx(np.array(known["mean_cue"]), rel=1e-6)
    assert pytest.approx(np.array(known["mean_bs_cue"]), rel=1e-6) == without_fading[..., 3].T
    assert known["fading"] == "rayleigh"


def test_actions_of_the_world_lie_in_their_spaces() -> None:
    for levels in (1, 3):
        world = cell(D2DUnderlay(pairs=2, rbs=3, power_levels=levels), replicas=50)
        fits = world.actions[0].checker(50)
        drawn = world.random(0, np.random.default_rng(1))
        assert fits(drawn.tobytes())
        assert set(drawn["rb"].tolist()) == {0, 1, 2}
        assert fits(world.silent(1).tobytes())
        drawn["rb"][7] = 3
        assert not fits(drawn.tobytes())


# locality and snapshots


@pytest.mark.parametrize("view", [*VIEWS, ""])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_resampling_what_a_pair_cannot_measure_keeps_its_measurement(view: str, rho: float) -> None:
    world = cell(D2DUnderlay(pairs=5, rbs=3, fading_correlation=rho), replicas=2)
    state, _ = world.transmit(opened(world), some_actions(world, 1))
    state = world.probe(world.begin(state, 1), some_actions(world, 2))
    resampled = world.resample_unobserved(state, view, 2, np.random.default_rng(5))
    assert (resampled.gain != state.gain).mean() > 0.5
    assert resampled.last.rb.tolist() != state.last.rb.tolist()
    if not view:
        return
    seen = zip(world.measure(state, view), world.measure(resampled, view), strict=True)
    assert [mine.tobytes() == other.tobytes() for mine, other in seen] == [False, False, True, False, False]


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_a_restored_state_continues_as_if_uninterrupted(rho: float) -> None:
    world = cell(D2DUnderlay(fading_correlation=rho), replicas=2)
    state, _ = world.transmit(opened(world), some_actions(world, 1))
    state = world.probe(state, some_actions(world, 9))
    again = cell(world.params, replicas=2)
    restored = again.restore(unpack(pack(world.snapshot(state))))
    for view in VIEWS:
        np.testing.assert_array_equal(again.measure(restored, view), world.measure(state, view))
    first, second = world.begin(state, 1), again.begin(restored, 1)
    np.testing.assert_array_equal(first.gain, second.gain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_d2d_distance_m": 30.0}, "min_d2d_distance_m 30.0 must lie below"),
        ({"min_bs_distance_m": 600.0}, "min_bs_distance_m 600.0 must lie below"),
        ({"fading": "none", "fading_correlation": 0.5}, "set it to 0 or fading to 'rayleigh'"),
    ],
)
def test_impossible_parameters_are_rejected_with_a_suggestion(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cell(replace(D2DUnderlay(), **change))


# the numbers of random allocation


@pytest.mark.parametrize(
    ("change", "pairs", "cellular_outage", "d2d_outage", "d2d_rate_bps_hz"),
    [
        ({}, 10, 0.005, 0.28, None),
        ({}, 30, 0.015, 0.28, None),
        ({}, 50, 0.027, 0.29, None),
        ({"bs_power_split": "per_rb"}, 10, 0.002, 0.60, None),
        ({"bs_power_split": "per_rb"}, 30, 0.005, 0.60, None),
        ({"bs_power_split": "per_rb"}, 50, 0.009, 0.60, None),
        ({"d2d_intercept_db": 128.1}, 10, 0.047, 0.030, 89.0),
        ({"d2d_intercept_db": 128.1}, 30, 0.126, 0.035, 259.0),
        ({"d2d_intercept_db": 128.1}, 50, 0.200, 0.044, 416.0),
    ],
)
def test_random_allocation_has_the_known_numbers(
    change: dict[str, Any], pairs: int, cellular_outage: float, d2d_outage: float, d2d_rate_bps_hz: float | None
) -> None:
    """Means over 400 drops of 8 slots. Between drops outages vary so much (a deviation of .016 to .10 for pairs and of
    .003 to .034 for CUEs) that slots beyond a few add nothing: the tolerance is three standard errors of 40 drops."""
    drops, slots = 20, 8
    per_drop: list[list[float]] = []
    for seed in range(400 // drops):
        world = cell(D2DUnderlay(pairs=pairs, **change), seed=seed, replicas=drops)
        state, sums = world.reset(), np.zeros((3, drops))
        for slot in range(slots):
            state, _ = world.transmit(world.begin(state, slot), some_actions(world, slot, silence=False))
            rate = np.log2(1 + state.last.sinr).sum(axis=1)
            sums += [(state.last.cue_sinr < 1).mean(axis=1), (state.last.sinr < 1).mean(axis=1), rate]
        per_drop += (sums / slots).T.tolist()
    tolerance = 3 * np.std(per_drop, axis=0) / np.sqrt(40)
    measured = np.mean(per_drop, axis=0)
    assert measured[0] == pytest.approx(cellular_outage, abs=float(tolerance[0]))
    assert measured[1] == pytest.approx(d2d_outage, abs=float(tolerance[1]))
    if d2d_rate_bps_hz is not None:
        assert measured[2] == pytest.approx(d2d_rate_bps_hz, abs=float(tolerance[2]))


def _efficiency(snr: float) -> float:
    return float(np.log2(1 + snr))


@pytest.mark.parametrize(
    ("source", "receivers", "link", "group", "power_dbm"),
    [
        (1, (0, 2), LinkClass.SIDELINK, lambda n: [("d2d", (1, k, n)) for k in range(2)], 13.0),
        (2, (3,), LinkClass.UPLINK, lambda _: [("bs_tx", (2, k)) for k in range(2)], 13.0),
        (6, (3,), LinkClass.UPLINK, lambda _: [("bs_cue", (1,))], 13.0),
        (3, (0,), LinkClass.DOWNLINK, lambda n: [("bs_tx", (n, k)) for k in range(2)], 46.0 - 10 * np.log10(2)),
        (4, (1, 2), LinkClass.DOWNLINK, lambda n: [("bs_tx", (n, k)) for k in range(2)], 46.0 - 10 * np.log10(2)),
    ],
)
def test_signalling_over_radio_against_a_slow_loop(
    source: int, receivers: tuple[int, ...], link: LinkClass, group: Any, power_dbm: float
) -> None:
    """Three pairs, two RBs: the trainer is 3, the BS 4, the CUEs 5 and 6. The worst receiver counts."""
    world = cell(D2DUnderlay(pairs=3, rbs=2), replicas=2)
    state = world.begin(world.reset(), 3)
    snr = 10 ** ((power_dbm - 30) / 10) / (10 ** ((-174 + 8 - 30) / 10) * 180e3)
    each = []
    for receiver in receivers:
        gains = [
            world.geometry.links.group(state.gain, name)[(e, *at)] for name, at in group(receiver) for e in range(2)
        ]
        each.append(np.mean([_efficiency(snr * gain) for gain in gains]))
    assert world.signalling_bps_hz(state, source, receivers, link) == pytest.approx(min(each))
    assert (world.signalling_band_hz, world.slot_s) == (360e3, 1e-3)


def test_a_backhaul_is_no_radio() -> None:
    world = cell(D2DUnderlay(pairs=3, rbs=2))
    with pytest.raises(ValueError, match="a backhaul is no radio: give it bits_per_slot"):
        world.signalling_bps_hz(world.reset(), 0, (1,), LinkClass.BACKHAUL)


# the map


def test_the_map_shows_the_last_transmission_of_the_first_replica() -> None:
    world = cell(D2DUnderlay(pairs=6, rbs=3), replicas=2)
    state, outcome = world.transmit(opened(world), on_rbs(world, [0, 0, 1, 2, -1, 1]))
    shown = world.render(state)
    transmitters = [point for point in shown.points if point.shape == "marker"]
    assert [point.resource for point in transmitters] == [0, 0, 1, 2, -1, 1]
    np.testing.assert_allclose([(p.x, p.y) for p in transmitters], world.geometry.tx_m[0], atol=0.01)
    cues = [point for point in shown.points if point.label]
    rates = np.log2(1 + state.last.sinr[0])
    blocked = [point.resource != -1 and cues[point.resource or 0].alarm for point in transmitters]
    rewards = np.where(blocked, world.params.negative_reward, rates)
    np.testing.assert_allclose(rewards, outcome.rewards[:, 0], atol=1e-3)
    assert ["in outage" in point.about for point in transmitters if point.resource != -1] == (
        (rates < 1)[np.array([0, 1, 2, 3, 5])].tolist()
    )  # at a threshold of 0 dB
    assert transmitters[4].about == "pair-4: silent"
    (boundary,) = shown.circles
    assert np.hypot(*np.array([(p.x, p.y) for p in cues]).T).max() <= boundary.radius < shown.right
    reuse = [line for line in shown.lines if line.style == "dotted"]
    assert [line.resource for line in reuse] == [0, 0, 1, 2, 1]

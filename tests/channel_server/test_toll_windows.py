"""The windows of the toll: bounds, late rows, the closing turn, snapshots."""

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from channel_server.toll_windows import TollWindows
from protocol.accounting.air_book import AirRow
from protocol.accounting.toll import DeliveryStats, Toll
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.kinds import Kind
from protocol.messages.plan import PhasePlan, RecordPlan, RunPlan
from protocol.messages.telemetry import TollWindow
from tests.airtoll.folders import air
from tests.impairments import MODELS
from tests.plain_toll import grouped, plain_delivery, plain_toll
from tests.recording import in_process, plan_for, stepping


def _plan(*phases: tuple[str, int], window_slots: int) -> RunPlan:
    plans = tuple(PhasePlan(name, slots) for name, slots in phases)  # type: ignore[arg-type]
    record = RecordPlan(values=False, frames_slots=0, window_slots=window_slots)
    return structs.replace(plan_for("li2020/random"), phases=plans, record=record)


def _sent(slot: int, *, until: int = 0, kind: Kind = Kind.CSI, source: int = 0) -> AirRow:
    return structs.replace(air(source, kind), slot=slot, until=until or slot)


def _bounds(windows: list[TollWindow]) -> list[tuple[str, int, int]]:
    return [(window.phase, window.first, window.last) for window in windows]


phases = st.lists(st.tuples(st.sampled_from(["warmup", "train", "eval"]), st.integers(0, 7)), min_size=1, max_size=4)


@given(phases.filter(lambda parts: any(slots for _, slots in parts)), st.integers(1, 9), st.data())
def test_every_row_is_in_the_window_of_its_slot(parts: list[tuple[str, int]], length: int, data: Any) -> None:
    """Windows never cross a phase's end or a multiple of their length, and lose no row, however often they close."""
    plan, slots = _plan(*parts, window_slots=length), sum(slots for _, slots in parts)
    nodes, kinds = st.integers(0, 2), st.sampled_from([Kind.CSI, Kind.ACK])
    row = st.builds(lambda slot, node, kind: _sent(slot, kind=kind, source=node), st.integers(0, slots), nodes, kinds)
    rows = data.draw(st.lists(row, max_size=30))
    toll, windows = TollWindows(plan), list[TollWindow]()
    for one in rows:
        toll.add([one], last=slots - 1)
        if data.draw(st.booleans()):
            windows += toll.close(last=slots - 1)
    windows += toll.close(last=slots - 1)
    phase_of = [name for name, of_phase in parts for _ in range(of_phase)]
    ends = set(accumulate(of_phase for _, of_phase in parts))
    for window in windows:
        assert set(phase_of[window.first : window.last + 1]) == {window.phase}
        assert not any(slot % length == 0 for slot in range(window.first + 1, window.last + 1))
        assert window.last + 1 in ends or (window.last + 1) % length == 0
    sums: dict[tuple[int, int, int, Kind], tuple[Toll, DeliveryStats]] = {}
    for window in windows:
        for counts in window.rows:
            key = (window.first, window.last, counts.source, counts.kind)
            toll_sum, delivery_sum = sums.setdefault(key, (Toll(), DeliveryStats()))
            toll_sum.add(counts.toll)
            delivery_sum.add(counts.delivery)
    expected: dict[tuple[int, int, int, Kind], Any] = {}
    spans = {(window.first, window.last) for window in windows}
    for (slot, node, kind), some in grouped(rows, lambda r: (min(r.slot, slots - 1), r.source, r.kind)).items():
        [(first, last)] = [span for span in spans if span[0] <= slot <= span[1]]
        expected.setdefault((first, last, node, kind), []).extend(some)
    assert sums == {key: (plain_toll(some), plain_delivery(some)) for key, some in expected.items()}


def test_a_late_row_is_added_to_the_window_in_which_its_note_was_sent() -> None:
    toll = TollWindows(_plan(("train", 10), ("eval", 10), window_slots=6))
    toll.add([_sent(2), _sent(4)], last=5)
    assert _bounds(toll.close(last=5)) == [("train", 0, 5)]
    toll.add([_sent(8), _sent(4, until=8)], last=8)
    late, now = toll.close(last=9)
    assert _bounds([late, now]) == [("train", 0, 5), ("train", 6, 9)]
    assert (late.rows[0].toll.notes, late.rows[0].delivery.max_age_slots) == (1, 4)
    assert toll.close(last=9) == []


def test_the_closing_turn_counts_in_the_last_window_that_was_played() -> None:
    toll = TollWindows(_plan(("train", 10), ("eval", 10), window_slots=5))
    toll.add([_sent(20)], last=19)
    assert _bounds(toll.close(last=19)) == [("eval", 15, 19)]
    toll.add([_sent(10)], last=9)  # of a run that was interrupted before slot 10
    assert _bounds(toll.close(last=9)) == [("train", 5, 9)]
    toll.add([_sent(12)], last=11)
    assert _bounds(toll.close(last=11)) == [("eval", 10, 11)]


def test_open_windows_survive_a_snapshot() -> None:
    plan = _plan(("eval", 9), window_slots=4)
    ours, other = TollWindows(plan), TollWindows(plan)
    rows = [_sent(slot, kind=kind, source=slot % 2) for slot in range(6) for kind in (Kind.ACK, Kind.CSI)]
    ours.add(rows, last=5)
    other.restore(unpack(pack(ours.snapshot())))
    for toll in (ours, other):
        toll.add([_sent(6), _sent(1, until=6)], last=6)
    assert other.close(last=6) == ours.close(last=6)


def test_toll_windows_are_those_of_the_metrics() -> None:
    phases = {"slots": None, "phases": {"train": 25, "eval": 20}, "record": {"window_slots": 10}}
    recording = in_process(plan_for("li2020/sla", signalling=MODELS["late"], **phases))
    metrics = [(window.phase, window.first, window.last) for window in recording.windows]
    assert metrics == [
        ("train", 0, 9),
        ("train", 10, 19),
        ("train", 20, 24),
        ("eval", 25, 29),
        ("eval", 30, 39),
        ("eval", 40, 44),
    ]
    assert sorted(set(_bounds(recording.toll)), key=lambda bounds: bounds[1]) == metrics
    assert len(recording.toll) > len(metrics)  # as some rows were booked after the end of their window


@pytest.mark.parametrize(
    ("end", "last"), [("interrupted", 33), ("interrupted while paused", 32), ("failed", 32), ("ended by itself", 59)]
)
def test_however_a_run_ends_its_toll_is_that_of_its_air_book(end: str, last: int) -> None:
    settings: dict[str, Any] = {"record": {"window_slots": 25}, "slots": 60}
    loopback, steps, recording = stepping(plan_for("li2020/sla", signalling=MODELS["all of it"], **settings))
    while loopback.run.slot < 32:
        next(steps)
    if end == "interrupted while paused":
        loopback.send(loopback.run.pause())
    while loopback.run.slot < 33:
        next(steps)
    match end:
        case "interrupted" | "interrupted while paused":
            loopback.send(loopback.run.interrupt())
        case "failed":
            loopback.send(loopback.run.fail("as the test wants it"))
    for _ in steps:
        pass
    sums = Toll()
    for counts in (counts for window in recording.toll for counts in window.rows):
        sums.add(counts.toll)
    assert sums == plain_toll(recording.air)
    assert sums.notes > 0
    assert max(window.last for window in recording.toll) == last

"""When slots begin; the time is an argument."""

import pytest

from channel_server.metronome import Durations, Metronome

SLOT_MS = 10.0


def _begun(*at_ms: float) -> Metronome:
    """Slots 0, 1, ... began at these times."""
    metronome = Metronome(SLOT_MS)
    for slot, ms in enumerate(at_ms):
        metronome.begin(slot, ms / 1000)
    return metronome


def test_slots_are_counted_from_the_first() -> None:
    metronome = _begun(5000.0)
    assert [metronome.begin_of(slot, 9.0) for slot in (1, 2, 100)] == pytest.approx([5.01, 5.02, 6.0])


def test_the_first_begins_at_once() -> None:
    assert Metronome(SLOT_MS).begin_of(0, 7.5) == 7.5


def test_a_slot_that_began_late_delays_no_other_and_lasts_its_whole_time() -> None:
    metronome = _begun(0.0, 10.0, 34.0)
    assert metronome.begin_of(3, 0.034) == pytest.approx(0.03)  # that has passed: it begins at once
    assert metronome.deadline(0.5) == pytest.approx(0.039)


def test_length_and_lateness_are_measured() -> None:
    metronome = _begun(0.0, 10.0, 34.0, 35.0, 40.0)
    length, lateness = metronome.length_s.spread(), metronome.lateness_s.spread()
    assert (length.mean, length.p50, length.max) == pytest.approx((10.0, 5.0, 24.0))
    assert (lateness.mean, lateness.p50, lateness.max) == pytest.approx((19 / 5, 0.0, 14.0))


def test_after_a_rest_the_count_begins_anew() -> None:
    metronome = _begun(0.0, 10.0)
    metronome.rest()
    assert metronome.begin_of(2, 60.0) == 60.0
    metronome.begin(2, 60.0)
    assert metronome.begin_of(3, 60.0) == pytest.approx(60.01)
    assert metronome.length_s.spread().max == pytest.approx(10.0)


def test_a_distribution_of_hundred_times() -> None:
    durations = Durations()
    for ms in range(1, 101):
        durations.add(ms / 1000)
    spread = durations.spread()
    assert (spread.mean, spread.p50, spread.p99, spread.max) == pytest.approx((50.5, 50.0, 99.0, 100.0))


def test_an_empty_distribution_is_zeros() -> None:
    spread = Durations().spread()
    assert (spread.mean, spread.p50, spread.p99, spread.max) == (0.0, 0.0, 0.0, 0.0)

"""The clock of time limits stands while its process is stopped, and only then."""

import pytest

from protocol.transports.running_time import MIN_STOP_S, RunningTime


class System:
    """The system's clocks, as the test sets them."""

    wall = 100.0
    cpu = 3.0

    def pass_by(self, seconds: float, *, running: bool = False) -> None:
        self.wall += seconds
        self.cpu += seconds * running


def _clock() -> tuple[System, RunningTime]:
    system = System()
    return system, RunningTime(lambda: system.wall, lambda: system.cpu, counted_s=0.0)


def test_waiting_and_long_work_count() -> None:
    system, clock = _clock()
    began = clock.now()
    for _ in range(10):
        system.pass_by(MIN_STOP_S)
        clock.now()
    system.pass_by(60.0, running=True)
    assert clock.now() - began == 10 * MIN_STOP_S + 60.0
    assert clock.take_stop() == 0.0


def test_a_stop_does_not_count_and_is_reported_once() -> None:
    system, clock = _clock()
    began = clock.now()
    system.pass_by(3600.0)
    assert clock.now() == began
    system.pass_by(0.1)
    assert clock.now() - began == pytest.approx(0.1)
    assert (clock.take_stop(), clock.take_stop()) == (3600.0, 0.0)


def test_of_a_process_that_is_always_starved_a_part_counts() -> None:
    system = System()
    clock = RunningTime(lambda: system.wall, lambda: system.cpu)
    began = clock.now()
    for _ in range(100):
        system.pass_by(0.6)
        clock.now()
    assert clock.now() - began == pytest.approx(100 * MIN_STOP_S)

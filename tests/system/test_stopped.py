"""All processes of a run are stopped together, as when a laptop sleeps; the channel server continues first."""

import os
import signal
import time

from controller.execution.processes import NodeProcesses
from protocol.messages.telemetry import Event, Progress
from tests.recording import Recording, plan_for
from tests.system.processes import recorded

LOST_AFTER_S, STOPPED_S, EARLY_S = 6.0, 6.5, 0.2


def _signal(processes: NodeProcesses, number: signal.Signals, *, channel: bool) -> None:
    for process in [processes.channel] if channel else processes.nodes.values():
        os.kill(process.pid or 0, number)


def _advance(processes: NodeProcesses, recording: Recording) -> Progress:
    """Take telemetry up to the next progress."""
    while True:
        telemetry = processes.receive()
        if isinstance(telemetry, Progress):
            return telemetry
        if telemetry:
            recording(telemetry)
            assert recording.ended is None, recording.events


def _follow(processes: NodeProcesses, recording: Recording, seconds: float) -> None:
    """Take telemetry for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if telemetry := processes.receive():
            recording(telemetry)


def _seconds(stop: Event) -> float:
    """For how long the channel server did not run."""
    return float(stop.reason.split()[5])


def test_nodes_that_continue_after_the_channel_server_are_not_lost() -> None:
    plan, recording = plan_for("li2020/sla", slots=10**6, on_node_loss={"lost_after_s": LOST_AFTER_S}), Recording()
    with NodeProcesses(plan) as processes:
        while _advance(processes, recording).slot < 20:
            pass
        _signal(processes, signal.SIGSTOP, channel=False)
        while _advance(processes, recording).slot < _advance(processes, recording).slot:
            pass  # until it waits for them
        _signal(processes, signal.SIGSTOP, channel=True)
        _follow(processes, recording, STOPPED_S)
        _signal(processes, signal.SIGCONT, channel=True)
        _follow(processes, recording, EARLY_S)
        _signal(processes, signal.SIGCONT, channel=False)
        slot = _advance(processes, recording).slot
        while _advance(processes, recording).slot <= slot:
            assert recording.events == []  # until they play on
        assert processes.interrupt()
        recorded(processes, recording)
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.missed) == ("STOPPED", {})
    assert [event.event for event in recording.events] == ["interrupted"]
    assert max(_seconds(stop) for stop in recording.stops) > STOPPED_S - EARLY_S

"""Paced runs in real processes. Assertions compare nodes with each other, which is robust on a busy machine."""

from benchmarks.slow_node import WithSlowNode
from controller.execution.building import build_world
from controller.execution.processes import NodeProcesses
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import Event, Paced, Progress, Telemetry
from tests.recording import Checkpointed, Recording, plan_for
from tests.system.processes import nothing, play, recorded

SLOT_MS = 10.0


def _play_with_slow_node(plan: RunPlan, name: str, seconds: float) -> Recording:
    with WithSlowNode(plan, name, seconds) as processes:
        return recorded(processes, Recording())


def _paced(recording: Recording) -> Paced:
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.dropped) == ("SUCCEEDED", {})
    assert recording.ended.paced is not None
    return recording.ended.paced


def test_slots_last_as_configured_and_never_begin_early() -> None:
    recording = play(plan_for("li2020/random", slots=60, clock={"slot_ms": SLOT_MS}), nothing)
    paced = _paced(recording)
    assert paced.length_ms.mean > SLOT_MS - 0.001  # more, if the closing turn begins late
    assert recording.ended is not None
    assert recording.ended.wall_s >= 60 * SLOT_MS / 1000
    assert set(paced.turns.values()) == {60}


def test_a_pause_does_not_count_as_lateness() -> None:
    """The clock stands while the run is paused; slots after the pause last as long as those before it."""
    asked: list[str] = []

    def pause_and_go_on(processes: NodeProcesses, telemetry: Telemetry) -> None:
        match telemetry:
            case Progress(slot) if slot >= 20 and not asked:
                asked.append("pause")
                processes.pause()
            case Progress() if asked == ["pause", "paused", "seen"]:
                asked.append("go on")
                processes.resume()
            case Progress() if asked == ["pause", "paused"]:
                asked.append("seen")  # a quarter of a second, which is many slots, has passed
            case Event("paused"):
                asked.append("paused")
            case _:
                pass

    recording = play(plan_for("li2020/random", slots=60, clock={"slot_ms": SLOT_MS}), pause_and_go_on)
    paced = _paced(recording)
    paused, continued = recording.events
    assert [paused.event, continued.event] == ["paused", "continued"]
    assert (paused.slot, paused.turn) == (continued.slot, continued.turn)
    assert (0 < paused.slot < 60, paused.turn) == (True, 0)
    assert set(paced.turns.values()) == {60}
    assert recording.ended is not None
    assert 58 * paced.length_ms.mean / 1000 < recording.ended.wall_s - 0.2  # of the wall time the pause is no slot's


def test_a_paced_run_is_resumed_from_its_checkpoint() -> None:
    plan = plan_for("li2020/random", slots=60, clock={"slot_ms": SLOT_MS}, checkpoint_every=40)
    with NodeProcesses(plan) as processes:
        kept = recorded(processes, Checkpointed())
    [(past, resumed)] = kept.pasts
    assert past.slot == 40
    with NodeProcesses(plan, past=past) as processes:
        recorded(processes, resumed)
    assert set(_paced(resumed).turns.values()) == set(_paced(kept).turns.values()) == {60}
    assert [len(recording.windows) for recording in (kept, resumed)] == [1, 1]
    assert resumed.windows[0].last == 59


def test_a_slow_node_misses_its_own_turns_and_the_books_close() -> None:
    plan = plan_for("zhang2025/llq", slots=50, clock={"slot_ms": 2.5 * SLOT_MS})
    slow, *others = build_world(plan).agents
    recording = _play_with_slow_node(plan, slow, 10 * SLOT_MS / 1000)
    paced = _paced(recording)
    share = {name: paced.missed.get(name, 0) / paced.turns[name] for name in paced.turns}
    assert share[slow] == 1.0
    assert paced.late[slow] > 0
    assert all(share[name] < share[slow] for name in others)
    assert recording.events == []
    _check_books(recording, 1 + len(others))


def test_a_node_whose_late_reply_does_not_come_is_lost() -> None:
    plan = plan_for("li2020/random", slots=200, clock={"slot_ms": SLOT_MS}, on_node_loss={"lost_after_s": 0.2})
    recording = _play_with_slow_node(plan, "pair-2", 0.5)
    lost = {event.node: event.reason for event in recording.events if event.event == "lost"}
    assert lost["pair-2"] == "silent for 0.2 s"
    assert recording.ended is not None
    assert recording.ended.missed["pair-2"] > 0


def _check_books(recording: Recording, agents: int) -> None:
    """A late reply's notes are delivered to nobody: they are in no air book, and count as emulation on the wire."""
    assert recording.ended is not None
    accounts = recording.ended.wire
    assert sum(c.up.notes for c in accounts) == sum(row.crossed_socket for row in recording.air if row.source < agents)
    assert sum(c.down.notes for c in accounts) == sum(row.copies for row in recording.air)

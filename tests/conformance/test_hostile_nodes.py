"""One agent of every scheme lies in every field: the run ends, the others act and learn on, and memory is bounded."""

from protocol.determinism.snapshots import pack
from tests.conformance.homes import home_plan, homes
from tests.hostile import play_with_liar
from tests.recording import Recording, in_process

_MAX_STATE_BYTES = 300_000  # of small runs, with what a liar makes others remember


def _learnt(recording: Recording) -> list[int]:
    """The slots in which the trainer learnt."""
    return [report.slot for report in recording.scalars if report.node == "trainer" and "updates" in report.scalars]


@homes
def test_a_liar_ends_neither_the_run_nor_the_learning_of_others(scheme: str, world: str) -> None:
    plan = home_plan(scheme, world, slots=100)
    liar = plan.nodes[1]
    recording, loopback = play_with_liar(plan, liar, seed=1)
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.reason) == ("SUCCEEDED", "")
    complaints = [event for event in recording.events if "cannot read" in event.reason]
    assert {event.node for event in complaints if not event.reason.startswith(liar)} <= {liar}
    assert all(text.isprintable() for text in [*recording.ended.dropped, *(event.reason for event in recording.events)])
    if expected := _learnt(in_process(plan)):
        assert len(_learnt(recording)) >= 0.7 * len(expected)
        assert _learnt(recording)[-1] >= expected[-1] - 10
    states = [session.node.snapshot()["delivery"] for session in loopback.sessions.values() if session.node is not None]
    assert max(len(pack(state)) for state in [*states, loopback.run.state.snapshot()]) < _MAX_STATE_BYTES


@homes
def test_a_node_whose_replies_are_rejected_is_lost_and_may_come_back(scheme: str, world: str) -> None:
    plan = home_plan(scheme, world, slots=60)
    recording, _ = play_with_liar(plan, plan.nodes[1], seed=3, mute=0.05)
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.reason) == ("SUCCEEDED", "")
    assert "rejoined" in {event.event for event in recording.events}

"""One note with weights for many receivers: over radio it is transmitted once, over a backhaul once per receiver; each
acknowledges for itself, and it is resent to those that have not."""

from collections import Counter
from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.execution.in_process import run_in_process
from protocol.accounting.air_book import AirRow, AttemptOutcome
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.orders import UploadWeights
from schemes.parts.weights import read_weights
from tests.recording import Checkpointed, Recording, assert_same_trace, in_process, stepping
from tests.shared_policy import AGENTS, UPLOAD_EVERY_SLOTS, WORLDS, install, shared_plan, weights

EVERYBODY = tuple(range(AGENTS))
LOSSY = {"all": {"loss": 0.3, "delay_slots": 1}, "resend_after_slots": 3}

links = pytest.mark.parametrize("cloud_link", WORLDS)


@pytest.fixture(autouse=True, scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        install(tmp_path_factory.mktemp("package"), monkeypatch)
        yield


def _weights(recording: Recording) -> list[AirRow]:
    return [row for row in recording.air if row.kind == Kind.WEIGHTS]


def _charged(recording: Recording) -> int:
    return sum(row.payload_bits for row in _weights(recording))


def _versions(recording: Recording) -> dict[int, int]:
    """By agent, the version of the newest weights that reached it."""
    return {sent.node: read_weights(sent.body)[0] for sent in recording.weights}


@pytest.mark.parametrize(("cloud_link", "transmissions"), [("radio", 1), ("backhaul", AGENTS)])
def test_one_note_costs_a_broadcast_on_radio_and_a_note_per_receiver_on_wires(
    cloud_link: str, transmissions: int
) -> None:
    together, one_by_one = (in_process(shared_plan(cloud_link, in_one_note=one)) for one in (True, False))
    assert _versions(together) == _versions(one_by_one) == dict.fromkeys(EVERYBODY, 60 // UPLOAD_EVERY_SLOTS)
    note_bits = 8 * (len(weights(1)) + 4)
    versions = 60 // UPLOAD_EVERY_SLOTS
    assert _charged(together) == versions * transmissions * note_bits
    assert _charged(one_by_one) == versions * AGENTS * note_bits
    assert sum(row.crossed_socket for row in _weights(together)) == versions
    assert sum(row.copies for row in _weights(together)) == versions * AGENTS
    sent = [toll.toll.notes for window in together.toll for toll in window.rows if toll.kind == Kind.WEIGHTS]
    assert sum(sent) == versions


@links
def test_it_is_resent_as_one_note_to_ever_fewer(cloud_link: str) -> None:
    """Each attempt crosses the trainer's socket once, however many receivers have not acknowledged the one before."""
    recording = in_process(shared_plan(cloud_link, signalling=LOSSY, slots=200))
    wire = LinkClass.DOWNLINK if cloud_link == "radio" else LinkClass.BACKHAUL
    assert {row.link for row in _weights(recording)} == {wire}
    attempts: dict[tuple[int, int], set[int]] = {}  # receivers by slot and attempt
    crossed = Counter((row.slot, row.attempt) for row in _weights(recording) if row.crossed_socket)
    for row in _weights(recording):
        attempts.setdefault((row.slot, row.attempt), set()).update(row.to)
    assert crossed == dict.fromkeys(attempts, 1)
    before: set[int] = set()
    for (_, attempt), receivers in sorted(attempts.items()):
        assert receivers == {*EVERYBODY} if attempt == 1 else receivers <= before
        before = receivers
    assert {len(receivers) for (_, attempt), receivers in attempts.items() if attempt > 1} >= {1, 2, 3}


@links
@pytest.mark.parametrize("slots", [23, 60])
def test_a_run_resumed_has_the_trace_and_the_book_of_the_whole_one(cloud_link: str, slots: int) -> None:
    narrow = {**LOSSY, "all": {"loss": 0.3, "delay_slots": 1, "bits_per_slot": 900}}
    plan = shared_plan(cloud_link, signalling=narrow, checkpoint_every=17, slots=slots)
    kept = Checkpointed()
    run_in_process(plan, kept)
    for past, resumed in kept.pasts:
        run_in_process(plan, resumed, past=past)
        assert_same_trace(kept, resumed)
        assert resumed.air == kept.air
        assert resumed.toll == kept.toll


@links
@settings(max_examples=10, deadline=None)
@given(leaves=st.integers(1, 40), away=st.integers(1, 12), uploaded=st.integers(1, 50))
def test_who_comes_back_and_who_is_uploaded_weights_has_the_newest(
    cloud_link: str, leaves: int, away: int, uploaded: int
) -> None:
    plan = shared_plan(cloud_link, signalling=LOSSY)
    loopback, steps, recording = stepping(plan)
    name = plan.nodes[1]
    happens: list[tuple[int, Callable[[], None]]] = [
        (leaves, lambda: loopback.leave(name.encode(), "killed")),
        (leaves + away, lambda: loopback.join(b"again", name)),
        (uploaded, lambda: loopback.run.take_order(UploadWeights("a", plan.nodes[2], weights(99)))),
    ]
    for slot, act in sorted(happens, key=lambda event: event[0]):
        while loopback.run.slot < slot and next(steps, True) is None:
            pass
        act()
    for _ in steps:
        pass
    replayed = in_process(msgspec.structs.replace(plan, replay=recording.past))
    assert_same_trace(recording, replayed)
    assert replayed.air == recording.air
    rows = _weights(recording)
    assert {row.to for row in rows if row.repeated} <= {(1,), (2,)}
    # the air book does not name who received a note that some did not
    assert set(loopback.run.state.relay.delivered_weights) == {*EVERYBODY}


def test_over_wires_each_receiver_has_a_queue_and_newer_weights_take_the_place_of_those_that_wait() -> None:
    """Over 10 bits per slot no version arrives before the next is sent, on whose wires the older ones are withdrawn."""
    recording = in_process(shared_plan("backhaul", signalling={"backhaul": {"weights": {"bits_per_slot": 10}}}))
    replaced = [row for row in _weights(recording) if row.outcome is AttemptOutcome.REPLACED]
    assert [row.to for row in replaced[:AGENTS]] == [(node,) for node in EVERYBODY]
    assert [row.payload_bits for row in replaced[: 2 * AGENTS]] == [60] * AGENTS + [50] * AGENTS

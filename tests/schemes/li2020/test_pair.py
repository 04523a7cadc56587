"""A learning pair: rows wait for late outage bits, histories for a good channel; the newest weights count."""

from typing import Any

import numpy as np
import pytest

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.episodes import going_on
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote
from schemes.contract import TurnContext
from schemes.li2020 import ac, dqn, maac
from schemes.li2020.maac import Maac
from schemes.li2020.pair import layout_of
from schemes.parts.actor import Actor
from schemes.parts.history import VALID, HistoryChunk, read_chunk
from schemes.parts.numpy_nets import draw_mlp
from schemes.parts.weights import write_weights
from tests.schemes.direct import welcome_for

WELCOME = welcome_for(WORLD.build(D2DUnderlay(pairs=2, rbs=3), seed=1, replicas=1), maac.SCHEME, 0)
BS, CLOUD = 3, 2


class Life:
    """A pair with the measurements of a run of its own: each shows the previous action."""

    def __init__(self, **params: Any) -> None:
        self.params = Maac(**params)
        self.pair = self._begin()
        self._last: Any = None
        self.scalars: dict[str, float] = {}  # of the last turn
        self.sent_bytes = 0  # of all histories

    def slot(
        self,
        slot: int,
        *notes: ReceivedNote,
        phase: str = "train",
        gain_db: float = -100.0,
        late: bool = False,
    ) -> list[HistoryChunk]:
        """The histories sent in a slot. `late`: the reply of the previous slot came too late to be transmitted."""
        turn = self._turn(slot, "act", list(notes), phase, gain_db)
        if late:
            turn.measurement["last_rb"] = (turn.measurement["last_rb"] + 1) % 3
        output = self.pair.on_turn(turn)
        self._last, self.scalars = output.action, dict(output.scalars)
        return self._read(output.notes)

    def close(self, slot: int, *notes: ReceivedNote, phase: str = "train") -> list[HistoryChunk]:
        return self._read(self.pair.close(self._turn(slot, "close", list(notes), phase, -100.0)))

    def restart(self) -> None:
        """From a snapshot."""
        data = unpack(pack(self.pair.snapshot()))
        self.pair = self._begin()
        self.pair.restore(data)

    def _begin(self) -> Actor:
        pair = maac.pair(WELCOME, self.params)
        assert isinstance(pair, Actor)
        return pair

    def _turn(self, slot: int, step: Any, inbox: list[ReceivedNote], phase: str, gain_db: float) -> TurnContext:
        measured = WELCOME.views["experience"].empty(1)
        measured["sinr"], measured["bs_gain_db"], measured["own_gain_db"] = slot, gain_db, slot
        measured["last_rb"] = -1 if self._last is None else self._last["rb"]
        return TurnContext(slot, 0, step, phase, going_on(1), measured, inbox, CounterRng(1, "node"), [])

    def _read(self, notes: tuple[Note, ...]) -> list[HistoryChunk]:
        assert all(note.kind == Kind.HISTORY for note in notes)
        self.sent_bytes += sum(len(note.body) for note in notes)
        return [read_chunk(note.body, layout_of(WELCOME, self.params)) for note in notes]


def _bit(slot: int, outage: int = 0) -> ReceivedNote:
    return ReceivedNote(BS, Kind.FEEDBACK, slot, 1, bytes([outage]))


def _flags(chunks: list[HistoryChunk]) -> dict[int, int]:
    return {slot: int(row["flags"][0]) for c in chunks for slot, row in enumerate(c.rows, c.first_slot)}


def test_without_a_timeout_a_bit_comes_in_the_next_slot_or_the_row_is_not_valid() -> None:
    life = Life(upload_every_slots=4)
    sent = life.slot(0) + life.slot(1, _bit(0)) + life.slot(2) + life.slot(3, _bit(1)) + life.slot(4, _bit(3))
    assert _flags(sent) == {0: VALID, 1: 0, 2: 0, 3: VALID}


def test_histories_in_float16_hold_the_same_in_fewer_bytes() -> None:
    lives = [Life(upload_every_slots=1, history=history) for history in ("float32", "float16")]
    for life in lives:
        sent = [chunk for slot in range(4) for chunk in life.slot(slot, *([_bit(slot - 1)] if slot else []))]
        assert _flags(sent) == {0: VALID, 1: VALID, 2: VALID}
        assert [float(chunk.rows["state"]["own_gain_db"][0, 0, 0]) for chunk in sent] == [1.0, 2.0, 3.0]
        assert {float(row["state"]["bs_gain_db"][0, 0]) for chunk in sent for row in chunk.rows} == {-100.0}
    numbers = 3 + 3 + 3 + 1  # of a state in layout per_rb with 3 RBs
    assert lives[0].sent_bytes - lives[1].sent_bytes == 2 * numbers * 4  # one state more than rows


@pytest.mark.parametrize("restarted", [False, True])
def test_rows_wait_for_late_bits_and_are_sent_in_the_order_of_slots(restarted: bool) -> None:
    life, sent = Life(upload_every_slots=1, feedback_timeout_slots=3), list[HistoryChunk]()
    bits = {2: [_bit(1)], 3: [_bit(0, outage=1), _bit(0)], 5: [_bit(1), _bit(4)], 9: [_bit(2)], 10: [_bit(9)]}
    first: dict[int, int] = {}
    for slot in range(11):
        if restarted:
            life.restart()
        fresh = life.slot(slot, *bits.get(slot, []))
        first |= dict.fromkeys(_flags(fresh), slot)
        sent += fresh
    assert first == {0: 3, 1: 3, 2: 6, 3: 7, 4: 7, 5: 9, 6: 10}  # 4 had its bit in time, but 3 comes before it
    assert _flags(sent) == {0: VALID, 1: VALID, 2: 0, 3: 0, 4: VALID, 5: 0, 6: 0}
    rewards = [float(row["reward"][0]) for chunk in sent for row in chunk.rows]
    assert rewards == pytest.approx([1.0, *np.log2(1 + np.arange(2, 8))])  # the later bit of slot 0 counts
    assert _flags(life.close(11)) == {7: 0, 8: 0, 9: VALID, 10: 0}


def test_evaluation_does_not_wait_for_bits() -> None:
    life = Life(upload_every_slots=100, feedback_timeout_slots=50)
    sent = [chunk for slot in range(4) for chunk in life.slot(slot)]
    assert sent == []
    assert _flags(life.slot(4, _bit(3), phase="eval")) == {0: 0, 1: 0, 2: 0, 3: VALID}
    assert life.slot(5, _bit(2), phase="eval") == []
    assert life.close(6, phase="eval") == []


def test_a_pair_that_missed_a_slot_uploads_its_rows_and_starts_a_new_history() -> None:
    life = Life(upload_every_slots=100, feedback_timeout_slots=5)
    for slot in range(3):
        life.slot(slot)
    [before] = life.slot(5, _bit(1))
    assert _flags([before]) == {0: 0, 1: VALID}
    life.slot(6, _bit(5))
    [after] = life.close(7)
    assert (after.first_slot, after.first_state is not None, _flags([after])) == (5, True, {5: VALID, 6: 0})


def test_a_row_whose_action_was_not_transmitted_is_not_valid() -> None:
    life = Life(upload_every_slots=3)
    sent = life.slot(0) + life.slot(1, _bit(0)) + life.slot(2, _bit(1), late=True) + life.slot(3, _bit(2))
    assert _flags(sent) == {0: VALID, 1: 0, 2: VALID}


def _weights(policy_version: int, slot: int) -> ReceivedNote:
    inputs = 4 * 3
    body = write_weights(draw_mlp(np.random.default_rng(policy_version), (inputs, 3)), policy_version, "float32")
    return ReceivedNote(CLOUD, Kind.WEIGHTS, slot, 1, body)


def test_older_weights_do_not_replace_newer_ones_and_new_ones_are_reported() -> None:
    life, versions = Life(), list[int]()
    inboxes = {1: [_weights(1, 0)], 3: [_weights(3, 2), _weights(2, 1)], 4: [_weights(2, 1)], 6: [_weights(1, 5)]}
    reported: dict[int, dict[str, float]] = {}
    for slot in range(7):
        life.slot(slot, *inboxes.get(slot, []))
        reported[slot] = life.scalars
        life.restart()
        versions.append(life.pair.policy_version)
    assert versions == [0, 1, 1, 3, 3, 3, 1]  # a restarted trainer counts from 1 again
    assert {slot: scalars for slot, scalars in reported.items() if scalars} == {
        slot: {"policy_version": policy_version} for slot, policy_version in ((1, 1), (3, 3), (6, 1))
    }


def test_a_history_is_uploaded_when_the_channel_is_good_or_after_four_intervals() -> None:
    life = Life(upload_every_slots=5, upload="good", upload_quantile=0.7)
    gains_db = {slot: -90.0 - slot for slot in range(40)} | {12: -80.0, 14: -80.0}
    sent = {}
    for slot in range(40):
        life.restart()
        for chunk in life.slot(slot, _bit(slot - 1), gain_db=gains_db[slot]):
            sent[slot] = len(chunk.rows)
    assert sent == {12: 12, 32: 20}  # at 14 there were two rows


@pytest.mark.parametrize(("quantile", "share"), [(0.0, 1.0), (0.7, 0.3), (0.9, 0.1)])
def test_the_channel_is_good_from_the_quantile_on(quantile: float, share: float) -> None:
    life, rng = Life(upload_every_slots=1, upload="good", upload_quantile=quantile), np.random.default_rng(1)
    uploads = sum(len(life.slot(slot, gain_db=float(rng.normal(-100, 8)))) for slot in range(600))
    assert uploads == pytest.approx(600 * max(share, 0.25), rel=0.35)


@pytest.mark.parametrize(("module", "kept"), [(ac, [0, 4]), (dqn, [0, 1, 2, 3, 4])])
def test_who_learns_from_its_own_policy_keeps_no_warmup_in_spite_of_weights(module: Any, kept: list[int]) -> None:
    """The weights come for slot 1, warmup ends with slot 3."""
    params = module.SCHEME.params(learns_at="trainer", upload_every_slots=1)
    welcome = welcome_for(WORLD.build(D2DUnderlay(pairs=2, rbs=3), seed=1, replicas=1), module.SCHEME, 0, params)
    life = Life()
    pair = module.SCHEME.node(welcome, params)
    assert isinstance(pair, Actor)
    life.pair = pair
    sent: list[HistoryChunk] = []
    for slot in range(6):
        if slot == 1:
            pair.start_from([draw_mlp(np.random.default_rng(1), [pair._sense.vector.inputs, 4, 3])])
        sent += life.slot(slot, _bit(slot - 1), phase="warmup" if slot < 4 else "train")
    assert list(_flags(sent)) == kept

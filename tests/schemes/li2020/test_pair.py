"""A learning pair by hand: rows wait for late outage bits, histories for a good channel; the newest weights hold."""

from typing import Any

import numpy as np
import pytest

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote
from schemes.contract import TurnContext
from schemes.li2020 import maac
from schemes.li2020.maac import Maac
from schemes.li2020.pair import Pair, layout_of
from schemes.parts.history import VALID, Chunk, read_chunk
from schemes.parts.numpy_nets import draw_mlp
from schemes.parts.weights import write_weights
from tests.schemes.direct import welcome_for

WELCOME = welcome_for(WORLD.build(D2DUnderlay(pairs=2, rbs=3), seed=1, replicas=1), maac.SCHEME, 0)
BS, CLOUD = 3, 2


class Life:
    """A pair in a run of its own: what it does is what its radio does in the slot after."""

    def __init__(self, **params: Any) -> None:
        self.params = Maac(**params)
        self.pair = self._begin()
        self._last: Any = None

    def slot(
        self,
        slot: int,
        *received_notes: ReceivedNote,
        phase: str = "train",
        gain_db: float = -100.0,
        jammed: bool = False,
    ) -> list[Chunk]:
        """The histories told in a slot. `jammed`: what it did in the slot before came too late."""
        moment = self._moment(slot, "act", list(received_notes), phase, gain_db)
        if jammed:
            moment.measurement["last_rb"] = (moment.measurement["last_rb"] + 1) % 3
        answer = self.pair.on_turn(moment)
        self._last = answer.action
        return _read(answer.notes)

    def close(self, slot: int, *received_notes: ReceivedNote, phase: str = "train") -> list[Chunk]:
        return _read(self.pair.close(self._moment(slot, "close", list(received_notes), phase, -100.0)))

    def restart(self) -> None:
        """From a snapshot."""
        data = unpack(pack(self.pair.snapshot()))
        self.pair = self._begin()
        self.pair.restore(data)

    def _begin(self) -> Pair:
        pair = maac.pair(WELCOME, self.params)
        assert isinstance(pair, Pair)
        return pair

    def _moment(self, slot: int, step: Any, inbox: list[ReceivedNote], phase: str, gain_db: float) -> TurnContext:
        seen = WELCOME.views["experience"].empty(1)
        seen["sinr"], seen["bs_gain_db"], seen["own_gain_db"] = slot, gain_db, slot
        seen["last_rb"] = -1 if self._last is None else self._last["rb"]
        return TurnContext(slot, 0, step, phase, 0, seen, inbox, CounterRng(1, "node"))


def _read(notes: tuple[Note, ...]) -> list[Chunk]:
    assert all(note.kind == Kind.HISTORY for note in notes)
    return [read_chunk(note.body, layout_of(WELCOME)) for note in notes]


def _bit(slot: int, outage: int = 0) -> ReceivedNote:
    return ReceivedNote(BS, Kind.FEEDBACK, slot, 1, bytes([outage]))


def _flags(chunks: list[Chunk]) -> dict[int, int]:
    return {slot: int(row["flags"]) for c in chunks for slot, row in enumerate(c.rows, c.first_slot)}


def test_without_patience_a_bit_is_there_in_the_next_slot_or_the_row_is_not_valid() -> None:
    life = Life(upload_every_slots=4)
    told = life.slot(0) + life.slot(1, _bit(0)) + life.slot(2) + life.slot(3, _bit(1)) + life.slot(4, _bit(3))
    assert _flags(told) == {0: VALID, 1: 0, 2: 0, 3: VALID}


@pytest.mark.parametrize("restarted", [False, True])
def test_rows_wait_for_late_bits_and_are_told_in_the_order_of_slots(restarted: bool) -> None:
    life, told = Life(upload_every_slots=1, feedback_timeout_slots=3), list[Chunk]()
    bits = {2: [_bit(1)], 3: [_bit(0, outage=1), _bit(0)], 5: [_bit(1), _bit(4)], 9: [_bit(2)], 10: [_bit(9)]}
    first: dict[int, int] = {}
    for slot in range(11):
        if restarted:
            life.restart()
        fresh = life.slot(slot, *bits.get(slot, []))
        first |= dict.fromkeys(_flags(fresh), slot)
        told += fresh
    assert first == {0: 3, 1: 3, 2: 6, 3: 7, 4: 7, 5: 9, 6: 10}  # 4 had its bit in time, but 3 comes before it
    assert _flags(told) == {0: VALID, 1: VALID, 2: 0, 3: 0, 4: VALID, 5: 0, 6: 0}
    rewards = [float(row["reward"][0]) for chunk in told for row in chunk.rows]
    assert rewards == pytest.approx([1.0, *np.log2(1 + np.arange(2, 8))])  # the second word on slot 0 counts
    assert _flags(life.close(11)) == {7: 0, 8: 0, 9: VALID, 10: 0}


def test_evaluation_waits_for_no_bit() -> None:
    life = Life(upload_every_slots=100, feedback_timeout_slots=50)
    told = [chunk for slot in range(4) for chunk in life.slot(slot)]
    assert told == []
    assert _flags(life.slot(4, _bit(3), phase="eval")) == {0: 0, 1: 0, 2: 0, 3: VALID}
    assert life.slot(5, _bit(2), phase="eval") == []
    assert life.close(6, phase="eval") == []


def test_a_pair_that_missed_a_slot_tells_what_it_has_and_begins_anew() -> None:
    life = Life(upload_every_slots=100, feedback_timeout_slots=5)
    for slot in range(3):
        life.slot(slot)
    [before] = life.slot(5, _bit(1))
    assert _flags([before]) == {0: 0, 1: VALID}
    life.slot(6, _bit(5))
    [after] = life.close(7)
    assert (after.first_slot, after.first_state is not None, _flags([after])) == (5, True, {5: VALID, 6: 0})


def test_a_row_of_what_was_not_on_the_air_is_not_valid() -> None:
    life = Life(upload_every_slots=3)
    told = life.slot(0) + life.slot(1, _bit(0)) + life.slot(2, _bit(1), jammed=True) + life.slot(3, _bit(2))
    assert _flags(told) == {0: VALID, 1: 0, 2: VALID}


def _weights(version: int, slot: int) -> ReceivedNote:
    inputs = 4 * 3
    body = write_weights(draw_mlp(np.random.default_rng(version), (inputs, 3)), version, "float32")
    return ReceivedNote(CLOUD, Kind.WEIGHTS, slot, 1, body)


def test_weights_told_earlier_do_not_take_the_place_of_those_told_later() -> None:
    life, versions = Life(), list[int]()
    inboxes = {1: [_weights(1, 0)], 3: [_weights(3, 2), _weights(2, 1)], 4: [_weights(2, 1)], 6: [_weights(1, 5)]}
    for slot in range(7):
        life.slot(slot, *inboxes.get(slot, []))
        life.restart()
        versions.append(life.pair.version)
    assert versions == [0, 1, 1, 3, 3, 3, 1]  # a trainer that began anew counts from 1 again


def test_a_history_goes_up_when_the_channel_is_good_or_at_the_latest_after_four_intervals() -> None:
    life = Life(upload_every_slots=5, upload="good", upload_quantile=0.7)
    gains_db = {slot: -90.0 - slot for slot in range(40)} | {12: -80.0, 14: -80.0}
    told = {}
    for slot in range(40):
        life.restart()
        for chunk in life.slot(slot, _bit(slot - 1), gain_db=gains_db[slot]):
            told[slot] = len(chunk.rows)
    assert told == {12: 12, 32: 20}  # at 14 there were two rows


@pytest.mark.parametrize(("quantile", "share"), [(0.0, 1.0), (0.7, 0.3), (0.9, 0.1)])
def test_good_is_what_the_quantile_says(quantile: float, share: float) -> None:
    life, rng = Life(upload_every_slots=1, upload="good", upload_quantile=quantile), np.random.default_rng(1)
    told = sum(len(life.slot(slot, gain_db=float(rng.normal(-100, 8)))) for slot in range(600))
    assert told == pytest.approx(600 * max(share, 0.25), rel=0.35)

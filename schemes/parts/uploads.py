"""A node's rows on their way to a learner: each waits for what its reward needs, and uploads for their moment.

A node computes its reward itself, from what it measures in the next slot and, for some schemes, from feedback that the
network sends about the slot. Stale rule: feedback may come up to `feedback_timeout_slots` late; without it the row is
kept but not valid. Evaluation and the end of the run do not wait.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le
from msgspec.msgpack import decode, encode

from protocol.messages.episodes import Ends, Mask
from protocol.messages.node import ReceivedNote
from protocol.messages.spaces import Records
from protocol.params import param
from schemes.contract import TurnContext
from schemes.parts.history import VALID, Draw, HistoryWriter, Layout
from schemes.parts.note_reader import NoteReader

Floats = npt.NDArray[np.float32]

_REMEMBERED_SLOTS = 100
_MAX_INTERVALS = 4  # a node whose channel is never good uploads after so many times the interval


@dataclass(frozen=True, kw_only=True)
class UploadSettings:
    """How a node completes its rows, and when it uploads them: parameters that learning schemes inherit."""

    upload_every_slots: Annotated[int, Ge(1), Le(10_000)]
    upload: Literal["every", "good"] = param(
        "every",
        "every: a history every upload_every_slots; good: once so many have passed when the gain to the BS is good, "
        "after four times as many in any case",
        source="ours; li2020 sec. III-C has 'good condition'",
    )
    upload_quantile: Annotated[float, Ge(0), Le(1)] = param(
        0.7, "the gain is good from this quantile of the last 100 slots on", source="ours"
    )
    history: Literal["float32", "float16"] = param(
        "float32", "number format of measured states in histories", source="ours"
    )
    feedback_timeout_slots: Annotated[int, Ge(0), Le(1000)] = param(
        0, "how much later than the next slot an outage bit may come", unit="slots", source="ours"
    )

    @property
    def max_upload_interval_slots(self) -> int:
        """The largest number of slots between two histories of a node, late feedback included."""
        return self.feedback_timeout_slots + self.upload_every_slots * (_MAX_INTERVALS if self.upload == "good" else 1)


class UploadRule(Protocol):
    """`due`: whether to upload the `rows` that have not been sent. Called once per slot."""

    def due(self, turn: TurnContext, rows: int) -> bool: ...
    def snapshot(self) -> list[float]: ...
    def restore(self, data: list[float]) -> None: ...


class EverySlots:
    """Due in every slot that `slots` divides."""

    def __init__(self, slots: int) -> None:
        self._slots = slots

    def due(self, turn: TurnContext, rows: int) -> bool:
        return turn.slot % self._slots == 0

    def snapshot(self) -> list[float]:
        return []

    def restore(self, data: list[float]) -> None: ...


class WhenChannelGood:
    """Due with at least `slots` rows when the gain to the BS is at or above the `quantile` of its last 100 values.

    With four times as many rows it is due at any gain. `gain_db`: of a measurement, in dB.
    """

    def __init__(self, slots: int, quantile: float, gain_db: Callable[[Records], float]) -> None:
        self._slots, self._quantile, self._gain_db = slots, quantile, gain_db
        self._gains_db: deque[float] = deque(maxlen=_REMEMBERED_SLOTS)

    def due(self, turn: TurnContext, rows: int) -> bool:
        gain_db = self._gain_db(turn.measurement)
        self._gains_db.append(gain_db)
        if rows < self._slots:
            return False
        return rows >= _MAX_INTERVALS * self._slots or gain_db >= float(np.quantile(self._gains_db, self._quantile))

    def snapshot(self) -> list[float]:
        return list(self._gains_db)

    def restore(self, data: list[float]) -> None:
        self._gains_db = deque(data, _REMEMBERED_SLOTS)


def upload_rule(settings: UploadSettings, gain_db: Callable[[Records], float]) -> UploadRule:
    """A fresh rule."""
    if settings.upload == "good":
        return WhenChannelGood(settings.upload_every_slots, settings.upload_quantile, gain_db)
    return EverySlots(settings.upload_every_slots)


class Reward(Protocol):
    """A node's reward of a slot, from what it measures and, for some, from a note about the slot."""

    @property
    def feedback(self) -> NoteReader[Any] | None:
        """Reads that note; None if the reward needs none."""
        ...

    def of(self, action: Records, measured: Records, feedback: Any, /) -> tuple[Floats, Mask]:
        """The reward of an `action` and whether the row is valid, each [E], from the next slot's measurement.
        `feedback`: the note's content, None if it did not come."""
        ...


class Acted(NamedTuple):
    """What a node did in a slot. `draw`: how its policy drew the action, where its rows have that."""

    slot: int
    action: Records
    policy_version: int
    draw: Draw | None = None


class PendingRow(NamedTuple):
    """A row that waits for its feedback; the rest is known from the slot after `acted.slot`. All [E]."""

    acted: Acted
    measured: Records
    state: Records
    ended: Ends


class Rows:
    """Builds a node's rows turn by turn: its history until it is uploaded.

    `_acted`: until the slot after. The row is then `_pending` until its feedback has come or its time is up.
    """

    def __init__(self, layout: Layout, reward: Reward, *, timeout_slots: int) -> None:
        self._reward, self._timeout = reward, timeout_slots
        self._writer = HistoryWriter(layout)
        self._acted: Acted | None = None
        self._pending: list[PendingRow] = []
        self._feedback: dict[int, tuple[ReceivedNote, Any]] = {}  # by slot, of pending rows: note and content

    @property
    def complete(self) -> int:
        """Completed rows that have not been taken."""
        return self._writer.rows

    def acted(self, slot: int, action: Records, policy_version: int, draw: Draw | None = None) -> None:
        """Note the action of this slot, whose result the next slot's measurement shows."""
        self._acted = Acted(slot, action, policy_version, draw)

    def skip(self) -> None:
        """Keep no row of this slot, as in evaluation."""
        self._acted = None

    def observe(self, turn: TurnContext, state: Records) -> bytes:
        """Read the turn in which the node chooses its action, or the closing turn, and complete the rows that need not
        wait longer.

        `state`: what the node knows, [E]. After a gap a new history starts; the return value is then the body with the
        old one's rows, otherwise b"".
        """
        keeps = turn.step != "close" and turn.phase != "eval"
        continues = self._acted is not None and self._acted.slot == turn.slot - 1
        if self._acted is not None and continues:
            self._pending.append(PendingRow(self._acted, turn.measurement, state, turn.ended))
        self._receive_feedback(turn)
        self._complete(turn.slot - 1 - self._timeout if continues and keeps else turn.slot)
        if continues or not keeps:
            return b""
        old = self.take()
        self._writer.start(turn.slot, state)
        return old

    def take(self) -> bytes:
        """The body of a history note with all completed rows; b"" if there are none."""
        return self._writer.take() if self._writer.rows else b""

    def snapshot(self) -> dict[str, Any]:
        """All rows and feedback."""
        return {
            "writer": self._writer.snapshot(),
            "acted": None if self._acted is None else _listed(self._acted),
            "pending": [[_listed(row.acted), *row[1:]] for row in self._pending],
            "feedback": [encode(note) for note, _ in self._feedback.values()],
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._writer.restore(data["writer"])
        self._acted = None if data["acted"] is None else _acted(data["acted"])
        self._pending = [PendingRow(_acted(acted), *rest) for acted, *rest in data["pending"]]
        notes = [decode(note, type=ReceivedNote) for note in data["feedback"]]
        reader = self._reward.feedback
        self._feedback = {} if reader is None else {note.slot: (note, reader.read(note)) for note in notes}

    def _receive_feedback(self, turn: TurnContext) -> None:
        if self._reward.feedback is None:
            return
        awaited = {row.acted.slot for row in self._pending}
        came = turn.read(self._reward.feedback)
        self._feedback |= {note.slot: (note, content) for note, content in came if note.slot in awaited}

    def _complete(self, last: int) -> None:
        """Write pending rows in the order of slots: those that lack nothing, and those up to slot `last`."""
        while self._pending and (self._pending[0].acted.slot <= last or self._lacks_nothing(self._pending[0])):
            row = self._pending.pop(0)
            _, feedback = self._feedback.pop(row.acted.slot, (None, None))
            reward, valid = self._reward.of(row.acted.action, row.measured, feedback)
            self._writer.add(
                action=row.acted.action,
                reward=reward,
                policy_version=row.acted.policy_version,
                flags=row.ended | np.where(valid, np.uint8(VALID), np.uint8(0)),
                state=row.state,
                draw=row.acted.draw,
            )

    def _lacks_nothing(self, row: PendingRow) -> bool:
        return self._reward.feedback is None or row.acted.slot in self._feedback


def _listed(acted: Acted) -> list[Any]:
    """For a snapshot."""
    return [*acted[:3], None if acted.draw is None else list(acted.draw)]


def _acted(data: list[Any]) -> Acted:
    """The inverse of `_listed`."""
    slot, action, policy_version, draw = data
    return Acted(slot, action, policy_version, None if draw is None else Draw(*draw))

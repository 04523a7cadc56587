"""A pair's history: its rows, of which each waits for the BS's outage bit, and the rule for when it is uploaded.

A pair computes its reward itself (li2020 eq. 5-7), from the SINR that its receiver measured and the outage bit of its
RB. Stale rule: the bit of a slot may come up to `feedback_timeout_slots` late; without it the row is kept but not
valid. Evaluation and the end of the run do not wait.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from protocol.messages.spaces import Records
from protocol.params import param
from schemes.contract import TurnContext
from schemes.li2020.outage_bits import Outage, decode_outage
from schemes.li2020.upload_rules import MAX_INTERVALS, EverySlots, UploadRule, WhenChannelGood
from schemes.parts.history import VALID, Flags, HistoryWriter, Layout
from schemes.parts.note_reader import NoteReader


@dataclass(frozen=True, kw_only=True)
class HistoryParams:
    """How a pair completes its rows, and when it uploads them."""

    upload_every_slots: Annotated[int, Ge(1), Le(10_000)]
    upload: Literal["every", "good"] = param(
        "every",
        "every: a history every upload_every_slots; good: once so many have passed when the gain to the BS is good, "
        "after four times as many in any case",
        source="ours; sec. III-C has 'good condition'",
    )
    upload_quantile: Annotated[float, Ge(0), Le(1)] = param(
        0.7, "the gain is good from this quantile of the last 100 slots on", source="ours"
    )
    feedback_timeout_slots: Annotated[int, Ge(0), Le(1000)] = param(
        0, "how much later than the next slot an outage bit may come", unit="slots", source="ours"
    )

    @property
    def max_upload_interval_slots(self) -> int:
        """The largest number of slots between two histories of a pair, late outage bits included."""
        return self.feedback_timeout_slots + self.upload_every_slots * (MAX_INTERVALS if self.upload == "good" else 1)

    def upload_rule(self) -> UploadRule:
        """A fresh upload rule."""
        if self.upload == "good":
            return WhenChannelGood(self.upload_every_slots, self.upload_quantile)
        return EverySlots(self.upload_every_slots)


class PendingTransition(NamedTuple):
    """A row that waits for the BS's bit: `rate`, `next_state` and how episodes `ended`, each [E], are known from the
    slot after `slot`."""

    slot: int
    action: Records
    policy_version: int
    rate: npt.NDArray[np.float32]
    next_state: Records
    ended: Flags


class PairHistory:
    """Builds a pair's rows turn by turn.

    `_acted`: slot, action and policy version of the last choice, until the slot after. The transition then joins
    `_pending` until its bit has come or its time is up; `_bits` are the bits received for pending slots.
    """

    def __init__(
        self, layout: Layout, outage_bits: NoteReader[Outage], *, negative_reward: float, timeout_slots: int
    ) -> None:
        self._outage_bits = outage_bits
        self._negative_reward, self._timeout = np.float32(negative_reward), timeout_slots
        self._replicas = layout.replicas
        self._writer = HistoryWriter(layout)
        self._acted: tuple[int, Records, int] | None = None
        self._pending: list[PendingTransition] = []
        self._bits: dict[int, Outage] = {}

    @property
    def rows(self) -> int:
        """Completed rows that have not been taken."""
        return self._writer.rows

    def acted(self, slot: int, action: Records, policy_version: int) -> None:
        """Note the choice of this slot, whose result the next slot's measurement shows."""
        self._acted = slot, action, policy_version

    def skip(self) -> None:
        """Keep no row of this slot, as in evaluation."""
        self._acted = None

    def observe(self, turn: TurnContext) -> bytes:
        """Read a turn's measurement and outage bits, and complete the rows that need not wait longer.

        After a gap a new history starts; the return value is then the body with the old one's rows, otherwise b"".
        """
        keeps = turn.step == "act" and turn.phase != "eval"
        continues = self._acted is not None and self._acted[0] == turn.slot - 1
        if self._acted is not None and continues:
            rate = np.log2(1 + turn.measurement["sinr"])
            self._pending.append(PendingTransition(*self._acted, rate, turn.measurement, turn.ended))
        self._receive_bits(turn)
        self._complete(turn.slot - 1 - self._timeout if continues and keeps else turn.slot)
        if continues or not keeps:
            return b""
        old = self.take()
        self._writer.start(turn.slot, turn.measurement)
        return old

    def take(self) -> bytes:
        """The body of a history note with all completed rows; b"" if there are none."""
        return self._writer.take() if self._writer.rows else b""

    def snapshot(self) -> dict[str, Any]:
        """All rows and bits."""
        return {
            "writer": self._writer.snapshot(),
            "acted": None if self._acted is None else list(self._acted),
            "pending": [list(transition) for transition in self._pending],
            "bits": [[slot, outage.tobytes()] for slot, outage in self._bits.items()],
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._writer.restore(data["writer"])
        self._acted = None if data["acted"] is None else tuple(data["acted"])
        self._pending = [PendingTransition(*transition) for transition in data["pending"]]
        self._bits = {slot: decode_outage(body, self._replicas) for slot, body in data["bits"]}

    def _receive_bits(self, turn: TurnContext) -> None:
        awaited = {transition.slot for transition in self._pending}
        self._bits |= {note.slot: outage for note, outage in turn.read(self._outage_bits) if note.slot in awaited}

    def _complete(self, last: int) -> None:
        """Write pending rows in the order of slots: those whose bit has come, and those up to slot `last` without."""
        while self._pending and (self._pending[0].slot <= last or self._pending[0].slot in self._bits):
            row = self._pending.pop(0)
            reward, flags = self._reward(row)
            self._writer.add(
                action=row.action,
                reward=reward,
                policy_version=row.policy_version,
                flags=flags,
                state=row.next_state,
            )

    def _reward(self, row: PendingTransition) -> tuple[npt.NDArray[np.float32], Flags]:
        """The reward, li2020 eq. (5-7), and the row's flags, each [E].

        The row is not valid if the BS's bit did not come, or if the radio did not transmit what the pair chose, because
        its reply came too late.
        """
        outage = self._bits.pop(row.slot, None)
        if outage is None:
            return row.rate, row.ended
        transmitted = bool((row.next_state["last_rb"] == row.action["rb"]).all())
        return np.where(outage, self._negative_reward, row.rate), row.ended | np.uint8(VALID if transmitted else 0)

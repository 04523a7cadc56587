"""What the relay remembers of weights, by receiver: to resend them, and to know which of them arrived."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.msgpack import decode, encode

from protocol.messages.kinds import LinkClass
from protocol.messages.node import ReceivedNote

_T = TypeVar("_T")


class SentWeights(Struct, frozen=True, array_like=True):
    """A weights note as it was sent. `link`: as its sender chose it, or None; `attempts`: how often it was sent."""

    note: ReceivedNote
    link: LinkClass | None
    bits: int
    attempts: int


class WeightsLedger:
    """The newest weights sent to each receiver, whether they are acknowledged, and the newest that arrived.

    `delivered`: by node, the newest weights that reached it.
    """

    def __init__(self, trainer: int) -> None:
        self._trainer = trainer
        self._newest: dict[int, SentWeights] = {}
        self._unacknowledged: dict[int, int | None] = {}  # the sequence number of the trainer's newest weights
        # By receiver whose newest weights were uploaded: the slot of the last attempt.
        self._uploaded: dict[int, int] = {}
        self.delivered: dict[int, ReceivedNote] = {}

    def sent(self, weights: SentWeights, to: Iterable[int]) -> None:
        """The newest weights of these receivers have been sent, by the trainer or another node."""
        for node in to:
            self._newest[node] = weights
            self._uploaded.pop(node, None)
            if weights.note.source == self._trainer:
                self._unacknowledged[node] = weights.note.sequence

    def uploaded(self, weights: SentWeights, node: int) -> None:
        """Uploaded weights have been sent to a node, in the trainer's name."""
        self.sent(weights, (node,))
        self._uploaded[node] = weights.note.slot

    def resent(self, node: int, slot: int) -> SentWeights | None:
        """The node's newest weights, counted as sent once more in this slot; None if it was sent none."""
        weights = self._newest.get(node)
        if weights is None:
            return None
        again = self._newest[node] = SentWeights(weights.note, weights.link, weights.bits, weights.attempts + 1)
        if node in self._uploaded:
            self._uploaded[node] = slot
        return again

    def next_sequence(self, node: int, slot: int) -> int:
        """A sequence number for uploaded weights: above all that the trainer has used for the node by this slot."""
        newest = self._newest[node].note.sequence if node in self._newest else None
        return max(slot, newest or 0) + 1

    def overdue(self, slot: int, after: int) -> list[int]:
        """The nodes that have not acknowledged uploaded weights for `after` slots. The trainer's own delivery does not
        know these weights, so that the relay resends them."""
        uploaded = self._uploaded.items()
        return [node for node, last in uploaded if node in self._unacknowledged and slot - last >= after]

    @property
    def awaits_acks(self) -> bool:
        """Whether the acknowledgement of an agent's newest weights has not reached the trainer."""
        return bool(self._unacknowledged)

    def arrived(self, weights: ReceivedNote, nodes: Iterable[int]) -> None:
        """Weights have reached these nodes. Late ones do not replace newer ones that overtook them."""
        for node in nodes:
            if node not in self.delivered or (weights.sequence or 0) > (self.delivered[node].sequence or 0):
                self.delivered[node] = weights

    def acknowledged(self, ack: ReceivedNote) -> None:
        """An acknowledgement has reached the trainer; one of older weights changes nothing."""
        if ack.source in self._unacknowledged and self._unacknowledged[ack.source] == ack.sequence:
            del self._unacknowledged[ack.source]

    def snapshot(self) -> dict[str, Any]:
        """All weights, and which of them are not acknowledged."""
        return {
            "newest": _packed(self._newest),
            "unacknowledged": [list(pair) for pair in self._unacknowledged.items()],
            "uploaded": [list(pair) for pair in self._uploaded.items()],
            "delivered": _packed(self.delivered),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._newest = _unpacked(data["newest"], SentWeights)
        self._unacknowledged = dict(data["unacknowledged"])
        self._uploaded = dict(data["uploaded"])
        self.delivered = _unpacked(data["delivered"], ReceivedNote)


def _packed(by_node: Mapping[int, Struct]) -> list[Any]:
    """Each object once, as weights that went to many are long; then, by node, which of them it has."""
    objects = {id(each): each for each in by_node.values()}
    positions = {identity: position for position, identity in enumerate(objects)}
    return [
        [encode(each) for each in objects.values()],
        [[node, positions[id(each)]] for node, each in by_node.items()],
    ]


def _unpacked(packed: list[Any], kind: type[_T]) -> dict[int, _T]:
    objects = [decode(raw, type=kind) for raw in packed[0]]
    return {node: objects[position] for node, position in packed[1]}

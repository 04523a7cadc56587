"""Which nodes are present, which are lost to the run, and when they rejoin.

A node whose connection breaks becomes *lost* in the turn in which it is next asked, and it rejoins at the start of a
slot. So losses and rejoins have a slot and turn at which a replay repeats them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from protocol.messages.plan import PastEvent


class Attendance:
    """Presence of nodes by index. With `past` events (a replay), losses and rejoins happen exactly when they did then.

    `seated`: returns the nodes that have a peer now. `lost`: the nodes that are not asked. `missed`: slots missed, by
    name.
    """

    def __init__(
        self, names: Sequence[str], past: tuple[PastEvent, ...] | None, seated: Callable[[], Collection[int]]
    ) -> None:
        self.names = names
        self._replaying = past is not None
        self._past = {(e.event, e.node, e.slot, e.turn) for e in past or ()}
        self._seated = seated
        self._gone: dict[int, str] = {}
        self._returned: list[int] = []
        self.lost: set[int] = set()
        self.missed: Counter[str] = Counter()

    def leave(self, node: int, reason: str) -> None:
        """The node's process or connection is gone; the node is lost from the turn on in which it is next asked."""
        if node not in self.lost:
            self._gone[node] = reason

    def absence(self, node: int, slot: int, turn: int) -> str:
        """Why a node that is about to be asked will not reply, or ""."""
        if self._replaying:
            return "as in the run that is replayed" if self._happened("lost", node, slot, turn) else ""
        return self._gone.get(node, "")

    def absent(self, nodes: Collection[int], slot: int, turn: int) -> Collection[int]:
        """Those of the nodes, which are about to be asked, that will not reply."""
        if not (self._gone or self._replaying):
            return ()
        return [node for node in nodes if self.absence(node, slot, turn)]

    def lose(self, node: int) -> str:
        """From here on the node is not asked; the reason."""
        self.lost.add(node)
        return self._gone.get(node, "as in the run that is replayed")

    def away(self, slot: int) -> set[int]:
        """Nodes that are lost and do not rejoin at this slot."""
        return self.lost.difference(self._back(slot)) if self.lost else self.lost

    def rejoin(self, slot: int) -> list[int]:
        """Nodes that rejoin at this slot, sorted; they are not lost from now on."""
        self._returned = self._back(slot)
        self.lost.difference_update(self._returned)
        for node in self._returned:
            self._gone.pop(node, None)
        return self._returned

    def take_returned(self) -> list[int]:
        """The nodes that rejoined at the last slot, each returned once."""
        returned, self._returned = self._returned, []
        return returned

    def count_missed(self) -> None:
        """Once per slot: each lost node has missed it."""
        self.missed.update(self.names[node] for node in self.lost)

    def snapshot(self) -> dict[str, Any]:
        """Lost nodes, those that are gone, and counts."""
        return {"lost": sorted(self.lost), "gone": list(self._gone.items()), "missed": dict(self.missed)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.lost, self.missed = set(data["lost"]), Counter(data["missed"])
        self._gone = dict(data["gone"])

    def _back(self, slot: int) -> list[int]:
        if self._replaying:
            return [node for node in sorted(self.lost) if self._happened("rejoined", node, slot, 0)]
        return sorted(self.lost.intersection(self._seated()))

    def _happened(self, event: str, node: int, slot: int, turn: int) -> bool:
        return (event, self.names[node], slot, turn) in self._past

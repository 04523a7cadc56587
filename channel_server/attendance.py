"""Who is there: nodes that are gone, lost for the run, back again.

A node that is gone becomes *lost* where it is next asked, at a slot and turn, and rejoins at the start of a slot, so
that a replay can do the same at the same places.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from protocol.messages.plan import PastEvent


class Attendance:
    """Presence of nodes by index. With `past` events, losses and rejoins happen exactly as they did then."""

    def __init__(self, names: Sequence[str], past: tuple[PastEvent, ...] | None) -> None:
        self._names = names
        self._replaying = past is not None
        self._past = {(e.event, e.node, e.slot, e.turn) for e in past or ()}
        self._gone: dict[int, str] = {}
        self.lost: set[int] = set()
        self.missed: Counter[str] = Counter()

    def leave(self, node: int, reason: str) -> None:
        """The node's process or connection is gone; lost from where it is next asked."""
        if node not in self.lost:
            self._gone[node] = reason

    def absence(self, node: int, slot: int, turn: int) -> str:
        """Why a node about to be asked will not answer, or ""."""
        if self._replaying:
            return "as in the run that is replayed" if self._happened("lost", node, slot, turn) else ""
        return self._gone.get(node, "")

    def lose(self, node: int) -> str:
        """From here on the node is not asked; the reason."""
        self.lost.add(node)
        return self._gone.get(node, "as in the run that is replayed")

    def back(self, slot: int, seated: Collection[int]) -> list[int]:
        """Lost nodes that rejoin at this slot."""
        return [node for node in sorted(self.lost) if self._is_back(node, slot, seated)]

    def returning(self, slot: int, seated: Collection[int]) -> list[int]:
        """Nodes that rejoin at this slot, no longer lost from now on."""
        back = self.back(slot, seated)
        self.lost.difference_update(back)
        for node in back:
            self._gone.pop(node, None)
        return back

    def count_missed(self) -> None:
        """Once per slot: each lost node has missed it."""
        self.missed.update(self._names[node] for node in self.lost)

    def snapshot(self) -> dict[str, Any]:
        """Lost nodes, those that are gone, and counts."""
        return {"lost": sorted(self.lost), "gone": list(self._gone.items()), "missed": dict(self.missed)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.lost, self.missed = set(data["lost"]), Counter(data["missed"])
        self._gone = dict(data["gone"])

    def _is_back(self, node: int, slot: int, seated: Collection[int]) -> bool:
        return self._happened("rejoined", node, slot, 0) if self._replaying else node in seated

    def _happened(self, event: str, node: int, slot: int, turn: int) -> bool:
        return (event, self._names[node], slot, turn) in self._past

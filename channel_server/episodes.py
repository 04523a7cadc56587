"""The episodes of a run's replicas: which ended with the last slot, and which nodes have not heard of it."""

from typing import Any

import numpy as np

from protocol.messages.episodes import TRUNCATED, Ends, Mask, going_on


class Episodes:
    """`restart` [E]: the replicas in which a new episode begins with the next slot; None if there are none.
    `untold`: by node, the ends since its last turn."""

    def __init__(self, nodes: int, replicas: int) -> None:
        self.restart: Mask | None = None
        self._replicas = replicas
        self._nodes = nodes
        self.untold: dict[int, Ends] = {}

    def slot_done(self, ended: Ends | None, *, truncate: bool) -> Ends | None:
        """A slot is over. `ended` [E]: the world's word; `truncate`: all that go on are cut off. Returns all ends, None
        if there are none."""
        ends = going_on(self._replicas) if ended is None else ended
        if truncate:
            ends = np.where(ends > 0, ends, np.uint8(TRUNCATED))
        self.restart = ends > 0 if ends.any() else None
        if self.restart is None:
            return None
        for node in range(self._nodes):
            # of two ends since a node's last turn it learns the later
            before = self.untold.get(node)
            self.untold[node] = ends if before is None else np.where(ends > 0, ends, before)
        return ends

    def take(self, node: int) -> bytes:
        """The ends since this node's last turn, encoded; empty if there are none. Each is returned once."""
        ends = self.untold.pop(node, None)
        return b"" if ends is None else ends.tobytes()

    def snapshot(self) -> dict[str, Any]:
        """The state between two slots."""
        return {"restart": self.restart, "unsent": [[node, ends] for node, ends in self.untold.items()]}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.restart = data["restart"]
        self.untold = dict(data["unsent"])

"""A checkpoint of a run between two slots: the channel server's state, and the nodes' states as they send them."""

from msgspec import convert, to_builtins

from channel_server.joining import Send
from channel_server.run_state import RunState
from channel_server.seats import Seats
from protocol.accounting.wire_book import Connection
from protocol.determinism.snapshots import MAX_STATE_BYTES, pack, unpack
from protocol.messages.node import Save, Saved
from protocol.messages.telemetry import Checkpoint, NodeState


class Checkpointing:
    """Asks the nodes for their states and passes each part to the recorder; `save` completes the checkpoint."""

    def __init__(self, state: RunState, seats: Seats) -> None:
        self._state = state
        self._seats = seats
        self._received_bytes: dict[int, int] = {}  # by node whose state is awaited
        self._saved: list[int] = []

    @property
    def missing(self) -> list[int]:
        """Nodes whose states are awaited."""
        return sorted(self._received_bytes)

    def ask(self) -> list[Send]:
        """Begin a checkpoint: ask every node that is present for its state."""
        self._received_bytes, self._saved = {}, []
        return [send for node, _ in self._seats.taken for send in self.ask_node(node)]

    def ask_node(self, node: int) -> list[Send]:
        """Ask one node for its state."""
        self._received_bytes[node] = 0
        return [(self._seats.peer_of(node), Save(self._state.timeline.slot))]

    def leave(self, node: int) -> None:
        """A node is gone: its state is not awaited."""
        self._received_bytes.pop(node, None)

    def take(self, node: int | None, part: Saved) -> str:
        """Record a part of a node's state; returns why the part is rejected, or ""."""
        if node not in self._received_bytes or part.slot != self._state.timeline.slot:
            return "unrequested state"
        offset = self._received_bytes[node]
        if offset + len(part.data) > MAX_STATE_BYTES:
            return "oversized state"
        self._state.recorder.node_state(NodeState(node, offset, part.data))
        self._received_bytes[node] += len(part.data)
        if not part.more:
            del self._received_bytes[node]
            self._saved.append(node)
        return ""

    def save(self, *, wall_s: float, wire: list[Connection]) -> None:
        """Record the channel server's state: the checkpoint is complete."""
        state = pack({"run": self._state.snapshot(), "wall_s": wall_s, "wire": to_builtins(wire)})
        self._state.recorder.checkpoint(Checkpoint(self._state.timeline.slot, sorted(self._saved), state))

    def restore(self, state: bytes) -> tuple[float, list[Connection]]:
        """Restore the run's state. Returns the wall time and the wire book's accounts that `save` was called with."""
        data = unpack(state)
        self._state.restore(data["run"])
        return data["wall_s"], convert(data["wire"], list[Connection])

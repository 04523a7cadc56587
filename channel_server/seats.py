"""The seats of a run: one per node's name, and which peer of the transport has each now."""

from collections.abc import Collection, Sequence

from protocol.messages.node import PROTOCOL_VERSION, Hello

Peer = bytes  # the transport's name of a connection


class Seats:
    """One seat per node, by name. A peer has at most one seat, a seat at most one peer.

    `peers`: by node, of the seats that are taken. `node`: of a peer, its node's index; None for one without a seat.
    """

    def __init__(self, run_id: str, names: Sequence[str]) -> None:
        self._run_id = run_id
        self.names = names
        self._index = {name: index for index, name in enumerate(names)}
        self.peers: dict[int, Peer] = {}
        self._nodes: dict[Peer, int] = {}
        self.node = self._nodes.get

    def refusal(self, hello: Hello) -> str:
        """Why this peer cannot be seated, or ""."""
        if hello.protocol != PROTOCOL_VERSION:
            return (
                f"protocol version {hello.protocol} is not supported, only {PROTOCOL_VERSION}: "
                "run node and channel server from the same airtoll"
            )
        if hello.run_id != self._run_id:
            return f"this is run {self._run_id}, not {hello.run_id[:80]}: check the endpoint"
        if hello.name not in self._index:
            return f"no seat named {hello.name[:80]!r} in this run; seats: {_shortened(self.names)}"
        if self._index[hello.name] in self.peers:
            return f"the seat {hello.name!r} is taken by a node that is alive: choose another seat"
        return ""

    def seat(self, peer: Peer, name: str) -> int:
        """Give the seat; the node's index."""
        index = self._index[name]
        self.peers[index] = peer
        self._nodes[peer] = index
        return index

    def leave(self, peer: Peer) -> int | None:
        """Free the peer's seat; the node's index, or None for a peer without a seat."""
        node = self._nodes.pop(peer, None)
        if node is not None:
            del self.peers[node]
        return node

    def peer(self, node: int) -> Peer | None:
        """The peer in a node's seat, or None for an empty seat."""
        return self.peers.get(node)

    def peer_of(self, node: int) -> Peer:
        """The peer in a node's seat; KeyError for an empty seat."""
        return self.peers[node]

    def nodes(self) -> Collection[int]:
        """The indices of the nodes that have a peer."""
        return self.peers.keys()

    @property
    def empty(self) -> list[str]:
        """Names of the seats without a peer."""
        return [name for index, name in enumerate(self.names) if index not in self.peers]

    @property
    def taken(self) -> list[tuple[int, Peer]]:
        """Nodes and peers, by node index."""
        return sorted(self.peers.items())


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{names[0]}, {names[1]}, ... {names[-1]}"

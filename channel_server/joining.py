"""How nodes join a run: a Hello is answered by a Welcome, with the node's state if the run resumes, or refused."""

from collections.abc import Collection, Mapping

from channel_server.event_log import EventLog
from channel_server.seats import Peer, Seats
from channel_server.welcome import welcome
from channel_server.worlds.contract import World
from protocol.determinism.fingerprint import differences
from protocol.determinism.snapshots import parts
from protocol.messages.node import Hello, Message, Refused, Restore
from protocol.messages.plan import RunPlan

Send = tuple[Peer, Message]


class Joining:
    """Answers Hellos. A resumed run starts with the nodes whose states are in its checkpoint, and sends them back."""

    def __init__(
        self, plan: RunPlan, world: World, seats: Seats, fingerprint: dict[str, str], events: EventLog
    ) -> None:
        self._plan = plan
        self._world = world
        self._seats = seats
        self._fingerprint = fingerprint
        self._events = events
        self._awaited: Collection[str] = seats.names  # the nodes that join before the first slot
        self._states: dict[int, bytes] = {}  # the states from which nodes of a resumed run continue

    @property
    def awaited(self) -> list[int]:
        """The nodes whose seats are still empty before the first slot."""
        return [self._seats.names.index(name) for name in self._seats.empty if name in self._awaited]

    def resume_with(self, states: Mapping[int, bytes]) -> None:
        """The run resumes with these nodes, by index, each in the state in which it was saved."""
        self._states = dict(states)
        self._awaited = [self._seats.names[node] for node in states]

    def answer(self, peer: Peer, hello: Hello, *, over: bool) -> list[Send]:
        """Seat the node and send it its Welcome, with its state if the run resumes; or refuse it. `over`: whether the
        run has ended."""
        if reason := self._seats.refusal(hello) or ("the run has ended" if over else ""):
            return self.refuse(peer, hello, reason)
        if lines := differences(self._fingerprint, hello.fingerprint):
            reason = f"its fingerprint differs, so traces may differ: {'; '.join(lines)}"
            self._events.add("warning", hello.name, reason)
        node = self._seats.seat(peer, hello.name)
        state = self._states.get(node, b"")
        return [self._welcome(node), *((peer, Restore(*part)) for part in parts(state))]

    def refuse(self, peer: Peer, hello: Hello, reason: str) -> list[Send]:
        """Refuse a Hello: count and log it."""
        self._events.reject("refused Hello", "refused", hello.name, reason)
        return [(peer, Refused(reason))]

    def begin_run(self) -> None:
        """The first slot begins: nodes that join later start without a state."""
        self._states.clear()

    def rejoin(self, nodes: Collection[int]) -> list[Send]:
        """Welcome again the nodes that rejoin in a replay, in which none really left: each starts anew in its seat."""
        return [] if self._plan.replay is None else [self._welcome(node) for node in nodes]

    def _welcome(self, node: int) -> Send:
        return self._seats.peer_of(node), welcome(self._plan, self._world, node)

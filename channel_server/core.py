"""The channel server's core: it plays one run, and does no I/O and reads no clock.

Events in, messages out. A transport calls `arrived` for each message of a peer, `gone` when a connection breaks and
`on_timeout` when one of the `timeouts` has run out. The paced clock and the run's launcher call `run`. Each call
returns the messages to send. Between two calls the core waits: `run.waiting` is what for, `timeouts` how long.
"""

from collections import Counter
from collections.abc import Collection
from typing import Literal, assert_never

from channel_server.joining import Send as Send
from channel_server.reply_checks import ReplyChecks
from channel_server.run_progress import Past as Past
from channel_server.run_progress import RunProgress
from channel_server.seats import Peer
from channel_server.waiting import OVER, RUNNING, Awaited, Timeouts, Waiting
from channel_server.worlds.contract import World
from protocol.messages.choreography import PHASES
from protocol.messages.node import Bye, Hello, Message, Reply, Saved
from protocol.messages.plan import RunPlan

UNKNOWN_PEER = "unknown peer"  # the name of a peer that has no seat
_MAX_REFUSALS = 100  # per connection: the refusals that a peer does not read would fill the memory


class ChannelServer:
    """The conversation with a run's nodes: seats them, checks their messages, dismisses those that stay silent.

    `frames_slots`: of how many slots the frames are recorded.
    """

    def __init__(self, plan: RunPlan, world: World, fingerprint: dict[str, str]) -> None:
        self.run = RunProgress(plan, world, fingerprint)
        self._state = self.run.state
        self._seats = self.run.seats
        self._gates = self.run.gates
        self._joining = self.run.joining
        self._checkpointing = self.run.checkpointing
        self._checks = ReplyChecks(world, self._state.relay, plan.replicas)
        self._timeouts = Timeouts(plan.loss)
        self.frames_slots = plan.record.frames_slots
        self._refusals: Counter[Peer] = Counter()

    def arrived(self, peer: Peer, message: Message) -> list[Send]:
        """A message from a peer."""
        if type(message) is not Reply:
            return self._not_a_reply(peer, message)
        node = self._seats.node(peer)
        if node is None:
            return self.reject_frame(peer, "reply from an unknown peer")
        if self.run.waiting not in RUNNING:
            return []  # the run was stopped while this reply was on its way
        pace = self._state.pace
        if pace.missed and pace.is_late(node, message.slot, message.turn):
            pace.take_late(node)
            self.run.reports.take(node, message)
            return []
        gate = self._gates.gate_of(message)
        if gate is None:
            return self.reject_frame(peer, "unrequested reply")
        if reason := self._checks.fault(node, message, gate.step) or gate.accept(node, message):
            return self.reject_frame(peer, reason)
        # a reply that does not close the gate changes nothing else
        return self.run.advance() if not gate.unanswered and gate is self._gates.awaited else []

    def _not_a_reply(self, peer: Peer, message: Message) -> list[Send]:
        if type(message) is Hello:
            return self.hello(peer, message)
        if type(message) is Bye:
            return self._bye(peer, message)
        if type(message) is Saved:
            return self._take_node_state(peer, message)
        return self.reject_frame(peer, f"{type(message).__name__} from a node")

    def hello(self, peer: Peer, hello: Hello, objection: str = "") -> list[Send]:
        """Seat or refuse a node. With one node more the run may begin, or continue if it waits for lost nodes."""
        if self.is_seated(peer):
            return self.reject_frame(peer, "duplicate Hello")
        if self._refusals[peer] >= _MAX_REFUSALS:
            return self.reject_frame(peer, "Hello after many refusals")
        if objection:
            sends = self._joining.refuse(peer, hello, objection)
        else:
            sends = self._joining.answer(peer, hello, over=self.run.waiting in OVER)
        node = self._seats.node(peer)
        if node is None:
            self._refusals[peer] += 1
            return sends
        self._refusals.pop(peer, None)
        if self.run.waiting is Waiting.NODES_TO_JOIN and not self.run.awaited:
            self._joining.begin_run()
            return sends + self.run.advance()
        if self.run.waiting is Waiting.LOST_NODES and not self.run.awaited:
            return sends + self.run.advance()
        if self.run.waiting is Waiting.NODE_STATES:
            return sends + self._checkpointing.ask_node(node)
        return sends

    def reject_frame(self, peer: Peer, reason: str) -> list[Send]:
        """Reject a frame: count it, and log it unless many were rejected for the same reason."""
        self._state.events.reject(reason, "dropped", self.peer_name(peer), reason)
        return []

    def reject_connection(self, reason: str, key: str) -> None:
        """A connection was refused. `key`: the first characters of its key, "" if it showed none."""
        self._state.events.reject(reason, "dropped", UNKNOWN_PEER, f"{reason}: {key}..." if key else reason)

    def gone(self, peer: Peer, reason: str) -> list[Send]:
        """A peer's connection or process is gone."""
        self._refusals.pop(peer, None)
        node = self._seats.leave(peer)
        if node is None:
            return []
        self._checkpointing.leave(node)
        if self.run.waiting is Waiting.NODES_TO_JOIN:
            self._state.events.add("warning", self.run.names[node], f"left before the run began: {reason}")
        elif self.run.waiting is Waiting.GOODBYES and not self._seats.taken:
            self.run.waiting = Waiting.NOTHING
        elif self.run.waiting in RUNNING:
            self._state.attendance.leave(node, reason)
            return self.run.advance() if self._gates.lose(node) else []
        return []

    def is_seated(self, peer: Peer) -> bool:
        """Whether the peer is a node of this run."""
        return self._seats.node(peer) is not None

    def peer_name(self, peer: Peer) -> str:
        """The name of the node whose peer this is, or UNKNOWN_PEER."""
        node = self._seats.node(peer)
        return UNKNOWN_PEER if node is None else self.run.names[node]

    def is_late(self, peer: Peer, message: Message) -> bool:
        """Whether this is the late reply to a turn that its node missed: neither it nor its notes are taken."""
        if type(message) is not Reply:
            return False
        node = self._seats.node(peer)
        return node is not None and self._state.pace.is_late(node, message.slot, message.turn)

    @property
    def keeps_frames(self) -> bool:
        """Whether the frames of this slot are recorded."""
        return self._state.timeline.slot < self.frames_slots

    def record_frame(self, direction: Literal["up", "down"], peer_name: str, frame: bytes) -> None:
        """Keep a frame that crossed."""
        self._state.recorder.frame(direction, peer_name, frame)

    def count_rejected(self, reason: str, number: int) -> None:
        """Set how many connections were rejected for this reason; nothing else is known of them."""
        self._state.events.dropped[reason] = number

    def timeouts(self) -> dict[Awaited, float]:
        """All that the run waits for now, and for how many seconds at most. No timeout runs during a pause."""
        if self.run.waiting is Waiting.RESUME:
            return {}
        line = self._state.timeline
        first_slot, phase = line.slot == line.first_slot, PHASES[line.phase]
        seconds = self._timeouts.of(self.run.waiting, self.run.awaited, first_slot=first_slot, phase=phase)
        timeouts = {Awaited(self.run.waiting, line.slot, line.turn): seconds}
        for node, slot, turn in self._gates.late_replies:
            timeouts[Awaited(Waiting.REPLIES, slot, turn, node)] = self._timeouts.of(
                Waiting.REPLIES, [self.run.names[node]], phase=phase
            )
        return timeouts

    def on_timeout(self, awaited: Awaited) -> list[Send]:
        """One of the `timeouts` has run out; nothing happens if what was awaited has come meanwhile."""
        if (timeout_s := self.timeouts().get(awaited)) is None:
            return []
        reason = f"silent for {timeout_s:g} s"
        if awaited.node is not None:
            return self._dismiss([awaited.node], reason)
        match self.run.waiting:
            case Waiting.NODES_TO_JOIN:
                return self.run.finish("FAILED", f"{', '.join(self.run.awaited)} did not join: {reason}")
            case Waiting.REPLIES | Waiting.NODE_STATES:
                return self._dismiss([self.run.names.index(name) for name in self.run.awaited], reason)
            case Waiting.LOST_NODES:
                return self.run.finish("FAILED", f"{', '.join(self.run.awaited)} did not come back: {reason}")
            case Waiting.GOODBYES:
                self.run.waiting = Waiting.NOTHING
                return []
            case Waiting.SLOT_TIME | Waiting.RESUME | Waiting.NOTHING:
                return []
            case _:
                assert_never(self.run.waiting)

    def _bye(self, peer: Peer, bye: Bye) -> list[Send]:
        name = self.peer_name(peer)
        if bye.error and self.is_seated(peer) and self.run.waiting is not Waiting.GOODBYES:
            self._seats.leave(peer)
            return self.run.finish("FAILED", f"{name} failed: {bye.error}")
        return self.gone(peer, bye.reason or "it left")

    def _take_node_state(self, peer: Peer, part: Saved) -> list[Send]:
        if self.run.waiting is not Waiting.NODE_STATES:
            return self.reject_frame(peer, "unrequested state")
        reason = self._checkpointing.take(self._seats.node(peer), part)
        return self.reject_frame(peer, reason) if reason else []

    def _dismiss(self, nodes: Collection[int], reason: str) -> list[Send]:
        """Send each of these nodes a Bye and treat it as gone: it has been silent for too long."""
        sends: list[Send] = []
        for peer in [self._seats.peer(node) for node in nodes]:
            if peer is not None:
                sends += [(peer, Bye(f"lost: {reason}")), *self.gone(peer, reason)]
        return sends

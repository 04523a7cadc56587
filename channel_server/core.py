"""The channel server without its socket: peers' messages in, messages to peers out; no clock, no I/O.

`arrived`, `gone`, `reject_frame`, `on_timeout`, `interrupt`, `pause`, `resume`, `fail`, `checkpoint`, `begin_slot`,
`deadline` say what happened and return what to send. `take_order` sends nothing: its answer is telemetry.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple, assert_never

from msgspec import convert, to_builtins

from channel_server.attendance import Attendance
from channel_server.seats import Peer, Seats
from channel_server.slots import NodeLostError, Slots
from channel_server.welcome import names, welcome
from channel_server.worlds.contract import World
from protocol.accounting.wire_book import Connection
from protocol.determinism.fingerprint import differences
from protocol.determinism.snapshots import MAX_STATE_BYTES, pack, parts, unpack
from protocol.messages.choreography import Step
from protocol.messages.kinds import TRAINER
from protocol.messages.node import Bye, Hello, Message, Refused, Reply, Report, Restore, Save, Saved
from protocol.messages.orders import Order, PutWeights, ReportWeights
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import Checkpoint, Ended, EndState, Event, NodeState, OrderDone, Paced

Send = tuple[Peer, Message]

_MAX_NAME_CHARS = 80
_LOGGED_PER_REASON = 20  # a flood of bad frames is counted in full, but logged only so often


class Past(NamedTuple):
    """What a run goes on from before `slot`: the states of the channel server and, by index, of its nodes."""

    slot: int
    channel_server: bytes
    nodes: Mapping[int, bytes]


class ChannelServer:
    """One run: seats nodes, plays the slots, says goodbye.

    `stage`: how far it is. `end`: how it ended and why. `dropped`: what was not taken, by reason.
    `resumed`: goes on from a checkpoint. While it is held between two slots, its nodes put their states away.
    """

    def __init__(self, plan: RunPlan, world: World, fingerprint: dict[str, str]) -> None:
        self.names = names(world)
        self._plan = plan
        self._world = world
        self._fingerprint = fingerprint
        self._agents = len(world.agents)
        self._seats = Seats(plan.run_id, self.names[: self._agents + plan.choreography.has_trainer])
        self.attendance = Attendance(self.names, plan.replay)
        self.slots = Slots(plan, world, self.attendance, self._seats.nodes)
        self._script = self.slots.run()
        self._action_checks = [space.checker(plan.replicas) for space in world.actions]
        self.stage: Literal["seating", "running", "ending", "ended"] = "seating"
        self.end: tuple[EndState, str] = ("FAILED", "it has not begun")
        self.roll_back = False
        self.dropped: Counter[str] = Counter()
        self._awaited_first = self._seats.names  # who has to sit before the first slot
        self._states: dict[int, bytes] = {}  # what nodes of a resumed run go on from
        self._saving: dict[int, int] = {}  # nodes whose states are awaited, and how many bytes have come
        self._saved: list[int] = []

    # what happens

    def arrived(self, peer: Peer, message: Message) -> list[Send]:
        """A message from a peer."""
        if type(message) is Reply:
            return self._reply(peer, message)
        if type(message) is Hello:
            return self._hello(peer, message)
        if type(message) is Bye:
            return self._bye(peer, message)
        if type(message) is Report:
            if not self.is_seated(peer):
                return self.reject_frame(peer, "report from a stranger")
            self.slots.recorder.scalars(message, self.peer_name(peer))
            return []
        if type(message) is Saved:
            return self._take_state(peer, message)
        return self.reject_frame(peer, f"{type(message).__name__} from a node")

    def reject_frame(self, peer: Peer, reason: str) -> list[Send]:
        """A frame that is not taken: counted, and logged unless there have been too many."""
        self.dropped[reason] += 1
        if self.dropped[reason] <= _LOGGED_PER_REASON:
            self._log("dropped", self.peer_name(peer), reason)
        return []

    def rejected(self, reason: str, key: str) -> None:
        """A refused connection, counted as `reject_frame` does. `key`: the first characters of its key, or none."""
        self.dropped[reason] += 1
        if self.dropped[reason] <= _LOGGED_PER_REASON:
            self._log("dropped", "stranger", f"{reason}: {key}..." if key else reason)

    def gone(self, peer: Peer, reason: str) -> list[Send]:
        """A peer's connection or process is gone."""
        node = self._seats.leave(peer)
        if node is None:
            return []
        self._saving.pop(node, None)
        if self.stage == "running":
            return self._lose(node, reason)
        if self.stage == "seating":
            self._log("warning", self.names[node], f"left before the run began: {reason}")
        if self.stage == "ending" and not self._seats.taken:
            self.stage = "ended"
        return []

    def on_timeout(self, reason: str) -> list[Send]:
        """Who is awaited has been waited for long enough."""
        match self.stage:
            case "seating":
                return self._finish("FAILED", f"nobody took {', '.join(self.awaited)}: {reason}")
            case "running" if self.waits_for_lost:
                return self._finish("FAILED", f"{', '.join(self.awaited)} did not come back: {reason}")
            case "running":
                gate = self.slots.gate
                return self.on_timeout_of(list(self._saving) if gate is None else gate.missing, reason)
            case _:
                self.stage = "ended"
                return []

    def interrupt(self) -> list[Send]:
        """Stop after this slot; what is there so far is kept."""
        waits = self.rests or self.waits_for_lost
        self.slots.resume()
        self.slots.stop_before = min(self.slots.stop_before, self.slots.slot + (not waits))
        if self.stage == "seating":
            return self._finish("STOPPED", "before the first slot")
        return self._advance() if waits else []

    def pause(self) -> list[Send]:
        """Rest before the next slot, until `go_on`."""
        waits = self.waits_for_lost
        self.slots.pause()
        if waits:
            self._log("paused", "", "")
        return []

    def resume(self) -> list[Send]:
        """End a pause; or have none, if it has not come to it."""
        rests = self.rests
        self.slots.resume()
        if not rests:
            return []
        self._log("continued", "", "")
        return self._advance()

    def take_order(self, order: Order) -> None:
        """What the owner asks for while the run goes on."""
        match order:
            case ReportWeights(number):
                self.slots.report_weights()
                self.slots.recorder.answered(OrderDone(number))
            case PutWeights(number) if self.stage in ("ending", "ended"):
                self.slots.recorder.answered(OrderDone(number, "the run has ended"))
            case PutWeights():
                self.slots.put_weights(order)
            case _:
                assert_never(order)

    def fail(self, reason: str) -> list[Send]:
        """Stop now."""
        return self._finish("FAILED", reason) if self.stage in ("seating", "running") else []

    # the paced clock

    @property
    def between_slots(self) -> bool:
        """A paced slot waits for its begin."""
        return self.stage == "running" and self.slots.between

    def begin_slot(self) -> list[Send]:
        """It is time for the next slot of a paced run."""
        return self._advance()

    def deadline(self) -> list[Send]:
        """The time of the open turn is over."""
        if self.slots.deadline is None:
            return []
        self.slots.expire()
        return self._advance()

    def is_late(self, peer: Peer, message: Message) -> bool:
        """Whether this answers a turn of a paced run that has been missed: it is not taken, nor what it tells."""
        if not self.slots.pace.debts or type(message) is not Reply:
            return False
        node = self._seats.node(peer)
        return node is not None and self.slots.pace.owes(node, message.slot, message.turn)

    def on_timeout_of(self, nodes: Collection[int], reason: str) -> list[Send]:
        """These nodes have been silent for too long."""
        sends: list[Send] = []
        for peer in [self._seats.peer(node) for node in nodes]:
            if peer is not None:
                sends += [(peer, Bye(f"lost: {reason}")), *self.gone(peer, reason)]
        return sends

    # holding, snapshots

    @property
    def held(self) -> bool:
        """Between two slots until there is a checkpoint."""
        return self.stage == "running" and self.slots.held

    @property
    def rests(self) -> bool:
        """Between two slots until `go_on`, as the owner wishes; a checkpoint at the same slot comes first."""
        return self.stage == "running" and self.slots.rests

    @property
    def waits_for_lost(self) -> bool:
        """Between two slots until lost nodes are back."""
        return self.stage == "running" and self.slots.waits

    @property
    def saved(self) -> bool:
        """Held, and every node that is there has put its state away: time for `checkpoint`."""
        return self.held and not self._saving

    def checkpoint(self, *, wall_s: float, wire: list[Connection]) -> list[Send]:
        """Tell the run's state, and go on. RuntimeError unless `saved`.

        Nothing is told when a node is gone whose loss ends the run: it would end wherever it is taken up again.
        """
        if not self.saved:
            raise RuntimeError("a channel server is snapshotted while held between two slots: set slots.hold_at")
        if not any(self._plan.loss.of(name) in ("rollback", "fail") for name in self._seats.empty):
            own = {"slots": self.slots.snapshot(), "dropped": dict(self.dropped)}
            state = pack(own | {"wall_s": wall_s, "wire": to_builtins(wire)})
            self.slots.report_weights()
            self.slots.recorder.checkpoint(Checkpoint(self.slots.slot, sorted(self._saved), state))
        self.slots.release()
        return self._advance()

    def restore(self, past: Past) -> tuple[float, list[Connection]]:
        """Go on from a checkpoint, before anybody is seated, with the nodes whose states are there.

        What `checkpoint` was told: the wall time so far, and the wire's accounts.
        """
        data = unpack(past.channel_server)
        self.slots.restore(data["slots"])
        self.dropped = Counter(data["dropped"])
        self._states = dict(past.nodes)
        self._awaited_first = [self.names[node] for node in sorted(past.nodes)]
        return data["wall_s"], convert(data["wire"], list[Connection])

    # who is who

    def is_seated(self, peer: Peer) -> bool:
        """Whether the peer is a node of this run."""
        return self._seats.node(peer) is not None

    def peer_name(self, peer: Peer) -> str:
        """The node that sits there, or "stranger"."""
        node = self._seats.node(peer)
        return "stranger" if node is None else self.names[node]

    @property
    def awaited(self) -> list[str]:
        """Names of those the run is waiting for."""
        if self.stage == "seating":
            return [name for name in self._seats.empty if name in self._awaited_first]
        gate = self.slots.gate
        if gate is None:
            return [self.names[node] for node in sorted(self._saving) or self.slots.absent]
        return [self.names[node] for node in gate.missing]

    def ended(self, *, wall_s: float, wire: list[Connection], paced: Paced | None = None) -> Ended:
        """The last telemetry."""
        state, reason = self.end
        return Ended(
            state=state,
            reason=reason,
            slots=self.slots.slot,
            wall_s=wall_s,
            probes=self.slots.probes,
            dropped=dict(self.dropped),
            missed=dict(self.attendance.missed),
            wire=wire,
            fingerprint=self._fingerprint,
            paced=paced,
            roll_back=self.roll_back,
        )

    # seats

    def _hello(self, peer: Peer, hello: Hello) -> list[Send]:
        if self._seats.node(peer) is not None:
            return self.reject_frame(peer, "duplicate Hello")
        over = "the run has ended" if self.stage in ("ending", "ended") else ""
        if reason := self._seats.refusal(hello) or over:
            self.dropped["refused Hello"] += 1
            if self.dropped["refused Hello"] <= _LOGGED_PER_REASON:
                self._log("refused", hello.name[:_MAX_NAME_CHARS], reason)
            return [(peer, Refused(reason))]
        if lines := differences(self._fingerprint, hello.fingerprint):
            self._log("warning", hello.name, f"its fingerprint differs, so traces may: {'; '.join(lines)}")
        node = self._seats.seat(peer, hello.name)
        state = [(peer, Restore(*part)) for part in parts(self._states.get(node, b""))]
        return [(peer, welcome(self._plan, self._world, node)), *state, *self._go_on_with(node, peer)]

    def _go_on_with(self, node: int, peer: Peer) -> list[Send]:
        """With one node more, the run may begin or end its pause; one that is held wants its state, too."""
        if self.stage == "seating" and not self.awaited:
            self.stage = "running"
            self._states.clear()
            return self._advance()
        if self.waits_for_lost and not self.slots.absent:
            return self._advance()
        if self.held:
            self._saving[node] = 0
            return [(peer, Save(self.slots.slot))]
        return []

    def _bye(self, peer: Peer, bye: Bye) -> list[Send]:
        name = self.peer_name(peer)
        if bye.error and self.is_seated(peer) and self.stage != "ending":
            self._seats.leave(peer)
            return self._finish("FAILED", f"{name} failed: {bye.error}")
        return self.gone(peer, bye.reason or "it said goodbye")

    def _lose(self, node: int, reason: str) -> list[Send]:
        self.attendance.leave(node, reason)
        gate = self.slots.gate
        waiting = gate is not None and not gate.closed  # maybe for an answer that is due
        for due in self.slots.due:
            due.gate.lose(node)
        if gate is None or not waiting:
            return []
        gate.lose(node)
        return self._advance() if gate.closed else []

    # the run

    def _reply(self, peer: Peer, reply: Reply) -> list[Send]:
        node = self._seats.node(peer)
        gate = self.slots.gate_of(reply)
        if node is None:
            return self.reject_frame(peer, "reply from a stranger")
        if self.stage != "running":
            return []  # the run was stopped while this reply was on its way
        if self.slots.pace.owes(node, reply.slot, reply.turn):
            self.slots.pace.paid(node)
            return []
        if gate is None:
            return self.reject_frame(peer, "reply nobody asked for")
        if reason := self._fault(node, reply, gate.step) or gate.accept(node, reply):
            return self.reject_frame(peer, reason)
        return self._advance() if gate is self.slots.gate and gate.closed else []

    def _fault(self, node: int, reply: Reply, step: Step) -> str:
        if reply.action and (node >= self._agents or step not in ("act", "probe")):
            return "reply with an action out of turn"
        if reply.action and not self._action_checks[node](reply.action):
            return "reply with an action outside its space"
        if step == "close" and any(note.to != (TRAINER,) or node >= self._agents for note in reply.outbox):
            return "reply with a note that nobody will read"
        if reply.outbox and self.slots.relay.fault(node, reply.outbox):
            return "reply with a note to nowhere"
        return ""

    def _advance(self) -> list[Send]:
        """On to the next open gate."""
        try:
            asked = next(self._script, None)
        except NodeLostError as lost:
            self.roll_back = lost.roll_back
            return self._finish("FAILED", str(lost))
        if asked is None:
            return self._finish(*self._how_it_ended())
        if self.held:
            return self._save()
        if self.rests:
            self._log("paused", "", "")
        return self._welcome_again() + [(self._seats.peer_of(node), turn) for node, turn in asked]

    def _save(self) -> list[Send]:
        """Ask every node that is there for its state."""
        self._saving, self._saved = dict.fromkeys(self._seats.nodes(), 0), []
        return [(peer, Save(self.slots.slot)) for _, peer in self._seats.taken]

    def _take_state(self, peer: Peer, part: Saved) -> list[Send]:
        """A part of a node's state is handed on as it comes."""
        node = self._seats.node(peer)
        if node not in self._saving or not self.held or part.slot != self.slots.slot:
            return self.reject_frame(peer, "state nobody asked for")
        offset = self._saving[node]
        if offset + len(part.data) > MAX_STATE_BYTES:
            return self.reject_frame(peer, "state without an end")
        self.slots.recorder.state(NodeState(node, offset, part.data))
        self._saving[node] += len(part.data)
        if not part.more:
            del self._saving[node]
            self._saved.append(node)
        return []

    def _welcome_again(self) -> list[Send]:
        """In a replay nobody really left: a rejoining node starts anew where it sits."""
        if self._plan.replay is None:
            return []
        returned, self.slots.returned = self.slots.returned, []
        return [(self._seats.peer_of(node), welcome(self._plan, self._world, node)) for node in returned]

    def _how_it_ended(self) -> tuple[EndState, str]:
        slot = self.slots.slot
        if slot == self._plan.slots:
            return "SUCCEEDED", ""
        return ("FAILED", f"no agent is left at slot {slot}") if self.slots.deserted else ("STOPPED", "")

    def _finish(self, state: EndState, reason: str) -> list[Send]:
        self.end = (state, reason)
        self.slots.report_weights()
        self.slots.recorder.finish()
        self.slots.reject_orders("the run has ended")
        self.stage = "ending" if self._seats.taken else "ended"
        return [(peer, Bye(reason or "the run is over")) for _, peer in self._seats.taken]

    def _log(
        self, event: Literal["refused", "dropped", "warning", "paused", "continued"], node: str, reason: str
    ) -> None:
        self.slots.recorder.event(Event(event, self.slots.slot, self.slots.turn, node, reason))

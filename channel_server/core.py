"""The channel server without its socket: peers' messages in, messages to peers out; no clock, no I/O.

`arrived`, `gone`, `garbled`, `give_up`, `interrupt`, `pause`, `release`, `fail` say what happened and return what to
send.
"""

from collections import Counter
from typing import Any, Literal

from channel_server.attendance import Attendance
from channel_server.seats import Peer, Seats
from channel_server.slots import NodeLostError, Slots
from channel_server.welcome import names, welcome
from channel_server.worlds.contract import World
from protocol.choreography import Step
from protocol.fingerprint import differences
from protocol.kinds import TRAINER
from protocol.messages import Bye, Hello, Message, Refused, Reply, Report
from protocol.plan import RunPlan
from protocol.telemetry import Ended, EndState, Event
from protocol.wire_book import Connection

Send = tuple[Peer, Message]

_LONGEST_NAME = 80
_LOGGED_PER_REASON = 20  # a flood of bad frames is counted in full, but logged only so often


class ChannelServer:
    """One run: seats nodes, plays the slots, says goodbye.

    `stage`: how far it is. `end`: how it ended and why. `dropped`: what was not taken, by reason.
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
        self.end: tuple[EndState, str] = ("failed", "it has not begun")
        self.dropped: Counter[str] = Counter()
        self._pause_asked = False

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
            self.slots.recorder.scalars(message, self.peer_name(peer))
            return []
        return self.garbled(peer, f"{type(message).__name__} from a node")

    def garbled(self, peer: Peer, reason: str) -> list[Send]:
        """A frame that is not taken: counted, and logged unless there have been too many."""
        self.dropped[reason] += 1
        if self.dropped[reason] <= _LOGGED_PER_REASON:
            self._log("dropped", self.peer_name(peer), reason)
        return []

    def gone(self, peer: Peer, reason: str) -> list[Send]:
        """A peer's connection or process is gone."""
        node = self._seats.leave(peer)
        if node is None:
            return []
        if self.stage == "running":
            return self._lose(node, reason)
        if self.stage == "seating":
            self._log("warning", self.names[node], f"left before the run began: {reason}")
        if self.stage == "ending" and not self._seats.taken:
            self.stage = "ended"
        return []

    def give_up(self, reason: str) -> list[Send]:
        """Who is awaited has been waited for long enough."""
        match self.stage:
            case "seating":
                return self._finish("failed", f"nobody took {', '.join(self._seats.empty)}: {reason}")
            case "running":
                return self._give_up_on_silent(reason)
            case _:
                self.stage = "ended"
                return []

    def interrupt(self) -> list[Send]:
        """Stop after this slot; what is there so far is kept."""
        self.slots.stop_before = min(self.slots.stop_before, self.slots.slot + 1)
        if self.stage == "seating":
            return self._finish("interrupted", "before the first slot")
        return self.release() if self.held else []

    def pause(self) -> list[Send]:
        """Hold before the next slot, until `release`."""
        self._pause_asked = True
        if not self.held:
            self.slots.hold_at = self.slots.slot + (self.stage == "running")
        return []

    def fail(self, reason: str) -> list[Send]:
        """Stop now."""
        return self._finish("failed", reason) if self.stage in ("seating", "running") else []

    # holding, snapshots

    @property
    def held(self) -> bool:
        return self.stage == "running" and self.slots.held

    def release(self) -> list[Send]:
        """Go on after a hold; not to hold at all, if it has not come to it."""
        held, paused = self.held, self._pause_asked
        self.slots.hold_at, self._pause_asked = None, False
        if not held:
            return []
        if paused:
            self._log("resumed", "", "")
        return self._advance()

    def snapshot(self) -> dict[str, Any]:
        """The state between two slots. RuntimeError unless the run is held."""
        if not self.held:
            raise RuntimeError("a channel server is snapshotted while held between two slots: set slots.hold_at")
        return {"slots": self.slots.snapshot(), "dropped": dict(self.dropped)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`, before anybody is seated."""
        self.slots.restore(data["slots"])
        self.dropped = Counter(data["dropped"])

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
            return self._seats.empty
        gate = self.slots.gate
        return [] if gate is None else [self.names[node] for node in gate.missing]

    def ended(self, *, wall_s: float, wire: list[Connection]) -> Ended:
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
        )

    # seats

    def _hello(self, peer: Peer, hello: Hello) -> list[Send]:
        if self._seats.node(peer) is not None:
            return self.garbled(peer, "duplicate Hello")
        over = "the run has ended" if self.stage in ("ending", "ended") else ""
        if reason := self._seats.refusal(hello) or over:
            self.dropped["refused Hello"] += 1
            if self.dropped["refused Hello"] <= _LOGGED_PER_REASON:
                self._log("refused", hello.name[:_LONGEST_NAME], reason)
            return [(peer, Refused(reason))]
        if lines := differences(self._fingerprint, hello.fingerprint):
            self._log("warning", hello.name, f"its fingerprint differs, so traces may: {'; '.join(lines)}")
        node = self._seats.seat(peer, hello.name)
        return [(peer, welcome(self._plan, self._world, node)), *self._start_if_full()]

    def _start_if_full(self) -> list[Send]:
        if self.stage != "seating" or self._seats.empty:
            return []
        self.stage = "running"
        return self._advance()

    def _bye(self, peer: Peer, bye: Bye) -> list[Send]:
        name = self.peer_name(peer)
        if bye.error and self.is_seated(peer) and self.stage != "ending":
            self._seats.leave(peer)
            return self._finish("failed", f"{name} failed: {bye.error}")
        return self.gone(peer, bye.reason or "it said goodbye")

    def _lose(self, node: int, reason: str) -> list[Send]:
        self.attendance.leave(node, reason)
        for due in self.slots.due:
            due.gate.lose(node)
        gate = self.slots.gate
        if gate is None or gate.closed:
            return []
        gate.lose(node)
        return self._advance() if gate.closed else []

    def _give_up_on_silent(self, reason: str) -> list[Send]:
        missing = self.slots.gate.missing if self.slots.gate is not None else []
        sends: list[Send] = []
        for peer in [self._seats.peer(node) for node in missing]:
            if peer is not None:
                sends += [(peer, Bye(f"lost: {reason}")), *self.gone(peer, reason)]
        return sends

    # the run

    def _reply(self, peer: Peer, reply: Reply) -> list[Send]:
        node = self._seats.node(peer)
        gate = self.slots.gate_of(reply)
        if node is None:
            return self.garbled(peer, "reply from a stranger")
        if self.stage != "running":
            return []  # the run was stopped while this reply was on its way
        if gate is None:
            return self.garbled(peer, "reply nobody asked for")
        if reason := self._fault(node, reply, gate.step) or gate.accept(node, reply):
            return self.garbled(peer, reason)
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
            return self._finish("failed", str(lost))
        if asked is None:
            return self._finish(*self._how_it_ended())
        if self.held and self._pause_asked:
            self._log("paused", "", "")
        return self._welcome_again() + [(self._seats.peer_of(node), turn) for node, turn in asked]

    def _welcome_again(self) -> list[Send]:
        """In a replay nobody really left: a rejoining node starts anew where it sits."""
        if self._plan.replay is None:
            return []
        returned, self.slots.returned = self.slots.returned, []
        return [(self._seats.peer_of(node), welcome(self._plan, self._world, node)) for node in returned]

    def _how_it_ended(self) -> tuple[EndState, str]:
        slot = self.slots.slot
        if slot == self._plan.slots:
            return "done", ""
        return ("failed", f"no agent is left at slot {slot}") if self.slots.all_lost else ("interrupted", "")

    def _finish(self, state: EndState, reason: str) -> list[Send]:
        self.end = (state, reason)
        self.stage = "ending" if self._seats.taken else "ended"
        return [(peer, Bye(reason or "the run is over")) for _, peer in self._seats.taken]

    def _log(
        self, event: Literal["refused", "dropped", "warning", "paused", "resumed"], node: str, reason: str
    ) -> None:
        self.slots.recorder.event(Event(event, self.slots.slot, self.slots.turn, node, reason))

"""One run: what it waits for, how it continues, what its launcher orders, how it ends."""

from collections.abc import Mapping
from typing import NamedTuple, assert_never

from channel_server.checkpointing import Checkpointing
from channel_server.joining import Joining, Send
from channel_server.open_gates import OpenGates
from channel_server.reporting import Reporting
from channel_server.reports import Reports
from channel_server.run_state import RunState
from channel_server.seats import Seats
from channel_server.turn_exchange import NodeLostError, TurnExchange
from channel_server.turn_sequence import TurnSequence
from channel_server.waiting import OVER, Waiting
from channel_server.weights_inbox import WeightsInbox
from channel_server.welcome import names
from channel_server.worlds.contract import World
from protocol.accounting.wire_book import Connection
from protocol.messages.node import Bye
from protocol.messages.orders import Order, ReportWeights, UploadWeights
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import Ended, EndState, OrderDone, Spread, Telemetry


class Past(NamedTuple):
    """What a run resumes from before `slot`: the states of the channel server and, by index, of its nodes."""

    slot: int
    channel_server: bytes
    nodes: Mapping[int, bytes]


class RunProgress:
    """A run from the first Hello to the last Bye. Methods that return messages return those to send.

    `names`: of all nodes and of the infrastructure, by index. `waiting`: what the run waits for. `end`: how it ended
    and why. `roll_back`: whether it ended in order to resume from its last checkpoint.
    """

    def __init__(self, plan: RunPlan, world: World, fingerprint: dict[str, str]) -> None:
        self.names = names(world)
        self.seats = Seats(plan.run_id, self.names[: len(world.agents) + plan.choreography.has_trainer])
        self.state = RunState.before_first_slot(plan, world, self.seats.nodes)
        self.weights = WeightsInbox(plan, self.state)
        self.reports = Reports(self.state)
        self.gates = OpenGates(self.state)
        exchange = TurnExchange(plan, self.state, self.weights, self.reports)
        self.sequence = TurnSequence(plan, self.state, self.gates, exchange)
        self.joining = Joining(plan, world, self.seats, fingerprint, self.state.events)
        self.checkpointing = Checkpointing(self.state, self.seats)
        self._reporting = Reporting(self.state, fingerprint)
        self._loss = plan.loss
        self.waiting = Waiting.NODES_TO_JOIN
        self.end: tuple[EndState, str] = ("FAILED", "it has not begun")
        self.roll_back = False

    @property
    def slot(self) -> int:
        """The slot that is being played, or the next between two slots."""
        return self.state.timeline.slot

    @property
    def awaited(self) -> list[str]:
        """Names of the nodes that the run waits for."""
        match self.waiting:
            case Waiting.NODES_TO_JOIN:
                nodes = self.joining.awaited
            case Waiting.REPLIES:
                nodes = [] if self.gates.awaited is None else self.gates.awaited.missing
            case Waiting.NODE_STATES:
                nodes = self.checkpointing.missing
            case Waiting.LOST_NODES:
                nodes = self.sequence.absent
            case Waiting.GOODBYES:
                nodes = sorted(self.seats.nodes())
            case Waiting.SLOT_TIME | Waiting.RESUME | Waiting.NOTHING:
                nodes = []
            case _:
                assert_never(self.waiting)
        return [self.names[node] for node in nodes]

    def advance(self) -> list[Send]:
        """Go on to what the run waits for next."""
        try:
            wait = self.sequence.advance()
        except NodeLostError as lost:
            self.roll_back = lost.roll_back
            return self.finish("FAILED", str(lost))
        if wait is None:
            return self.finish(*self._outcome())
        self.waiting, asked = wait
        if self.waiting is Waiting.NODE_STATES:
            return self.checkpointing.ask()
        if self.waiting is Waiting.RESUME:
            self.state.events.add("paused")
        peers, returned = self.seats.peers, self.state.attendance.take_returned()
        sends: list[Send] = [(peers[node], turn) for node, turn in asked]
        return self.joining.rejoin(returned) + sends if returned else sends

    def finish(self, state: EndState, reason: str) -> list[Send]:
        """End the run: every node is sent a Bye."""
        self.end = (state, reason)
        self.weights.report()
        self.weights.reject("the run has ended")
        self.state.recorder.finish()
        self.waiting = Waiting.GOODBYES if self.seats.taken else Waiting.NOTHING
        return [(peer, Bye(reason or "the run is over")) for _, peer in self.seats.taken]

    def _outcome(self) -> tuple[EndState, str]:
        """How a run ended whose turn sequence is over."""
        line = self.state.timeline
        if line.slot == line.slots:
            return "SUCCEEDED", ""
        if line.slot < line.stop_before:
            return "FAILED", f"no agent is left at slot {line.slot}"
        return "STOPPED", ""

    # the clock

    def begin_slot(self) -> list[Send]:
        """It is time for the next slot of a paced run."""
        return self.advance() if self.waiting is Waiting.SLOT_TIME else []

    @property
    def deadline(self) -> float | None:
        """The part of a paced slot after which the open turn is over; None if it has no deadline."""
        return self.gates.deadline

    def on_deadline(self) -> list[Send]:
        """The time of the open turn is over."""
        if self.deadline is None:
            return []
        self.gates.expire()
        return self.advance()

    def idle_work(self) -> None:
        """Work that can be done while the nodes compute: digests of the trace, and the fading of the next slot."""
        state, following = self.state, self.state.timeline.slot + 1
        state.recorder.digest_pending()
        state.medium.prefetch(following)

    # the launcher

    def interrupt(self) -> list[Send]:
        """Stop after this slot; all results so far are kept."""
        line, between_slots = self.state.timeline, self.waiting in (Waiting.RESUME, Waiting.LOST_NODES)
        line.pause_at = None
        line.stop_before = min(line.stop_before, line.slot + (not between_slots))
        if self.waiting is Waiting.NODES_TO_JOIN:
            return self.finish("STOPPED", "before the first slot")
        return self.advance() if between_slots else []

    def pause(self) -> list[Send]:
        """Pause before the next slot that has not begun, until `resume`; a checkpoint due there is taken first."""
        if self.waiting is not Waiting.RESUME:
            slot_begun = self.waiting in (Waiting.REPLIES, Waiting.SLOT_TIME)
            self.state.timeline.pause_at = self.state.timeline.slot + slot_begun
        if self.waiting is Waiting.LOST_NODES:  # in a pause its timeout does not run
            self.waiting = Waiting.RESUME
            self.state.events.add("paused")
        return []

    def resume(self) -> list[Send]:
        """End a pause, or cancel it if it has not begun."""
        self.state.timeline.pause_at = None
        if self.waiting is not Waiting.RESUME:
            return []
        self.state.events.add("continued")
        return self.advance()

    def take_order(self, order: Order) -> None:
        """Carry out an order of the launcher; the result is reported as telemetry."""
        match order:
            case ReportWeights(number):
                self.weights.report()
                self.state.recorder.order_done(OrderDone(number))
            case UploadWeights(number) if self.waiting in OVER:
                self.state.recorder.order_done(OrderDone(number, "the run has ended"))
            case UploadWeights():
                self.weights.take(order)
            case _:
                assert_never(order)

    def fail(self, reason: str, traceback: str = "") -> list[Send]:
        """Stop now. `traceback`: of the error that is the reason, to be logged."""
        if traceback:
            self.state.events.add("warning", "channel server", traceback)
        return [] if self.waiting in OVER else self.finish("FAILED", reason)

    # checkpoints and telemetry

    @property
    def checkpoint_due(self) -> bool:
        """Whether every node that is present has sent its state, so that `checkpoint` can complete."""
        return self.waiting is Waiting.NODE_STATES and not self.checkpointing.missing

    def checkpoint(self, *, wall_s: float, wire: list[Connection]) -> list[Send]:
        """Record the run's state, and continue. RuntimeError unless `checkpoint_due`.

        There is no checkpoint when a node is gone whose loss ends the run: it would end wherever it is resumed.
        """
        if not self.checkpoint_due:
            raise RuntimeError("a channel server is saved between two slots, when its nodes have sent their states")
        if not any(self._loss.of(name) in ("rollback", "fail") for name in self.seats.empty):
            self.weights.report()
            self.checkpointing.save(wall_s=wall_s, wire=wire)
        self.state.timeline.checkpoint_done()
        return self.advance()

    def restore(self, past: Past) -> tuple[float, list[Connection]]:
        """Resume from a checkpoint, before any node has joined; the run starts with the nodes whose states are there.

        Returns what `checkpoint` was called with: the wall time so far, and the wire book's accounts.
        """
        self.joining.resume_with(past.nodes)
        return self.checkpointing.restore(past.channel_server)

    def telemetry(self) -> list[Telemetry]:
        """What has been recorded since the last call, and how far the run is."""
        return self._reporting.telemetry(self.waiting, self.awaited)

    def ended(self, *, wall_s: float, wire: list[Connection], times: tuple[Spread, Spread, int] | None = None) -> Ended:
        """The last telemetry. `times`: of a paced run, the lengths of its slots, how late they started, and this
        process's nice value."""
        return self._reporting.ended(self.end, roll_back=self.roll_back, wall_s=wall_s, wire=wire, times=times)

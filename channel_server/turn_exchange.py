"""One turn: opens its gate and sends the asked nodes their Turns; when it has closed, takes what their replies carry.

Nodes are indices here.
"""

from collections.abc import Collection, Sequence

from channel_server.gate import Gate
from channel_server.medium import Measured
from channel_server.reports import Reports
from channel_server.run_state import RunState
from channel_server.weights_inbox import WeightsInbox
from protocol.accounting.trace import TraceField
from protocol.messages.choreography import TurnSpec
from protocol.messages.node import Note, Turn
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import Event

Asked = list[tuple[int, Turn]]  # the turns to send, with the node that each is for


class NodeLostError(Exception):
    """A node is lost, and the plan says that this ends the run. `roll_back`: the run resumes from a checkpoint."""

    def __init__(self, reason: str, *, roll_back: bool) -> None:
        super().__init__(reason)
        self.roll_back = roll_back


class TurnExchange:
    """What crosses between the nodes and the medium in a turn: measurements and inboxes out, actions and notes in."""

    def __init__(self, plan: RunPlan, state: RunState, weights: WeightsInbox, reports: Reports) -> None:
        self._loss = plan.loss
        self._resend_after_slots = plan.signalling.resend_after_slots
        self._timeline = state.timeline
        self._medium = state.medium
        self._relay = state.relay
        self._recorder = state.recorder
        self._attendance = state.attendance
        self._pace = state.pace
        self._learning = state.learning
        self._reports = reports
        self._weights = weights
        self._trainer = len(state.medium.agents)
        self._phase = 0  # of this slot
        self._trainer_decides = any(spec.step == "decide" for spec in plan.choreography.turns)

    def begin_slot(self, returned: Collection[int]) -> None:
        """Notes that are due arrive; then the relay sends the weights that the trainer does not send itself."""
        self.begin_closing()
        self._weights.begin_slot(self._timeline.slot, returned=returned, lost=self._attendance.lost)

    def begin_closing(self) -> None:
        """Notes that are due in this slot arrive."""
        self._phase = self._timeline.phase
        self._relay.open(self._timeline.slot, gone=self._attendance.lost)

    def open(self, index: int, spec: TurnSpec, group: Sequence[int], measured: Measured) -> tuple[Asked, Gate]:
        """Open a turn, the choreography's entry of this index: the Turns to send and the gate to wait for.

        A node that is gone is lost here, where it is next asked, so that a replay can do the same.
        """
        slot, turn, phase, lost = self._timeline.slot, self._timeline.turn, self._phase, self._attendance.lost
        gate = Gate(slot, turn, spec.step, [node for node in group if node not in lost] if lost else group)
        if self._pace.on:
            gate.pass_over(self.busy(gate.asked))
        absent = self._attendance.absent(gate.asked, slot, turn)
        episodes, collect = self._medium.episodes, self._relay.collect
        asked: Asked = []
        for node in gate.asked:
            inbox = collect(node)
            if inbox:
                gate.inboxes[node] = inbox
            if node in absent:
                gate.lose(node)
            else:
                ended = episodes.take(node) if node in episodes.untold else b""
                asked.append((node, Turn(slot, turn, index, phase, ended, measured[node], inbox)))
        return asked, gate

    def close(self, gate: Gate, spec: TurnSpec, measured: Measured) -> None:
        """Take the replies by node index: trace, actions, notes. NodeLostError if a loss ends the run."""
        trace, slot, turn = self._recorder.trace.add, gate.slot, gate.turn
        for node, reply in gate.replies():
            if spec.view and node < self._trainer:
                trace((slot, turn, node, TraceField.MEASUREMENT, measured[node]))
            if reply is None:
                self._lose(node, gate)
                continue
            if reply.action:
                self._act(spec, node, reply.action)
            if reply.outbox:
                self.post(node, reply.outbox)
            if reply.report is not None:
                self._reports.take(node, reply)

    def post(self, source: int, notes: Sequence[Note]) -> None:
        """Give the relay the notes of a node, or of the infrastructure, whose indices follow the trainer's."""
        slot, turn = self._timeline.slot, self._timeline.turn
        self._recorder.notes(slot, turn, source, notes)
        self._relay.post(slot, turn, source, notes, gone=self._attendance.lost, neighbours=self._medium.neighbours)

    def send_report(self, report: str) -> None:
        """Post the notes that the BS and the cellular users send for this report."""
        for sent in self._medium.report(report):
            self.post(self._trainer + 1 + sent.source, [sent.note])

    def fall_back(self, absent: Collection[int]) -> None:
        """The plan's fallback acts for agents that are lost or have missed the turn."""
        line = self._timeline
        for node in sorted(absent):
            action = self._medium.board.fall_back(node, line.slot, line.turn)
            self._recorder.trace.add((line.slot, line.turn, node, TraceField.ACTION, action))

    def busy(self, nodes: Sequence[int]) -> list[int]:
        """Nodes of a paced run that are not asked, as they have not answered an earlier turn: so no queue builds up.

        One that is gone is asked: it is lost where it is next asked.
        """
        if not self._pace.on:
            return []
        behind = self._pace.behind | {node for node, _, _ in self._learning.unanswered}
        slot, turn, absence = self._timeline.slot, self._timeline.turn, self._attendance.absence
        return [node for node in nodes if node in behind and not absence(node, slot, turn)]

    @property
    def trainer_has_work(self) -> bool:
        """Whether the trainer is to be asked to learn: when notes have come for it, and at intervals as long as weights
        that it sent are not acknowledged, so that it can resend them; always if it also decides, since what it learns
        from may have come in that turn."""
        if self.busy([self._trainer]):
            return False
        if self._trainer_decides:
            return True
        every = self._resend_after_slots
        resends = every > 0 and self._timeline.slot % every == 0 and self._relay.awaits_acks
        return self._relay.waiting(self._trainer) or resends

    def book(self) -> None:
        """The recorder gets the rows of the air book that have come together."""
        self._recorder.air(self._relay.drain_rows())

    def book_end(self) -> None:
        """Book what no node will read any more as the run ends."""
        slot, turn = self._timeline.slot, self._timeline.turn
        for node in range(self._trainer + 1):
            self._relay.unread(slot, turn, node, [])
        self._relay.cut(slot)
        self.book()

    def _act(self, spec: TurnSpec, node: int, action: bytes) -> None:
        line, board = self._timeline, self._medium.board
        self._recorder.trace.add((line.slot, line.turn, node, TraceField.ACTION, action))
        (board.actions if spec.step == "act" else board.trial).write(node, action)

    def _lose(self, node: int, gate: Gate) -> None:
        reason, name = self._attendance.lose(node), self._attendance.names[node]
        self._recorder.event(Event("lost", gate.slot, gate.turn, name, reason))
        unread = self._pace.forget(node) + gate.inboxes.get(node, [])
        self._relay.unread(gate.slot, gate.turn, node, unread)
        on_loss = self._loss.of(name)
        if on_loss == "fail" or on_loss == "rollback":
            raise NodeLostError(f"{name} is lost: {reason}", roll_back=on_loss == "rollback")

"""The turn sequence: which nodes are asked in which order, slot after slot, by the run's choreography.

Nodes are indices here; the core knows which peer each of them is.
"""

from collections.abc import Iterator, Sequence
from typing import assert_never

from channel_server.gate import Gate
from channel_server.open_gates import OpenGates
from channel_server.run_state import RunState
from channel_server.turn_exchange import Asked, TurnExchange
from channel_server.waiting import Waiting
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import CLOSING, PHASES, TurnSpec
from protocol.messages.plan import OnLoss, RunPlan

Waits = Iterator[tuple[Waiting, Asked]]

_LEARN = TurnSpec(who="trainer", step="learn")


class TurnSequence:
    """The run as a sequence of waits, one per `advance`. While it waits for replies, `gates` has the gate awaited."""

    def __init__(self, plan: RunPlan, state: RunState, gates: OpenGates, exchange: TurnExchange) -> None:
        self._plan = plan
        self._timeline = state.timeline
        self._medium = state.medium
        self._recorder = state.recorder
        self._attendance = state.attendance
        self._pace = state.pace
        self._learning = state.learning
        self._events = state.events
        self._gates = gates
        self._exchange = exchange
        self._order = CounterRng(plan.seed, "order")
        self._unsent: Asked = []  # Turns that are sent with the next ones that the run waits for
        self._waits = self._run()

    def advance(self) -> tuple[Waiting, Asked] | None:
        """What the run waits for next, and the turns to send before; None when it is over. NodeLostError if a loss ends
        the run."""
        return next(self._waits, None)

    @property
    def absent(self) -> list[int]:
        """The nodes that this slot waits for to come back; none in a replay."""
        away = self._attendance.away(self._timeline.slot)
        if not away or self._plan.replay is not None:
            return []
        waits: tuple[OnLoss, ...] = ("pause", "restart") if away.issuperset(self._medium.agents) else ("pause",)
        return [node for node in sorted(away) if self._plan.loss.of(self._attendance.names[node]) in waits]

    # the run

    def _run(self) -> Waits:
        line = self._timeline
        while line.slot < line.stop_before:
            if line.checkpoint_at == line.slot:
                yield from self._hold()
            if line.pause_at == line.slot:
                yield Waiting.RESUME, []
            elif self.absent:
                yield Waiting.LOST_NODES, []
            elif self._attendance.away(line.slot).issuperset(self._medium.agents):
                break
            else:
                yield from self._until_slot_time()
                yield from self._play_slot()
                line.next_slot()
        yield from self._until_slot_time()  # the last slot lasts as long as the others
        if line.slot == line.stop_before < line.slots:
            line.turn = 0
            self._events.add("interrupted")
        yield from self._close_run()

    def _hold(self) -> Waits:
        """Between two slots, until the run has been saved. Pending learn turns close first, so that none is saved."""
        for _, gate in self._learning.pending:
            yield from self._wait(gate, [])
        yield Waiting.NODE_STATES, []

    def _until_slot_time(self) -> Waits:
        """In a paced run, between two slots; the trainer may learn meanwhile."""
        if self._pace.on:
            sent, self._unsent = self._unsent, []
            yield Waiting.SLOT_TIME, sent

    def _play_slot(self) -> Waits:
        self._begin_slot()
        for index, spec in enumerate(self._plan.choreography.turns):
            for _ in range(spec.repeat):
                for group in self._groups(spec):
                    if spec.who == "network":
                        self._exchange.send_report(spec.view)
                    elif spec.step == "learn":
                        yield from self._learn(index)
                    else:
                        yield from self._ask(index, spec, group)
                    self._timeline.turn += 1
        self._transmit()
        self._exchange.book()
        self._attendance.count_missed()
        self._recorder.slot_done(self._timeline.slot, last_of_phase=self._timeline.ends_phase)

    def _begin_slot(self) -> None:
        line = self._timeline
        line.turn = 0
        self._pace.begin_slot(line.slot)
        returned = self._attendance.rejoin(line.slot)
        for node in returned:
            self._events.add("rejoined", self._attendance.names[node])
        self._medium.begin(line.slot)
        self._exchange.begin_slot(returned)

    def _groups(self, spec: TurnSpec) -> Sequence[Sequence[int]]:
        """Who is asked together, in the order of the turns."""
        agents = self._medium.agents
        if spec.who == "trainer":
            return [[len(agents)]]
        if spec.who == "network" or spec.order == "all":
            return [agents]
        match spec.order:
            case "one by one":
                return [[node] for node in agents]
            case "rotating":
                first = self._timeline.slot % len(agents)
                return [[node] for node in (*agents[first:], *agents[:first])]
            case "random":
                rng = self._order.at(self._timeline.slot, self._timeline.turn)
                return [[node] for node in rng.permutation(len(agents)).tolist()]
            case _:
                assert_never(spec.order)

    def _transmit(self) -> None:
        """The world transmits; then the infrastructure sends its feedback, each report in a turn of its own."""
        line, choreography = self._timeline, self._plan.choreography
        phase = PHASES[line.phase]
        self._recorder.outcome(line.slot, line.turn, phase, self._medium.transmit(line.slot, truncate=line.truncates))
        for report in choreography.feedback if phase in choreography.feedback_phases else ():
            self._exchange.send_report(report)
            line.turn += 1

    def _close_run(self) -> Waits:
        """After the last slot: deliver the last measurement, feedback and weights; take the agents' last histories."""
        line, agents, choreography = self._timeline, self._medium.agents, self._plan.choreography
        line.turn = 0
        self._pace.on = False
        view = next((spec.view for spec in choreography.turns if spec.who == "agents"), "")
        self._exchange.begin_closing()
        yield from self._collect(self._plan.slots + self._plan.train_delay_slots)
        yield from self._ask(CLOSING, TurnSpec(who="agents", step="close", view=view), agents)
        line.turn = 1
        if choreography.has_trainer:
            yield from self._ask(CLOSING, TurnSpec(who="trainer", step="close"), [len(agents)])
        self._exchange.book_end()

    # one turn

    def _ask(self, index: int, spec: TurnSpec, group: Sequence[int]) -> Waits:
        # A probe changes what the next one measures. Agents that act one by one all measure the same, at once.
        measuring = self._medium.agents if spec.who == "agents" and spec.step != "probe" else group
        measured = self._medium.measure(spec.view, measuring)
        if self._pace.on:
            self._pace.begin_turn()
        asked, gate = self._exchange.open(index, spec, group, measured)
        yield from self._wait(gate, asked)
        if self._pace.on:
            self._pace.count(gate)
        self._exchange.close(gate, spec, measured)
        lost, missed = self._attendance.lost, gate.missed
        absent = lost.union(missed).intersection(group) if lost or missed else ()
        if spec.step == "act" and absent:
            self._exchange.fall_back(absent)
        if spec.step == "probe":
            self._medium.probe(len(group) - len(absent))

    def _wait(self, gate: Gate, asked: Asked) -> Waits:
        """Send these Turns, and wait until the gate has closed. Those of a closed gate are sent with the next ones."""
        self._unsent += asked
        if not gate.closed:
            sent, self._unsent = self._unsent, []
            self._gates.awaited = gate
            yield Waiting.REPLIES, sent
            self._gates.awaited = None

    def _learn(self, index: int) -> Waits:
        """Ask the trainer to learn if it has work; wait for its reply in the slot in which that is due.

        A paced run does not wait for it, and does not ask it again before it has replied.
        """
        if self._exchange.trainer_has_work:
            trainer = [len(self._medium.agents)]
            asked, gate = self._exchange.open(index, _LEARN, trainer, dict.fromkeys(trainer, b""))
            self._unsent += asked
            self._learning.add(gate)
        yield from self._collect(self._timeline.slot)

    def _collect(self, slot: int) -> Waits:
        """Take the replies of learn turns that are due by this slot; in a paced run, those that have come."""
        while (gate := self._learning.due_by(slot)) is not None:
            if self._pace.on and not gate.closed:
                break
            yield from self._wait(gate, [])
            del self._learning.pending[0]
            self._exchange.close(gate, _LEARN, {})

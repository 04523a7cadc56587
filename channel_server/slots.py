"""The slots of a run: opens gates in the order of the choreography, lets the world transmit, books what was told.

Speaks of nodes by index; `core` knows where they sit.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Literal, NamedTuple, assert_never, cast

from channel_server.attendance import Attendance
from channel_server.gate import Gate
from channel_server.pace import Pace
from channel_server.recorder import Recorder
from channel_server.relay import Relay
from channel_server.welcome import names
from channel_server.worlds.contract import Radio, World
from protocol.accounting.trace import TraceField
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import CLOSING, PHASES, TurnSpec
from protocol.messages.kinds import LinkClass
from protocol.messages.node import Note, ReceivedNote, Reply, Turn
from protocol.messages.orders import PutWeights
from protocol.messages.plan import OnLoss, RunPlan
from protocol.messages.spaces import Records
from protocol.messages.telemetry import Event, MapUpdate, OrderDone, Weights

Asked = list[tuple[int, Turn]]
_LEARN = TurnSpec(who="trainer", step="learn")


class NodeLostError(Exception):
    """A node is lost, and the plan says that this ends the run. `roll_back`: it is to go on from a checkpoint."""

    def __init__(self, reason: str, *, roll_back: bool) -> None:
        super().__init__(reason)
        self.roll_back = roll_back


class PendingLearnTurn(NamedTuple):
    """A learn turn on its way: its answer is waited for at the end of `slot`."""

    slot: int
    gate: Gate


class Slots:
    """The run as a generator of turns. Between two values it yields, its open `gate` has to be filled."""

    def __init__(
        self, plan: RunPlan, world: World, attendance: Attendance, seated: Callable[[], Collection[int]]
    ) -> None:
        self._plan = plan
        self._world = world
        self._attendance = attendance
        self._seated = seated
        self._agents = range(len(world.agents))
        self._names = names(world)
        self.relay = Relay(
            len(world.agents),
            world.agent_link,
            plan.choreography.has_trainer,
            plan.signalling,
            seed=plan.seed,
            radio_bits=self._radio_bits,
        )
        self.recorder = Recorder(plan, world.metrics)
        self.pace = Pace(plan.clock, plan.choreography, self._names, len(world.agents))
        self.between = False  # a paced slot waits for its begin
        self.gate: Gate | None = None
        self.slot = 0
        self.turn = 0
        self.probes = 0
        self._prefetch = getattr(world, "prefetch", None)
        self._draw = getattr(world, "render", None)
        self._seen: tuple[int, Any] | None = None  # the last slot that was transmitted, and the state it left
        self._prefetched = 0  # the slot whose chance has been drawn ahead
        self.returned: list[int] = []  # who rejoined at this slot
        self.due: list[PendingLearnTurn] = []  # in the order in which they fall due
        self._unsent: Asked = []  # rides with the next turn that somebody is waited for
        self.stop_before = next((e.slot for e in plan.replay or () if e.event == "interrupted"), plan.slots)
        self.deserted = False  # no agent is left
        self.hold_at = self._next_checkpoint()
        self.pause_at: int | None = None  # the owner's wish
        self._puts: dict[int, PutWeights] = {}  # by node, for the next slot
        self._past_puts: dict[int, list[tuple[int, bytes]]] = {}  # of the run that is replayed, by slot
        for event in plan.replay or ():
            if event.event == "put":
                self._past_puts.setdefault(event.slot, []).append((self._names.index(event.node), event.body))
        self._reported_weights: dict[int, ReceivedNote] = {}  # to the owner
        self._phases = [PHASES.index(p.name) for p in plan.phases for _ in range(p.slots)]
        self._order = CounterRng(plan.seed, "order")
        self._fallback_chances = [CounterRng(plan.seed, "fallback", node) for node in self._agents]
        self.state: Any = world.reset(0)
        self._actions = self._silence()
        self._probed = self._silence()

    @property
    def held(self) -> bool:
        """Waiting between two slots for a checkpoint."""
        return self.hold_at == self.slot and self.gate is None

    @property
    def rests(self) -> bool:
        """Waiting between two slots as the owner wishes."""
        return self.pause_at == self.slot and self.gate is None and not self.held

    @property
    def waits(self) -> bool:
        """Waiting between two slots for lost nodes."""
        return self.gate is None and not (self.held or self.rests or self.between)

    @property
    def absent(self) -> list[int]:
        """The nodes that this slot waits for to come back; none in a replay."""
        away = self._away()
        if not away or self._plan.replay is not None:
            return []
        waits: tuple[OnLoss, ...] = ("pause", "restart") if away.issuperset(self._agents) else ("pause",)
        return [node for node in sorted(away) if self._plan.loss.of(self._names[node]) in waits]

    def run(self) -> Iterator[Asked]:
        """The turns to send, one list per gate; an empty one to wait between slots. Ends after the closing turn."""
        while self.slot < self.stop_before:
            if self.hold_at == self.slot:
                yield from self._hold()
            if self.pause_at == self.slot or self.absent:
                yield []
                continue
            if self._away().issuperset(self._agents):
                self.deserted = True
                break
            if self.pace.on:
                yield from self._until_it_is_time()
            yield from self._one_slot()
            self.slot, self.turn = self.slot + 1, 0  # what happens between two slots happens before the later one
        if self.pace.on:  # the last slot lasts as long as the others
            yield from self._until_it_is_time()
        if self.slot == self.stop_before < self._plan.slots:
            self.turn = 0
            self._log("interrupted", "", "")
        yield from self._closing()

    def _hold(self) -> Iterator[Asked]:
        """Between two slots, with nothing on its way to be computed."""
        for due in self.due:
            yield from self._wait(due.gate, [])
        yield []

    def _until_it_is_time(self) -> Iterator[Asked]:
        """Between two slots of a paced run, until the clock begins the next; the trainer may learn meanwhile."""
        sent, self._unsent = self._unsent, []
        self.between = True
        yield sent
        self.between = False

    @property
    def deadline(self) -> float | None:
        """The part of the slot after which the open turn is over; None if it has no deadline."""
        has_none = not self.pace.on or self.gate is None or self.gate.step == "learn"
        return None if has_none else self.pace.deadline

    def expire(self) -> None:
        """The open turn's deadline has passed: it closes."""
        if self.gate is not None:
            self.pace.expire(self.gate)

    @property
    def owed(self) -> list[tuple[int, int, int]]:
        """Answers of a paced run that nobody waits for any more, or yet: node, slot and turn."""
        if not self.pace.on:
            return []
        learning = [(node, due.gate.slot, due.gate.turn) for due in self.due for node in due.gate.missing]
        absence = self._attendance.absence
        return [owed for owed in self.pace.owed + learning if not absence(owed[0], self.slot, self.turn)]

    def _away(self) -> set[int]:
        """Lost, and not back at this slot."""
        lost = self._attendance.lost
        return lost.difference(self._attendance.back(self.slot, self._seated())) if lost else lost

    def release(self) -> None:
        """No more held; the next checkpoint is ahead."""
        self.hold_at = self._next_checkpoint()

    def pause(self) -> None:
        """Rest before the next slot that has not begun."""
        if not self.rests:
            self.pause_at = self.slot + (self.gate is not None or self.between)

    def resume(self) -> None:
        """No more rest, or none at all."""
        self.pause_at = None

    def report_weights(self) -> None:
        """Tell the owner the weights that nodes were given last, unless it knows them."""
        for node, received in self.relay.given.items():
            if self._reported_weights.get(node) is not received:
                self._reported_weights[node] = received
                self.recorder.weights(Weights(node, received.slot, received.body))

    def put_weights(self, order: PutWeights) -> None:
        """Give an agent these weights when the next slot begins; who is given others by then gets the latest alone."""
        if order.node not in self._world.agents:
            self.recorder.answered(OrderDone(order.id, f"no agent is named {order.node!r}"))
            return
        node = self._names.index(order.node)
        if earlier := self._puts.pop(node, None):
            self.recorder.answered(OrderDone(earlier.id, "other weights came for the same slot"))
        self._puts[node] = order

    def reject_orders(self, reason: str) -> None:
        """What waits for the next slot, when there is none."""
        for order in self._puts.values():
            self.recorder.answered(OrderDone(order.id, reason))
        self._puts.clear()

    def _next_checkpoint(self) -> int | None:
        every = self._plan.record.checkpoint_every
        return (self.slot // every + 1) * every if every else None

    def idle_work(self) -> None:
        """What can be done while the nodes are at work: digests, and the next slot's chance."""
        self.recorder.settle()
        if self._prefetch is not None and self._prefetched <= self.slot:
            self._prefetched = self.slot + 1
            self._prefetch(self._episode_of(self._prefetched), self._prefetched)

    def map_update(self) -> MapUpdate | None:
        """What the world shows of the last slot; None if it shows nothing, or nothing new since it was asked last."""
        if self._draw is None or self._seen is None:
            return None
        (slot, state), self._seen = self._seen, None
        return MapUpdate(slot, self._draw(state))

    def gate_of(self, reply: Reply) -> Gate | None:
        """The gate that a reply is meant for; the one that is waited for if it fits none."""
        if not self.due:
            return self.gate
        meant = (due.gate for due in self.due if (due.gate.slot, due.gate.turn) == (reply.slot, reply.turn))
        return next(meant, self.gate)

    def snapshot(self) -> dict[str, Any]:
        """The state between two slots."""
        return {
            "slot": self.slot,
            "world": self._world.snapshot(self.state),
            "relay": self.relay.snapshot(),
            "recorder": self.recorder.snapshot(),
            "attendance": self._attendance.snapshot(),
            "actions": [action.tobytes() for action in self._actions],
            "probes": self.probes,
            "due": [[due.slot, due.gate.snapshot()] for due in self.due],
            "pace": self.pace.snapshot(),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`, before `run`."""
        self.slot, self.probes = data["slot"], data["probes"]
        self.state = self._world.restore(data["world"])
        self.relay.restore(data["relay"])
        self.recorder.restore(data["recorder"])
        self._attendance.restore(data["attendance"])
        self._actions = [space.decode(raw) for space, raw in zip(self._world.actions, data["actions"], strict=True)]
        self.due = [PendingLearnTurn(slot, Gate.restored(gate)) for slot, gate in data["due"]]
        self.pace.restore(data["pace"])
        self.hold_at = self._next_checkpoint()

    # one slot

    def _one_slot(self) -> Iterator[Asked]:
        self._begin()
        for index, spec in enumerate(self._plan.choreography.turns):
            for _ in range(spec.repeat):
                for group in self._groups(spec):
                    if spec.who == "network":
                        self._tell(spec.view)
                    elif spec.step == "learn":
                        yield from self._learn(index)
                    else:
                        yield from self._ask(index, spec, group)
                    self.turn += 1
        self._transmit()
        self._book()

    def _begin(self) -> None:
        self.turn = 0
        self.pace.begin_slot(self.slot)
        self._welcome_back()
        every = self._plan.episode_slots
        if every is not None and self.slot % every == 0 and self.slot > 0:
            self.state = self._world.reset(self._episode)
            self._actions = self._silence()
        self.state = self._world.begin(self.state, self._episode, self.slot)
        self.relay.open(self.slot, gone=self._attendance.lost)
        for node in [*self.returned, *self._unacknowledged_uploads()]:
            self.relay.resend_weights(self.slot, node)
        self._put()

    def _unacknowledged_uploads(self) -> list[int]:
        """Who has not acknowledged weights that were put by hand, and is to be told them again."""
        after = self._plan.signalling.resend_after_slots
        away = self._attendance.lost.union(self.returned)
        return [node for node in self.relay.overdue(self.slot, after) if node not in away] if after else []

    def _put(self) -> None:
        """The owner's weights, or those of the run that is replayed, leave for their nodes."""
        past = self._past_puts.get(self.slot, [])
        for node, body in sorted([*past, *((node, order.body) for node, order in self._puts.items())]):
            self.recorder.trace.add(self.slot, self.turn, node, TraceField.WEIGHTS, body)
            self.recorder.weights(Weights(node, self.slot, body, uploaded=True))
            self._log("put", self._names[node], f"weights of {len(body)} bytes by hand")
            self.relay.put_weights(self.slot, node, body, gone=self._attendance.lost)
        for order in self._puts.values():
            self.recorder.answered(OrderDone(order.id))
        self._puts.clear()

    def _welcome_back(self) -> None:
        self.returned = self._attendance.returning(self.slot, self._seated())
        for node in self.returned:
            self._log("rejoined", self._names[node], "")

    def _groups(self, spec: TurnSpec) -> Sequence[Sequence[int]]:
        """Who is asked together, in the order of the turns."""
        if spec.who == "trainer":
            return [[len(self._agents)]]
        if spec.who == "network" or spec.order == "all":
            return [self._agents]
        match spec.order:
            case "one by one":
                return [[node] for node in self._agents]
            case "random":
                rng = self._order.at(self._episode, self.slot, self.turn)
                return [[node] for node in rng.permutation(len(self._agents)).tolist()]
            case _:
                assert_never(spec.order)

    def _tell(self, report: str) -> None:
        """The network's parties tell what a report says."""
        for told in self._world.report(self.state, report):
            party = len(self._agents) + 1 + told.party
            self._post(party, [told.note])

    def _transmit(self) -> None:
        self.state, outcome = self._world.transmit(self.state, self._actions)
        self._seen = (self.slot, self.state)
        self.recorder.outcome(self.slot, self.turn, PHASES[self._phase], outcome)
        choreography = self._plan.choreography
        for report in choreography.feedback if PHASES[self._phase] in choreography.feedback_phases else ():
            self._tell(report)
            self.turn += 1

    def _book(self) -> None:
        self.recorder.air(self.relay.drain_rows())
        self._attendance.count_missed()
        last_of_phase = (
            self._phases[self.slot : self.slot + 2] != [self._phase] * 2 or self.slot + 1 == self.stop_before
        )
        self.recorder.slot_done(self.slot, last_of_phase=last_of_phase)

    def _closing(self) -> Iterator[Asked]:
        """After the last slot: deliver the last measurement, feedback and weights; take the agents' last histories."""
        self.turn = 0
        self.pace.on = False
        turns = self._plan.choreography.turns
        view = next((spec.view for spec in turns if spec.who == "agents"), "")
        self.relay.open(self.slot, gone=self._attendance.lost)
        yield from self._collect(self._plan.slots + self._plan.train_delay_slots)
        yield from self._ask(CLOSING, TurnSpec(who="agents", step="close", view=view), self._agents)
        self.turn = 1
        if self._plan.choreography.has_trainer:
            yield from self._ask(CLOSING, TurnSpec(who="trainer", step="close"), [len(self._agents)])
        for node in range(len(self._agents) + 1):
            self.relay.unread(self.slot, self.turn, node, [])
        self.relay.cut(self.slot)
        self.recorder.air(self.relay.drain_rows())

    # one turn

    def _ask(self, index: int, spec: TurnSpec, group: Sequence[int]) -> Iterator[Asked]:
        measured = self._measure(spec.view)
        self.pace.begin_turn()
        asked, gate = self._open(index, spec, group, measured)
        yield from self._wait(gate, asked)
        if self.pace.on:
            self.pace.count(gate)
        self._close(gate, spec, measured)
        absent = self._attendance.lost.union(gate.missed).intersection(group)
        if spec.step == "act":
            self._act_for(absent)
        if spec.step == "probe":
            self._probe(len(group) - len(absent))

    def _wait(self, gate: Gate, asked: Asked) -> Iterator[Asked]:
        """Send what is to be sent, and go on when the gate has closed."""
        self._unsent += asked
        if not gate.closed:
            sent, self._unsent = self._unsent, []
            self.gate = gate
            yield sent
            self.gate = None

    def _learn(self, index: int) -> Iterator[Asked]:
        """The trainer is asked when notes have come for it, and now and then while it has no word of weights that it
        told, to tell them again; its answer is waited for when it is due.

        In a paced run it is not waited for, and not asked again before it has answered.
        """
        trainer = len(self._agents)
        if (self.relay.waiting(trainer) or self._resends()) and not self._busy([trainer]):
            asked, gate = self._open(index, _LEARN, [trainer], self._measure(""))
            self._unsent += asked
            self.due.append(PendingLearnTurn(self.slot + self._plan.train_delay_slots, gate))
        yield from self._collect(self.slot)

    def _collect(self, slot: int) -> Iterator[Asked]:
        """Wait for the answers that are due by now; in a paced run take those that are there."""
        while self.due and self.due[0].slot <= slot:
            gate = self.due[0].gate
            if self.pace.on and not gate.closed:
                break
            yield from self._wait(gate, [])
            del self.due[0]
            self._close(gate, _LEARN, [])

    def _resends(self) -> bool:
        every = self._plan.signalling.resend_after_slots
        return every > 0 and self.slot % every == 0 and self.relay.awaits_acks

    def _measure(self, view: str) -> list[bytes]:
        """What each node measures, encoded; the trainer measures nothing."""
        if not view:
            return [b""] * (len(self._agents) + 1)
        return [*(records.tobytes() for records in self._world.measure(self.state, view)), b""]

    def _open(self, index: int, spec: TurnSpec, group: Sequence[int], measured: list[bytes]) -> tuple[Asked, Gate]:
        slot, turn, phase, episode = self.slot, self.turn, self._phase, self._episode
        lost, collect, absence = self._attendance.lost, self.relay.collect, self._attendance.absence
        gate = Gate(slot, turn, spec.step, [node for node in group if node not in lost])
        gate.pass_over(self._busy(gate.asked))
        asked: Asked = []
        for node in gate.asked:
            inbox = collect(node)
            if inbox:
                gate.handed[node] = inbox
            if absence(node, slot, turn):
                gate.lose(node)
            else:
                asked.append((node, Turn(slot, turn, index, phase, episode, measured[node], inbox)))
        return asked, gate

    def _busy(self, nodes: Sequence[int]) -> list[int]:
        """Who is not asked in a paced run, as it owes an answer: no queue builds up. Who is gone is, and so is lost."""
        if not self.pace.on:
            return []
        away = self.pace.debts.keys() | {node for due in self.due for node in due.gate.missing}
        absence = self._attendance.absence
        return [node for node in nodes if node in away and not absence(node, self.slot, self.turn)]

    def _close(self, gate: Gate, spec: TurnSpec, measured: list[bytes]) -> None:
        """Take what came, by node index: trace it, keep actions, relay notes."""
        trace = self.recorder.trace.add
        slot, turn = gate.slot, gate.turn
        for node, reply in gate.answers():
            if spec.view and node in self._agents:
                trace(slot, turn, node, TraceField.MEASUREMENT, measured[node])
            if reply is None:
                reason = self._attendance.lose(node)
                self.recorder.event(Event("lost", slot, turn, self._names[node], reason))
                self.relay.unread(slot, turn, node, self.pace.forget(node) + gate.handed.get(node, []))
                on_loss = self._plan.loss.of(self._names[node])
                if on_loss == "fail" or on_loss == "rollback":
                    raise NodeLostError(f"{self._names[node]} is lost: {reason}", roll_back=on_loss == "rollback")
            else:
                self._take(spec, node, reply)

    def _take(self, spec: TurnSpec, node: int, reply: Reply) -> None:
        if reply.action:
            self.recorder.trace.add(self.slot, self.turn, node, TraceField.ACTION, reply.action)
            actions = self._actions if spec.step == "act" else self._probed
            actions[node] = self._world.actions[node].view(reply.action)
        if reply.outbox:
            self._post(node, reply.outbox)

    def _post(self, source: int, notes: Sequence[Note]) -> None:
        self.recorder.notes(self.slot, self.turn, source, notes)
        lost = self._attendance.lost
        self.relay.post(self.slot, self.turn, source, notes, gone=lost, neighbours=self._neighbours)

    def _neighbours(self) -> Sequence[tuple[int, ...]]:
        return self._world.neighbours(self.state)

    def _radio_bits(self, source: int, receivers: tuple[int, ...], link: LinkClass) -> float:
        """What this slot of a link's whole radio carries."""
        world = cast(Radio, self._world)  # no other world is given a plan with radio in it
        bps_hz = world.signalling_bps_hz(self.state, source, receivers, link)
        return world.signalling_band_hz * world.slot_s * bps_hz

    def _probe(self, probing: int) -> None:
        """A short trial of so many agents: who did not probe radiates nothing. Costs no note but airtime."""
        self.state = self._world.probe(self.state, self._probed)
        self._probed = self._silence()
        self.probes += probing

    def _act_for(self, absent: Collection[int]) -> None:
        """The declared fallback stands in for agents that are lost or have missed their turn."""
        for node in sorted(absent):
            self._actions[node] = self._stand_in(node)
            self.recorder.trace.add(self.slot, self.turn, node, TraceField.ACTION, self._actions[node].tobytes())

    def _stand_in(self, node: int) -> Records:
        match self._plan.loss.fallback:
            case "hold":
                return self._actions[node]
            case "silent":
                return self._world.silent(node)
            case "random":
                rng = self._fallback_chances[node].at(self._episode, self.slot, self.turn)
                return self._world.random(node, rng)
            case _:
                assert_never(self._plan.loss.fallback)

    def _silence(self) -> list[Records]:
        return [self._world.silent(node) for node in self._agents]

    # where in the run

    @property
    def _episode(self) -> int:
        return self._episode_of(min(self.slot, self.stop_before - 1))

    def _episode_of(self, slot: int) -> int:
        every = self._plan.episode_slots
        return 0 if every is None else slot // every

    @property
    def _phase(self) -> int:
        return self._phases[min(self.slot, self.stop_before - 1)]

    def _log(self, event: Literal["rejoined", "interrupted", "put"], node: str, reason: str) -> None:
        self.recorder.event(Event(event, self.slot, self.turn, node, reason))

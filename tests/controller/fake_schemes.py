"""Small schemes whose trainers have the shapes that papers have, in `conflict_graph`. Their learners count."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from protocol.messages.choreography import (
    Choreography,
    TurnSpec,
    agents_act,
    agents_exchange,
    trainer_decides,
    trainer_learns,
)
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from schemes.contract import (
    Card,
    Join,
    LearntWeights,
    NodePolicy,
    Observer,
    Scheme,
    Send,
    Training,
    TurnContext,
    TurnOutput,
    to_trainer,
)
from schemes.parts.central import ChoiceCoding, Decider
from schemes.parts.history import VALID, HistoryWriter, JointTrajectory, Layout
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.nn.learning import Independent
from schemes.parts.note_reader import NoteReader
from schemes.parts.weights import Weights, read_weights

UPLOAD_EVERY = 5
Data = tuple[list[list[int]], float]
Floats = npt.NDArray[np.float64]


class Counting:
    """A learner that knows its rows, and the sum of their rewards. `updates` is what its policy is made of."""

    def __init__(self) -> None:
        self.rows: list[list[int]] = []  # agent, slot, policy version
        self.reward, self.updates = 0.0, 0

    def add(self, data: Data) -> None:
        self.rows += data[0]
        self.reward += data[1]

    def learn(self, updates: int) -> dict[str, float]:
        self.updates += updates
        return {"rows": len(self.rows), "reward": self.reward} if self.rows else {}

    def weights(self, node: int) -> dict[str, npt.NDArray[np.float32]]:
        return {"policy": np.array([self.updates, len(self.rows)], np.float32)}

    def save(self) -> dict[str, Any]:
        return {"rows": self.rows, "reward": self.reward, "updates": self.updates}

    def load(self, data: dict[str, Any]) -> None:
        self.rows, self.reward, self.updates = data["rows"], data["reward"], data["updates"]


def rows_of(joint: JointTrajectory) -> Data:
    """Agent, slot and policy version of each row that is present, and the sum of the rewards."""
    rows = [
        [joint.agents[i], joint.first_slot + t, int(joint.policy_versions[t, i])]
        for t, i in np.argwhere(joint.present).tolist()
    ]
    return rows, float(joint.rewards.sum())


class Agent(NodePolicy):
    """Sends its queues in an exchange; acts by the newest decision or policy; uploads its rows if a trainer learns."""

    def __init__(self, welcome: Welcome, _: Any) -> None:
        self._silence = welcome.action.empty(welcome.replicas)
        self._writer = HistoryWriter(layout_of(welcome, welcome.index))
        self._uploads = welcome.choreography.turns[-1].step == "learn"
        self._acted: list[Any] = []  # the last slot's action and policy version
        self._version, self._choice = 0, 0

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        for note in turn.inbox:
            if note.kind == Kind.WEIGHTS:
                self._version, weights = read_weights(note.body)
                self._choice = int(weights["policy"].sum())
            elif note.kind == Kind.DECISION:
                self._choice = note.body[0]
        if turn.step == "exchange":
            return TurnOutput(notes=(to_trainer(Kind.CSI, _tasks(turn).tobytes()),))
        action = self._silence.copy()
        action["device"] = self._choice % 3
        notes = self._upload(turn) if self._uploads else ()
        self._acted = [action, self._version]
        return TurnOutput(action, notes)

    def snapshot(self) -> dict[str, Any]:
        kept = {"acted": self._acted, "version": self._version, "choice": self._choice}
        return kept | {"writer": self._writer.snapshot()}

    def restore(self, data: dict[str, Any]) -> None:
        self._acted, self._version, self._choice = data["acted"], data["version"], data["choice"]
        self._writer.restore(data["writer"])

    def _upload(self, turn: TurnContext) -> tuple[Note, ...]:
        """Every so many slots the rows of the slots before; each earns 1."""
        if not self._acted:
            self._writer.start(turn.slot, turn.measurement)
            return ()
        action, version = self._acted
        ones, valid = np.ones(len(action), np.float32), np.full(len(action), VALID, np.uint8)
        self._writer.add(action=action, reward=ones, policy_version=version, flags=valid, state=turn.measurement)
        if self._writer.rows < UPLOAD_EVERY:
            return ()
        return (to_trainer(Kind.HISTORY, self._writer.take()),)


class Central(NodePolicy):
    """Decides for all agents by the learner's policy; learns from the sum of their queues, in each slot of training."""

    def __init__(self, welcome: Welcome, learner: Counting) -> None:
        self._learner, self._agents = learner, range(welcome.agents)
        self._queues = NoteReader(Kind.CSI, self._agents, _queues)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        total = sum(float(queues.sum()) for _, queues in turn.read(self._queues))
        if turn.phase == "train":
            self._learner.add(([[0, turn.slot, 0]], total))
        choice = int(self._learner.weights(0)["policy"].sum()) % 3
        return TurnOutput(notes=tuple(Note((agent,), Kind.DECISION, bytes([choice])) for agent in self._agents))


class Queues(Observer):
    """Keeps the queues of every slot, from which the trainer compiles rewards."""

    def __init__(self, welcome: Welcome) -> None:
        self._reader = NoteReader(Kind.CSI, range(welcome.agents), _queues)
        self.total: dict[int, float] = {}

    def observe(self, turn: TurnContext) -> None:
        for note, queues in turn.read(self._reader):
            self.total[note.slot] = self.total.get(note.slot, 0.0) + float(queues.sum())

    def snapshot(self) -> dict[str, Any]:
        return {"total": list(self.total.items())}

    def restore(self, data: dict[str, Any]) -> None:
        self.total = dict(data["total"])


def layout_of(welcome: Welcome, agent: int) -> Layout:
    """An agent's rows; the trainer knows all agents' spaces."""
    everyone = welcome.everyone[agent] if welcome.everyone else None
    views, action = (everyone.views, everyone.action) if everyone else (welcome.views, welcome.action)
    return Layout(views["queues"], action, welcome.replicas)


def joined(welcome: Welcome, how: Literal["together", "alone", "pooled"]) -> Join:
    """All of `Counting`'s data."""
    layouts = [layout_of(welcome, agent) for agent in range(welcome.agents)]
    return Join(how=how, layouts=layouts, to_data=rows_of, max_upload_interval_slots=UPLOAD_EVERY)


def scheme(name: str, turns: tuple[TurnSpec, ...], training: Callable[[Welcome, Any], Training]) -> Scheme:
    """With the fake agents."""
    card = Card(
        name=f"fakes/{name}",
        summary="",
        citation="",
        equations="",
        worlds=("conflict_graph",),
        observes="",
        sends="",
    )
    return Scheme(card, lambda _: Choreography(turns), Agent, training=training)


def _tasks(turn: TurnContext) -> Floats:
    return np.asarray(turn.measurement["tasks"].sum(axis=1), "<f8")


def _queues(note: ReceivedNote) -> Floats:
    return np.frombuffer(note.body, "<f8")


EXCHANGE, ACT, DECIDE, LEARN = agents_exchange("queues"), agents_act("queues"), trainer_decides(), trainer_learns()


def _central(welcome: Welcome, _: Any) -> Training:
    return Training(learner=Counting, updates_per_turn=1, decide=lambda learner: Central(welcome, learner))


def _compiled(welcome: Welcome, _: Any) -> Training:
    queues = Queues(welcome)

    def to_data(joint: JointTrajectory) -> Data:
        slots = range(joint.first_slot, joint.first_slot + len(joint.rewards))
        return rows_of(joint)[0], sum(queues.total[slot] for slot in slots)

    join = replace(joined(welcome, "together"), to_data=to_data)
    return Training(learner=Counting, updates_per_turn=1, observe=lambda _: queues, join=join)


def _late_weights(welcome: Welcome, _: Any) -> Training:
    return Training(
        learner=lambda: Independent([Counting() for _ in range(welcome.agents)]),
        updates_per_turn=1,
        join=joined(welcome, "alone"),
        send=Send(to="each", every_slots=20, precision="float32"),
    )


def _pooled(welcome: Welcome, _: Any) -> Training:
    send = Send(to="each", every_slots=1, precision="float32")
    return Training(learner=Counting, updates_per_turn=2, join=joined(welcome, "pooled"), send=send)


def _shared(welcome: Welcome, _: Any) -> Training:
    send = Send(to="all", every_slots=1, precision="float32")
    return Training(learner=Counting, updates_per_turn=2, join=joined(welcome, "pooled"), send=send)


def _both(welcome: Welcome, _: Any) -> Training:
    return Training(
        learner=Counting,
        updates_per_turn=1,
        decide=lambda learner: Central(welcome, learner),
        join=joined(welcome, "together"),
    )


CENTRAL = scheme("central", (EXCHANGE, DECIDE, ACT), _central)  # khan2020: the trainer acts for all, and learns
COMPILED = scheme("compiled", (EXCHANGE, ACT, LEARN), _compiled)  # V2V: rewards are compiled at the trainer
LATE_WEIGHTS = scheme("late_weights", (ACT, LEARN), _late_weights)  # Nasir and Guo: pushed seldom, and late
POOLED = scheme("pooled", (ACT, LEARN), _pooled)  # one learner from every agent's rows
BOTH = scheme("both", (EXCHANGE, DECIDE, ACT, LEARN), _both)  # decides in one turn, learns in another
SHARED = scheme("shared", (ACT, LEARN), _shared)  # MAPPO: one policy for all, in one note
UNJOINED = scheme("unjoined", (EXCHANGE, DECIDE, ACT, LEARN), _central)  # nobody reads the histories


class LearningAgent(Agent):
    """Follows a central decision, and learns by itself beside it."""

    def __init__(self, welcome: Welcome, params: Any) -> None:
        super().__init__(welcome, params)
        self.own = np.zeros(2, np.float32)

    def learnt_weights(self) -> LearntWeights:
        return LearntWeights(1, {"own": self.own})

    def start_from(self, weights: Sequence[Weights]) -> None:
        self.own = np.array(weights[0]["own"])


def _decider(welcome: Welcome, _: Any) -> Decider[Floats]:
    def decide(reports: list[tuple[int, Floats]], _: np.random.Generator) -> npt.NDArray[np.int64]:
        return np.ones((welcome.replicas, len(reports)), np.int64)

    reports = LatestNotes(NoteReader(Kind.CSI, range(welcome.agents), _queues))
    return Decider(reports, decide, [ChoiceCoding(0, 2, welcome.replicas)] * welcome.agents)


BESIDE = replace(CENTRAL, card=replace(CENTRAL.card, name="fakes/beside"), node=LearningAgent)
BESIDE = replace(BESIDE, training=None, cloud=_decider, learns=True)  # nodes learn beside a trainer that only decides

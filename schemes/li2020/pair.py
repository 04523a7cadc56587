"""A pair that acts by a network and keeps a history: the node's side of every learning scheme of li2020.

In warmup it draws RBs uniformly; in training it explores; in evaluation it takes the best choice and tells nothing.
The reward is the pair's own to compute: from the SINR its receiver measured and the BS's outage bit (eq. 5-7).

Stale rules. What came of a slot waits for its bit, which may come up to `feedback_timeout_slots` late; without one the
row is told, but not valid. Evaluation and the end of the run wait for nothing. Weights are held: a pair acts by those
told last, whatever comes in which order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.spaces import Records
from protocol.params import param
from schemes.contract import Learner, NodePolicy, TurnContext, TurnOutput, to_trainer
from schemes.li2020.cell import Cell, Choices, Standardiser, cell_of
from schemes.li2020.uploads import MAX_INTERVALS, Every, Uploads, WhenGood
from schemes.parts.history import VALID, HistoryWriter, Joiner, Layout
from schemes.parts.latest_notes import NewestFilter
from schemes.parts.numpy_nets import Mlp, Weights
from schemes.parts.weights import read_weights

VIEW = "experience"
_REPORT_EVERY_SLOTS = 100  # a node that learns by itself does not fill the telemetry


@dataclass(frozen=True, kw_only=True)
class Histories:
    """How a pair keeps its history, and when it tells it."""

    upload_every_slots: Annotated[int, Ge(1), Le(10_000)]
    upload: Literal["every", "good"] = param(
        "every",
        "every: a history every upload_every_slots; good: once so many have passed when the gain to the BS is good, "
        "after four times as many in any case",
        source="ours; sec. III-C has 'good condition'",
    )
    upload_quantile: Annotated[float, Ge(0), Le(1)] = param(
        0.7, "the gain is good from this quantile of the last 100 slots on", source="ours"
    )
    feedback_timeout_slots: Annotated[int, Ge(0), Le(1000)] = param(
        0, "how much later than the next slot an outage bit may come", unit="slots", source="ours"
    )

    @property
    def max_slots_unsent(self) -> int:
        """Of how many slots a pair tells nothing at most, between two histories."""
        return self.feedback_timeout_slots + self.upload_every_slots * (MAX_INTERVALS if self.upload == "good" else 1)

    def uploads(self) -> Uploads:
        """The rule by which a pair tells its rows, at its beginning."""
        if self.upload == "good":
            return WhenGood(self.upload_every_slots, self.upload_quantile)
        return Every(self.upload_every_slots)


def layout_of(welcome: Welcome, agent: int | None = None) -> Layout:
    """How a pair's history rows lie: the own ones, or for the trainer those of `agent`."""
    spaces = welcome if agent is None else welcome.everyone[agent]
    return Layout(spaces.views[VIEW], spaces.action, welcome.replicas)


@dataclass(frozen=True)
class Exploration:
    """With probability `epsilon` a uniform choice; otherwise the Gumbel-max of the network's outputs over
    `temperature`, so that choices are drawn from their softmax; temperature 0 takes the best."""

    epsilon: float
    temperature: float

    def choose(self, outputs: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """[E, choices] to [E]. Draws the same numbers whatever comes out."""
        uniform, gumbel = rng.random(len(outputs)), rng.gumbel(size=outputs.shape)
        other = rng.integers(0, outputs.shape[1], len(outputs))
        best = np.argmax(outputs + self.temperature * gumbel, axis=1)
        return np.where(uniform < self.epsilon, other, best)


class Open(NamedTuple):
    """A row that waits for the BS's bit: `rate` [E] and `state` [E] were measured in the slot after `slot`."""

    slot: int
    action: Records
    version: int
    rate: npt.NDArray[np.float32]
    state: Records


class LocalTrainer:
    """The trainer's part, played by a node for itself: the same history, joined and learnt from without being told."""

    def __init__(self, learner: Learner, layout: Layout, updates: int) -> None:
        self._learner = learner
        self._joiner = Joiner([layout])
        self._updates, self._done = updates, 0

    def add(self, body: bytes) -> None:
        """A history."""
        self._joiner.add(0, body)
        for joint in self._joiner.take():
            self._learner.add(joint)

    def learn(self) -> tuple[Mapping[str, float], Weights | None]:
        """Figures of the updates, with the sum of them all, and the weights to act by from the next slot on; nothing
        and None while there is too little to learn from."""
        scalars = self._learner.learn(self._updates)
        if not scalars:
            return {}, None
        self._done += self._updates
        return scalars | {"updates": self._done}, self._learner.weights(0)

    def snapshot(self) -> dict[str, Any]:
        """All that learning depends on."""
        return {"learner": self._learner.save(), "joiner": self._joiner.snapshot(), "updates": self._done}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._learner.load(data["learner"])
        self._joiner.restore(data["joiner"])
        self._done = data["updates"]


class Pair(NodePolicy):
    """Acts, keeps its history, and tells it to the trainer, or to its `own`, when it is due.

    `net`, `version`: what it acts by. `_acted`: slot, action and weights version of its last choice, until the slot
    after; `_open` rows then wait for `_bits`, by slot.
    """

    def __init__(
        self, welcome: Welcome, exploration: Exploration, histories: Histories, own: LocalTrainer | None = None
    ) -> None:
        self._own = own
        self._cell: Cell = cell_of(welcome)
        self._choose = Choices(self._cell, welcome.action)
        self._standardise = Standardiser(self._cell, welcome.views[VIEW])
        self._replicas = welcome.replicas
        self._exploration = exploration
        self._uploads, self._timeout = histories.uploads(), histories.feedback_timeout_slots
        self._history = HistoryWriter(layout_of(welcome))
        self._acted: tuple[int, Records, int] | None = None
        self._open: list[Open] = []
        self._bits: dict[int, bytes] = {}
        self._weights = NewestFilter(Kind.WEIGHTS)
        self._report_at = 0  # slot
        self.version = 0
        self.net: Mlp | None = None

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        before = self._settle(turn)
        self._take_weights(turn)
        action = self._choose(self._choice(turn))
        version = self.version
        notes, scalars = self._tell(turn)
        self._acted = None if turn.phase == "eval" else (turn.slot, action, version)
        return TurnOutput(action, before + notes, scalars)

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        return self._settle(turn) + self._upload()

    def on_episode(self, episode: int) -> None:
        self._acted = None

    def snapshot(self) -> dict[str, Any]:
        acted = None if self._acted is None else [self._acted[0], self._acted[1], self._acted[2]]
        weights = None if self.net is None else dict(self.net.weights)
        own = None if self._own is None else self._own.snapshot()
        rows = {"history": self._history.snapshot(), "acted": acted, "open": [list(row) for row in self._open]}
        told = {"bits": list(self._bits.items()), "uploads": self._uploads.snapshot(), "report_at": self._report_at}
        heard = {"heard": self._weights.snapshot(), "version": self.version, "weights": weights}
        return rows | told | heard | {"own": own}

    def restore(self, data: dict[str, Any]) -> None:
        self._history.restore(data["history"])
        self._acted = None if data["acted"] is None else tuple(data["acted"])
        self._open = [Open(*row) for row in data["open"]]
        self._bits = dict(data["bits"])
        self._uploads.restore(data["uploads"])
        self._report_at = data["report_at"]
        self._weights.restore(data["heard"])
        self.version = data["version"]
        if data["weights"] is not None:
            self.load(data["weights"], self.version)
        if self._own is not None:
            self._own.restore(data["own"])

    def load(self, weights: Weights, version: int) -> None:
        """Act by these weights from now on."""
        self.net, self.version = Mlp(weights), version

    def _settle(self, turn: TurnContext) -> tuple[Note, ...]:
        """Complete the rows whose bits have come or will not, or begin a history after telling the one before; in
        evaluation nothing is kept."""
        acted, keeps = self._acted, turn.step == "act" and turn.phase != "eval"
        not_terminal = acted is not None and acted[0] == turn.slot - 1
        if acted is not None and not_terminal:
            rate = np.log2(1 + turn.measurement["sinr"])
            self._open.append(Open(*acted, rate, turn.measurement))
        self._hear(turn.inbox)
        self._write(turn.slot - 1 - self._timeout if not_terminal and keeps else turn.slot)
        if not_terminal or not keeps:
            return ()
        before = self._upload()
        self._history.start(turn.slot, turn.measurement)
        return before

    def _hear(self, inbox: list[ReceivedNote]) -> None:
        """Bits of slots that wait for one."""
        awaited = {row.slot for row in self._open}
        self._bits |= {x.slot: x.body for x in inbox if x.kind == Kind.FEEDBACK and x.slot in awaited}

    def _write(self, last: int) -> None:
        """In the order of slots: rows that have their bit, and those up to slot `last` without."""
        while self._open and (self._open[0].slot <= last or self._open[0].slot in self._bits):
            row = self._open.pop(0)
            reward, flags = self._reward(row)
            self._history.add(action=row.action, reward=reward, version=row.version, flags=flags, state=row.state)

    def _reward(self, row: Open) -> tuple[npt.NDArray[np.float32], int]:
        """li2020 eq. (5-7), [E], and the row's flags: not valid if the BS's bit did not come, or if on the air was not
        what the pair chose, because its answer came too late."""
        bit = self._bits.pop(row.slot, None)
        if bit is None:
            return row.rate, 0
        outage = np.frombuffer(bit, np.uint8).astype(bool)
        on_air = bool((row.state["last_rb"] == row.action["rb"]).all())
        return np.where(outage, np.float32(self._cell.negative_reward), row.rate), VALID if on_air else 0

    def _take_weights(self, turn: TurnContext) -> None:
        for received in self._weights.take(turn.inbox):
            version, weights = read_weights(received.body)
            self.load(weights, version)

    def _choice(self, turn: TurnContext) -> npt.NDArray[np.int64]:
        if self.net is None or turn.phase == "warmup":
            return turn.rng().integers(0, self._cell.n_actions, self._replicas)
        outputs = self.net(self._standardise(turn.measurement))  # [E, choices]
        if turn.phase == "eval":
            return np.asarray(outputs.argmax(axis=1))
        return self._exploration.choose(outputs, turn.rng())

    def _tell(self, turn: TurnContext) -> tuple[tuple[Note, ...], Mapping[str, float]]:
        """The history when it is due. One's own then learns, in training, and says what of it at times."""
        due = self._uploads.due(turn, self._history.rows) or turn.phase == "eval"
        if not (due and self._history.rows):
            return (), {}
        notes = self._upload()
        if self._own is None or turn.phase != "train":
            return notes, {}
        scalars, weights = self._own.learn()
        if weights is not None:
            self.load(weights, self.version + 1)
        return notes, self._reported(turn.slot, scalars)

    def _upload(self) -> tuple[Note, ...]:
        """What has not been told: a note to the trainer, or nothing that travels."""
        if not self._history.rows:
            return ()
        body = self._history.take()
        if self._own is None:
            return (to_trainer(Kind.HISTORY, body),)
        self._own.add(body)
        return ()

    def _reported(self, slot: int, scalars: Mapping[str, float]) -> Mapping[str, float]:
        """Once in so many slots."""
        if not scalars or slot < self._report_at:
            return {}
        self._report_at = slot - slot % _REPORT_EVERY_SLOTS + _REPORT_EVERY_SLOTS
        return scalars

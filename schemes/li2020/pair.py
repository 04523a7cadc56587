"""A pair that acts by a network and keeps a history: the node's side of every learning scheme of li2020.

In warmup it draws RBs uniformly; in training it explores; in evaluation it takes the best choice and tells nothing.
The reward is the pair's own to compute: from the SINR its receiver measured and the BS's outage bit (eq. 5-7).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from protocol.kinds import Kind
from protocol.messages import Note, Welcome
from protocol.spaces import Records
from schemes.contract import Answer, Learner, Moment, NodePolicy, to_trainer
from schemes.li2020.cell import Cell, Choices, Standardiser, cell_of
from schemes.parts.history import VALID, HistoryWriter, Joiner, Layout
from schemes.parts.numpy_nets import Mlp, Weights
from schemes.parts.weights import read_weights

VIEW = "experience"
_REPORT_EVERY_SLOTS = 100  # a node that learns by itself does not fill the telemetry


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


class OwnTrainer:
    """The trainer's part, played by a node for itself: the same history, joined and learnt from without being told."""

    def __init__(self, learner: Learner, layout: Layout, updates: int) -> None:
        self._learner = learner
        self._joiner = Joiner([layout])
        self._updates = updates

    def take(self, body: bytes, phase: str) -> tuple[dict[str, float], Weights | None]:
        """What the learner says of its updates, and the weights to act by from the next slot on, if it has learnt."""
        self._joiner.add(0, body)
        for joint in self._joiner.take():
            self._learner.absorb(joint)
        scalars = self._learner.learn(self._updates) if phase == "train" else {}
        return scalars, self._learner.weights(0) if scalars else None

    def snapshot(self) -> dict[str, Any]:
        """All that learning depends on."""
        return {"learner": self._learner.save(), "joiner": self._joiner.snapshot()}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._learner.load(data["learner"])
        self._joiner.restore(data["joiner"])


class Pair(NodePolicy):
    """Acts, keeps its history, and every `upload_every_slots` tells it to the trainer, or to its `own`.

    `net`, `version`: what it acts by. `_acted`: slot, action and weights version of its last choice, until what came of
    it is known.
    """

    def __init__(
        self, welcome: Welcome, exploration: Exploration, upload_every_slots: int, own: OwnTrainer | None = None
    ) -> None:
        self._own = own
        self._cell: Cell = cell_of(welcome)
        self._choose = Choices(self._cell, welcome.action)
        self._standardise = Standardiser(self._cell, welcome.views[VIEW])
        self._replicas = welcome.replicas
        self._exploration = exploration
        self._upload_every = upload_every_slots
        self._history = HistoryWriter(layout_of(welcome))
        self._acted: tuple[int, Records, int] | None = None
        self.version = 0
        self.net: Mlp | None = None

    def answer(self, now: Moment) -> Answer:
        self._settle(now)
        self._take_weights(now)
        action = self._choose(self._choice(now))
        version = self.version
        notes, scalars = self._tell(now)
        self._acted = None if now.phase == "eval" else (now.slot, action, version)
        return Answer(action, notes, scalars)

    def close(self, now: Moment) -> tuple[Note, ...]:
        self._settle(now)
        return self._upload() if self._own is None else ()

    def begin_episode(self, episode: int) -> None:
        self._acted = None

    def snapshot(self) -> dict[str, Any]:
        acted = None if self._acted is None else [self._acted[0], self._acted[1], self._acted[2]]
        weights = None if self.net is None else dict(self.net.weights)
        own = None if self._own is None else self._own.snapshot()
        told = {"history": self._history.snapshot(), "acted": acted, "version": self.version}
        return told | {"weights": weights, "own": own}

    def restore(self, data: dict[str, Any]) -> None:
        self._history.restore(data["history"])
        self._acted = None if data["acted"] is None else tuple(data["acted"])
        self.version = data["version"]
        if data["weights"] is not None:
            self.load(data["weights"], self.version)
        if self._own is not None:
            self._own.restore(data["own"])

    def load(self, weights: Weights, version: int) -> None:
        """Act by these weights from now on."""
        self.net, self.version = Mlp(weights), version

    def _settle(self, now: Moment) -> None:
        """Complete the row of the last choice, or begin a history; in evaluation nothing is kept."""
        if self._acted is not None and self._acted[0] == now.slot - 1:
            _, action, version = self._acted
            reward, flags = self._reward(now)
            self._history.add(action=action, reward=reward, version=version, flags=flags, state=now.measurement)
        elif now.step == "act" and now.phase != "eval":
            self._history.start(now.slot, now.measurement)

    def _reward(self, now: Moment) -> tuple[npt.NDArray[np.float32], int]:
        """li2020 eq. (5-7), [E], and the row's flags: not valid if the BS's bit did not come."""
        rate = np.log2(1 + now.measurement["sinr"])
        bits = [x.body for x in now.inbox if x.kind == Kind.FEEDBACK and x.slot == now.slot - 1]
        if not bits:
            return rate, 0
        outage = np.frombuffer(bits[-1], np.uint8).astype(bool)
        return np.where(outage, np.float32(self._cell.negative_reward), rate), VALID

    def _take_weights(self, now: Moment) -> None:
        for letter in now.inbox:
            if letter.kind == Kind.WEIGHTS:
                version, weights = read_weights(letter.body)
                self.load(weights, version)

    def _choice(self, now: Moment) -> npt.NDArray[np.int64]:
        if self.net is None or now.phase == "warmup":
            return now.rng().integers(0, self._cell.choices, self._replicas)
        outputs = self.net(self._standardise(now.measurement))  # [E, choices]
        if now.phase == "eval":
            return np.asarray(outputs.argmax(axis=1))
        return self._exploration.choose(outputs, now.rng())

    def _tell(self, now: Moment) -> tuple[tuple[Note, ...], Mapping[str, float]]:
        """The history when it is due: to the trainer as a note, or to one's own."""
        due = self._history.rows and (now.slot % self._upload_every == 0 or now.phase == "eval")
        if self._own is None or not due:
            return self._upload() if due else (), {}
        scalars, weights = self._own.take(self._history.take(), now.phase)
        if weights is not None:
            self.load(weights, self.version + 1)
        return (), scalars if now.slot % _REPORT_EVERY_SLOTS == 0 else {}

    def _upload(self) -> tuple[Note, ...]:
        return (to_trainer(Kind.HISTORY, self._history.take()),) if self._history.rows else ()

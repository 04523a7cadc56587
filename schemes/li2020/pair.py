"""A pair that acts by a network and keeps a history: the agent's side of every learning scheme of li2020.

In warmup it draws RBs uniformly, in training it explores, in evaluation it takes the best choice and sends nothing.
Stale rule: a pair acts by the weights that were sent last, in whatever order they arrive.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from schemes.contract import NodePolicy, TurnContext, TurnOutput, to_trainer
from schemes.li2020.cell_info import ActionTable, Standardiser, cell_info
from schemes.li2020.local_trainer import LocalTrainer
from schemes.li2020.outage_bits import outage_reader
from schemes.li2020.pair_history import HistoryParams, PairHistory
from schemes.parts.exploration import EpsilonSoftmax
from schemes.parts.history import Layout, payload_bits
from schemes.parts.latest_notes import NewestFilter
from schemes.parts.note_reader import NoteReader
from schemes.parts.numpy_nets import Mlp, Weights
from schemes.parts.weights import read_weights

VIEW = "experience"
_REPORT_EVERY_SLOTS = 100  # a pair with a local trainer learns in every slot; reporting each would flood the telemetry


def layout_of(welcome: Welcome, agent: int | None = None) -> Layout:
    """The layout of a pair's history rows: of its own, or for the trainer those of `agent`."""
    spaces = welcome if agent is None else welcome.everyone[agent]
    return Layout(spaces.views[VIEW], spaces.action, welcome.replicas)


class Pair(NodePolicy):
    """Acts by `net`, keeps a history, and sends it to the trainer or adds it to its own `local_trainer` when it is due.

    `policy_version`: the version of the weights in `net`; a local trainer's are counted here.
    """

    def __init__(
        self,
        welcome: Welcome,
        exploration: EpsilonSoftmax,
        params: HistoryParams,
        local_trainer: LocalTrainer | None = None,
    ) -> None:
        cell = cell_info(welcome)
        self._n_actions, self._replicas = cell.n_actions, welcome.replicas
        self._actions = ActionTable(cell, welcome.action)
        self._standardise = Standardiser(cell, welcome.views[VIEW])
        self._exploration = exploration
        self._local_trainer = local_trainer
        self._upload_rule = params.upload_rule()
        self._history = PairHistory(
            layout_of(welcome),
            outage_reader(welcome),
            negative_reward=cell.negative_reward,
            timeout_slots=params.feedback_timeout_slots,
        )
        self._weights = NoteReader(Kind.WEIGHTS, (welcome.agents,), self._read_weights)
        self._newest_weights = NewestFilter()
        self._report_at = 0  # slot
        self.policy_version = 0
        self.net: Mlp | None = None

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        old_history = self._upload(self._history.observe(turn))
        received = self._receive_weights(turn)
        action = self._actions(self._choice(turn))
        acting_version = self.policy_version  # a local trainer's update below counts from the next slot on
        history, learnt = self._upload_if_due(turn)
        if turn.phase == "eval":
            self._history.skip()
        else:
            self._history.acted(turn.slot, action, acting_version)
        return TurnOutput(action, old_history + history, {**received, **learnt})

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        return self._upload(self._history.observe(turn)) + self._upload(self._history.take())

    def snapshot(self) -> dict[str, Any]:
        return {
            "history": self._history.snapshot(),
            "upload_rule": self._upload_rule.snapshot(),
            "report_at": self._report_at,
            "newest_weights": self._newest_weights.snapshot(),
            "policy_version": self.policy_version,
            "weights": None if self.net is None else dict(self.net.weights),
            "local_trainer": None if self._local_trainer is None else self._local_trainer.snapshot(),
        }

    def restore(self, data: dict[str, Any]) -> None:
        self._history.restore(data["history"])
        self._upload_rule.restore(data["upload_rule"])
        self._report_at = data["report_at"]
        self._newest_weights.restore(data["newest_weights"])
        self.policy_version = data["policy_version"]
        if data["weights"] is not None:
            self.load(data["weights"], self.policy_version)
        if self._local_trainer is not None:
            self._local_trainer.restore(data["local_trainer"])

    def load(self, weights: Weights, policy_version: int) -> None:
        """Act by these weights from now on."""
        self.net, self.policy_version = Mlp(weights), policy_version

    def _receive_weights(self, turn: TurnContext) -> Mapping[str, float]:
        """Load the newest weights received; the scalars to report, {} if none came."""
        received = self._newest_weights.take(turn.read(self._weights))
        for _, (policy_version, net) in received:
            self.net, self.policy_version = net, policy_version
        return {"policy_version": self.policy_version} if received else {}

    def _read_weights(self, note: ReceivedNote) -> tuple[int, Mlp]:
        """Policy version and network of a note. ValueError if the network does not fit this pair."""
        policy_version, weights = read_weights(note.body)
        if not all(np.isfinite(weight).all() for weight in weights.values()):
            raise ValueError("a weight is not finite")
        net = Mlp(weights)
        if (net.inputs, net.outputs) != (self._standardise.inputs, self._n_actions):
            raise ValueError(f"a network of {net.inputs} inputs and {net.outputs} outputs does not fit")
        return policy_version, net

    def _choice(self, turn: TurnContext) -> npt.NDArray[np.int64]:
        """The choice of this slot, [E]."""
        if self.net is None or turn.phase == "warmup":
            return turn.rng().integers(0, self._n_actions, self._replicas)
        outputs = self.net(self._standardise(turn.measurement))  # [E, choices]
        if turn.phase == "eval":
            return np.asarray(outputs.argmax(axis=1))
        return self._exploration.choose(outputs, turn.rng())

    def _upload_if_due(self, turn: TurnContext) -> tuple[tuple[Note, ...], Mapping[str, float]]:
        """Upload the history if it is due; in training a local trainer then learns. Notes, and scalars to report."""
        due = self._upload_rule.due(turn, self._history.rows) or turn.phase == "eval"
        if not (due and self._history.rows):
            return (), {}
        notes = self._upload(self._history.take())
        if self._local_trainer is None or turn.phase != "train":
            return notes, {}
        scalars, weights = self._local_trainer.learn()
        if weights is None:
            return notes, {}
        self.load(weights, self.policy_version + 1)
        if turn.slot < self._report_at:
            return notes, {}
        self._report_at = turn.slot - turn.slot % _REPORT_EVERY_SLOTS + _REPORT_EVERY_SLOTS
        return notes, {**scalars, "policy_version": self.policy_version}

    def _upload(self, body: bytes) -> tuple[Note, ...]:
        """A note to the trainer with this history; none if it is empty, or if the local trainer takes it."""
        if not body:
            return ()
        if self._local_trainer is None:
            return (to_trainer(Kind.HISTORY, body, payload_bits=payload_bits(body, self._replicas)),)
        self._local_trainer.add(body)
        return ()

"""Stochastic learning automata: each pair learns online which RB is quiet, from its own receiver and one bit of the BS.

Every pair keeps a probability per RB, at first 1 / K, and draws its RB from it. After the slot it updates them:

    u = 0 if the CUE of its RB was in outage, else clip(1 - 10 log10(I / sigma^2) / 60, 0, 1)
    p <- p + b u (e_a - p)                                        linear reward-inaction

I is the interference at its receiver on its RB, from other pairs and the BS. The BS sends the bit after the slot; it is
the only note.

Stale rule: a late bit counts for the RB of the slot it was sent for, if that is at most 64 slots ago; a lost bit has no
effect, a repeated one is ignored.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Gt, Le

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Note, Welcome
from protocol.messages.spaces import Records
from protocol.params import param
from schemes.contract import Card, NodePolicy, Scheme, TurnContext, TurnOutput
from schemes.li2020 import PAPER
from schemes.li2020.cell_info import ActionTable, cell_info
from schemes.li2020.outage_bits import Outage, outage_reader

CARD = Card(
    name="li2020/sla",
    summary="online linear reward-inaction over the RBs; no training, one bit of feedback per slot",
    citation=(
        "Li and Guo 2020, sec. V, a benchmark [14] without details; after Sastry, Phansalkar, Thathachar, IEEE Trans. "
        "Systems, Man, and Cybernetics 24(5), 1994, and Wu et al., IEEE Trans. Vehicular Technology 62(9), 2013"
    ),
    paper=PAPER,
    equations="p += b u (e_a - p); u = 1 - 10 log10(I / sigma^2) / 60 within [0, 1], 0 under cellular outage",
    worlds=("d2d_underlay",),
    observes="interference_over_noise [1], last_rb: the previous slot, on its own RB",
    sends="nothing; it receives 1 bit (1 byte) per pair and slot from the BS",
    deviations=(
        "1. the paper does not define its SLA: utility and step are ours",
        "2. full power only",
    ),
    fallback="random",
)

_AWAITED_SLOTS = 64  # a bit that has not come after so many slots is given up


@dataclass(frozen=True)
class Sla:
    step: Annotated[float, Gt(0), Le(1)] = param(0.05, "b of the update", source="ours")
    span_db: Annotated[float, Gt(0)] = param(
        60.0, "interference this far above the noise has utility 0", unit="dB", source="ours"
    )


class Automaton(NodePolicy):
    """`probability` [E, K]; `_awaited`: by slot, the RB used and its utility, until the BS's bit comes."""

    def __init__(self, welcome: Welcome, params: Sla) -> None:
        cell, self._params = cell_info(welcome), params
        self._actions = ActionTable(cell, welcome.action)
        self._outage_bits = outage_reader(welcome)
        self.probability = np.full((welcome.replicas, cell.rbs), 1.0 / cell.rbs)
        self._awaited: dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]] = {}

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._learn(turn)
        return TurnOutput(self._actions(self._draw(turn.rng())))

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        self._learn(turn)
        return ()

    def snapshot(self) -> dict[str, Any]:
        awaited = {str(slot): list(pair) for slot, pair in self._awaited.items()}
        return {"probability": self.probability.copy(), "awaited": awaited}

    def restore(self, data: dict[str, Any]) -> None:
        self.probability = data["probability"]
        self._awaited = {int(slot): (rb, utility) for slot, (rb, utility) in data["awaited"].items()}

    def _learn(self, turn: TurnContext) -> None:
        self._remember(turn.slot - 1, turn.measurement)
        for note, outage in turn.read(self._outage_bits):
            self._reinforce(note.slot, outage)

    def _remember(self, slot: int, measured: Records) -> None:
        over_noise_db = 10 * np.log10(np.maximum(measured["interference_over_noise"], 1e-30))
        utility = np.clip(1 - over_noise_db / self._params.span_db, 0, 1)
        self._awaited[slot] = (measured["last_rb"].astype(np.int64), utility.astype(np.float64))
        self._awaited.pop(slot - _AWAITED_SLOTS, None)

    def _reinforce(self, slot: int, outage: Outage) -> None:
        if slot not in self._awaited:
            return
        rb, utility = self._awaited.pop(slot)
        self.probability = reinforce(self.probability, rb, self._params.step * utility * ~outage)

    def _draw(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """One RB per replica, [E], by inversion of the cumulative probabilities."""
        cumulated = np.cumsum(self.probability, axis=1)
        threshold = rng.random(len(cumulated)) * cumulated[:, -1]
        return np.asarray((cumulated <= threshold[:, None]).sum(axis=1))


def reinforce(
    probability: npt.NDArray[np.float64], action: npt.NDArray[np.int64], weight: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """p + weight (e_a - p) [E, K], for action [E], weight [E] in [0, 1]. A negative action was silence: no change."""
    chosen = (action[:, None] == np.arange(probability.shape[1])).astype(np.float64)
    return np.asarray(probability + np.where(action >= 0, weight, 0.0)[:, None] * (chosen - probability))


def choreography(_params: Sla) -> Choreography:
    return Choreography((agents_act(view="interference"),), feedback=("outage",))


SCHEME = Scheme(CARD, choreography, Automaton, params=Sla)

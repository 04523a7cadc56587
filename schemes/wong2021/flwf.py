"""FLWF: each user answers the interference it measures by forward-looking water-filling; nobody sends a note.

    phi = - sqrt(c / (2 c + p))         p' = (w - (c^2 + phi p^2) / (c - phi p))^+         eq. (16), (15)

`negotiation` has the turns of a slot, `schemes.parts.solvers.flwf` the map. Where it ends depends on where it starts.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, assert_never

import numpy as np
from annotated_types import Ge, Le

from protocol.messages.choreography import Choreography
from protocol.messages.episodes import Mask
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, NodePolicy, Scheme, TurnContext, TurnOutput
from schemes.wong2021 import PAPER
from schemes.wong2021.cells_info import Floats, budget_of, cells_info
from schemes.wong2021.negotiation import COSTS, Negotiation, NegotiationSettings, negotiation_turns

CARD = Card(
    name="wong2021/flwf",
    summary="forward-looking water-filling by every user, from local measurements after each probe; no notes",
    citation="Wong et al. 2021, sec. III-B; after Ren and Wong, IEEE Access 7, 2529-2548, 2019",
    paper=PAPER,
    equations="(7), (14)-(16)",
    worlds=("mumimo_cells",),
    observes="cost [U, F, noise] after each probe, budget [noise] of a user",
    sends="nothing",
    deviations=(
        "1. the number of iterations and the first powers are ours: the paper gives neither",
        "2. after the last iteration the powers go on the air, settled or not; the metric power_change shows it",
    ),
    reproduces="fig. 5-9: see docs/reproduction/wong2021.md",
    fallback="silent",
)


@dataclass(frozen=True, kw_only=True)
class Flwf(NegotiationSettings):
    start: Literal["equal", "random", "carried"] = param(
        "equal",
        "the first powers of a slot: equal on all channels; random; carried, those of the slot before",
        source="ours, the paper has arbitrary ones",
    )
    draw: Annotated[int, Ge(0), Le(2**31)] = param(
        0, "which of the random starts: others on the same channels", source="fig. 9, which has 100"
    )


class FlwfNode(NodePolicy):
    """The users of a base station."""

    def __init__(self, welcome: Welcome, params: Flwf) -> None:
        cells = cells_info(welcome)
        self._params, self._shape = params, (welcome.replicas, cells.users, cells.channels)
        self._negotiation = Negotiation(welcome, params.updates)
        self._anew = np.ones(welcome.replicas, bool)  # replicas without powers of a slot before

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        if turn.turn > 0:
            return TurnOutput(self._negotiation.update(turn))
        action = self._negotiation.start(self._first_powers(turn), turn)
        self._anew[:] = False
        return TurnOutput(action)

    def restart(self, replicas: Mask) -> None:
        self._anew |= replicas

    def snapshot(self) -> dict[str, Any]:
        return {"negotiation": self._negotiation.snapshot(), "anew": self._anew.copy()}

    def restore(self, data: dict[str, Any]) -> None:
        self._negotiation.restore(data["negotiation"])
        self._anew = data["anew"]

    def _first_powers(self, turn: TurnContext) -> Floats:
        """[E, U, F], of which each user's sum is its budget."""
        budget, equal = budget_of(turn.measurement)[..., None], np.full(self._shape, 1 / self._shape[-1])
        match self._params.start:
            case "equal":
                return equal * budget
            case "random":
                drawn = turn.counter_rng.at(turn.slot, self._params.draw).random(self._shape)
                return np.asarray(drawn / drawn.sum(axis=-1, keepdims=True) * budget)
            case "carried":
                before = equal if self._negotiation.powers is None else self._negotiation.powers
                shares = np.where(self._anew[:, None, None], equal, before)
                return np.asarray(shares / shares.sum(axis=-1, keepdims=True) * budget)
            case _:
                assert_never(self._params.start)


def choreography(params: Flwf) -> Choreography:
    return Choreography(negotiation_turns(params, COSTS))


SCHEME = Scheme(CARD, choreography, FlwfNode, params=Flwf)

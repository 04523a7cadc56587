"""FLWF over the turns of a slot: base stations probe, measure c, and answer it (wong2021 eq. 15, 16).

    turn 0: probe p^0      turn i: measure c^i under p^(i-1), probe p^i      last turn: p^k goes on the air

Of c a base station measures its own users' values alone. With `jacobi` updates all base stations answer in every turn;
with `sequential` ones one of them does, in a circle, and the others probe their powers again.

Stale rule: a base station that has missed turns answers what it measures now from the powers that it had.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, assert_never

import numpy as np
from annotated_types import Ge, Le

from protocol.messages.choreography import TurnSpec, agents_act
from protocol.messages.node import Welcome
from protocol.messages.spaces import Records
from protocol.params import param
from schemes.contract import TurnContext
from schemes.parts.solvers import flwf
from schemes.wong2021.cells_info import Floats, budget_of, cells_info, to_action

Updates = Literal["jacobi", "sequential"]
COSTS = "costs"  # the view of every turn but the first


@dataclass(frozen=True, kw_only=True)
class NegotiationSettings:
    """How long base stations negotiate: parameters of the schemes that do."""

    iterations: Annotated[int, Ge(0), Le(10_000)] = param(
        20, "k: probe turns of a slot, each followed by an update; 0: the first powers go on the air", source="ours"
    )
    updates: Updates = param(
        "jacobi",
        "jacobi: all update in each iteration; sequential: one base station does, in a circle",
        source="eq. (15); the circle is that of Ren and Wong 2019",
    )


def negotiation_turns(settings: NegotiationSettings, first_view: str) -> tuple[TurnSpec, ...]:
    """`first_view`: what the turn measures in which the first powers are chosen."""
    if settings.iterations == 0:
        return (agents_act(first_view),)
    first = TurnSpec(who="agents", step="probe", view=first_view)
    others = TurnSpec(who="agents", step="probe", view=COSTS, repeat=settings.iterations - 1)
    return (first, *([others] if others.repeat else []), agents_act(COSTS))


class Negotiation:
    """A base station's powers in a slot: `powers` [E, U, F], None before its first turn."""

    def __init__(self, welcome: Welcome, updates: Updates) -> None:
        self._cells, self._index, self._space = cells_info(welcome).cells, welcome.index, welcome.action
        self._updates = updates
        self.powers: Floats | None = None

    def start(self, powers: Floats, turn: TurnContext) -> Records:
        """The action of a slot's first turn."""
        self.powers = powers
        return to_action(self._space, powers, budget_of(turn.measurement))

    def update(self, turn: TurnContext) -> Records:
        """The action of a later turn: the answer to the costs measured, if this base station's turn it is."""
        budget = budget_of(turn.measurement)
        costs = turn.measurement["cost"].astype(np.float64)
        if self.powers is None:  # this slot's first turn was missed, and no slot came before
            self.powers = np.broadcast_to(budget[..., None] / costs.shape[-1], costs.shape)
        if self._is_due(turn.turn):
            self.powers = flwf.respond(costs, self.powers, budget).powers
        return to_action(self._space, self.powers, budget)

    def snapshot(self) -> dict[str, Any]:
        """The powers, which the next slot may start from."""
        return {"powers": self.powers}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.powers = data["powers"]

    def _is_due(self, turn: int) -> bool:
        match self._updates:
            case "jacobi":
                return True
            case "sequential":
                return (turn - 1) % self._cells == self._index
            case _:
                assert_never(self._updates)

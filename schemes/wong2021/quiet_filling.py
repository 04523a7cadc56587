"""Water-filling as if no other cell transmitted: the rule of SSWF, and of reuse-3 on a third of the channels."""

import numpy as np
import numpy.typing as npt

from protocol.messages.node import Welcome
from schemes.contract import NodePolicy, TurnContext, TurnOutput
from schemes.parts.solvers import water_filling
from schemes.wong2021.cells_info import budget_of, to_action


class QuietFilling(NodePolicy):
    """p_f = (w - c_f)^+ with c of a quiet channel, for each user by itself. Stateless.

    `allowed` [F]: the channels that the base station uses.
    """

    def __init__(self, welcome: Welcome, allowed: npt.NDArray[np.bool_]) -> None:
        self._space, self._allowed = welcome.action, allowed

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        budget = budget_of(turn.measurement)
        floors = np.where(self._allowed, turn.measurement["quiet_cost"].astype(np.float64), np.inf)
        return TurnOutput(to_action(self._space, water_filling.fill(floors, budget).powers, budget))

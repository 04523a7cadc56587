"""Pairs that act by an index rule, computed beforehand from the drop: `local_nash` and `local_team`.

No node could compute its rule: it takes the mean gains of all links, which the world gives as privileged information.
Every node computes the rules of all pairs; nodes of one process share the result.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from msgspec import Struct

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import NodePolicy, TurnContext, TurnOutput
from schemes.li2020.cell_info import ActionTable, cell_info
from schemes.li2020.index_rules import Goal, IndexRule, Knowledge, MeanPowers, RuleSearch
from schemes.parts.facts import static_facts

Row = tuple[float, ...]


class Drop(Struct, frozen=True):
    """Static information, with what is privileged of it: mean gains by replica, linear. It has a hash."""

    d2d_powers_w: Row
    bs_power_w: float  # on each RB
    noise_w: float
    cue_threshold: float
    negative_reward: float
    fading: str
    mean_d2d: tuple[tuple[Row, ...], ...]  # [E, tx, rx]
    mean_cue: tuple[tuple[Row, ...], ...]  # [E, tx, RB]
    mean_bs_rx: tuple[Row, ...]  # [E, rx]
    mean_bs_cue: tuple[Row, ...]  # [E, RB]

    def mean_powers(self, replica: int) -> MeanPowers:
        """Of one replica, at full power."""
        d2d, bs = self.d2d_powers_w[0] / self.noise_w, self.bs_power_w / self.noise_w
        cross = d2d * np.array(self.mean_d2d[replica])
        return MeanPowers(
            own=np.diagonal(cross),
            cross=cross,
            bs=bs * np.array(self.mean_bs_rx[replica]),
            cue=d2d * np.array(self.mean_cue[replica]),
            cue_bs=bs * np.array(self.mean_bs_cue[replica]),
            cue_threshold=self.cue_threshold,
            negative_reward=self.negative_reward,
        )


@dataclass(frozen=True)
class LocalRules:
    knows: Knowledge = param(
        "own_gain", "own_gain: a pair knows its own link; bs_gain: also the BS's gain at its receiver", source="ours"
    )


class RulePair(NodePolicy):
    """Stateless, once its rule is known."""

    def __init__(self, welcome: Welcome, params: LocalRules, goal: Goal) -> None:
        """ValueError if the world does not fade: the rules are averages over Rayleigh fading."""
        self._actions = ActionTable(cell_info(welcome), welcome.action)
        self._index, self._params, self._goal = welcome.index, params, goal
        self._drop = static_facts(welcome, Drop, world="d2d_underlay")
        if self._drop.fading != "rayleigh":
            raise ValueError(
                f"{welcome.scheme} averages over Rayleigh fading, which this world has not: set world.fading to "
                "rayleigh, or take li2020/optimal_central"
            )

    def prepare(self) -> None:
        """Compute the rules."""
        _ = self._rules

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        own = self._over_noise(turn.measurement["own_gain_db"], self._drop.d2d_powers_w[0])  # [E, K]
        bs: list[np.ndarray | None] = [None] * len(own)
        if self._params.knows == "bs_gain":
            bs = list(self._over_noise(turn.measurement["bs_gain_db"], self._drop.bs_power_w))
        rbs = [rule.choose(*powers) for rule, *powers in zip(self._rules, own, bs, strict=True)]
        return TurnOutput(self._actions(np.array(rbs)))

    @cached_property
    def _rules(self) -> list[IndexRule]:
        """By replica."""
        replicas = range(len(self._drop.mean_d2d))
        return [rules_of(self._drop, e, self._params.knows, self._goal)[self._index] for e in replicas]

    def _over_noise(self, gain_db: np.ndarray, power_w: float) -> np.ndarray:
        return power_w / self._drop.noise_w * 10 ** (gain_db.astype(np.float64) / 10)


@lru_cache(maxsize=64)
def rules_of(drop: Drop, replica: int, knows: Knowledge, goal: Goal) -> list[IndexRule]:
    """All pairs' rules in one replica. Those for the total start from the equilibrium, so that they are never below it
    in the expected total."""
    search = RuleSearch(drop.mean_powers(replica), knows)
    search.settle("own_reward")
    if goal == "total":
        search.settle("total")
    return [search.rule(pair, goal) for pair in range(len(search.share))]


def choreography(_params: LocalRules) -> Choreography:
    return Choreography((agents_act(view="receiver"),))

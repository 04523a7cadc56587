"""The check behind the locality kit, on worlds of one agent and worlds that show everything."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from airtoll.testing.resampling import check_resampling
from protocol.messages.spaces import Field, Records, Space

_VIEW, _ACTION = Space((Field("level", "f8"),)), Space((Field("send", "u1", low=0, high=1),))


@dataclass(frozen=True)
class Levels:
    """Of what the agent measures, and of what it does not."""

    open: float
    hidden: float


@dataclass
class OneAgent:
    """A world of one agent that measures `open` and earns by `hidden`. `hides`: whether there is anything hidden;
    `redraws`: which of the two levels `resample_unobserved` redraws."""

    hides: bool = True
    redraws: tuple[str, ...] = ("hidden",)
    matters: bool = True
    agents = ("a",)
    views: Any = None

    def __post_init__(self) -> None:
        self.views = {"own": [_VIEW]}

    def reset(self) -> Levels:
        return Levels(0.0, 0.0)

    def begin(self, state: Levels, slot: int) -> Levels:
        drawn = np.random.default_rng(slot).random(2)
        return Levels(drawn[0], drawn[1] if self.hides else 0.0)

    def measure(self, state: Levels, view: str) -> list[Records]:
        return [np.array([(state.open,)], _VIEW.dtype)]

    def random(self, node: int, rng: np.random.Generator) -> Records:
        return _ACTION.empty(1)

    def transmit(self, state: Levels, actions: Any) -> tuple[Levels, Any]:
        earned = state.hidden if self.matters else 1.0
        return state, SimpleNamespace(rewards=np.array([[earned]]))

    def resample_unobserved(self, state: Levels, view: str, node: int, rng: np.random.Generator) -> Levels:
        return replace(state, **{name: rng.random() for name in self.redraws})

    def snapshot(self, state: Levels) -> dict[str, Any]:
        return {"open": state.open, "hidden": state.hidden}


@pytest.mark.parametrize("world", [OneAgent(), OneAgent(hides=False, redraws=())], ids=["hidden", "shows everything"])
def test_worlds_of_one_agent_pass(world: Any) -> None:
    check_resampling(world)


@pytest.mark.parametrize(
    ("world", "fault"),
    [
        (OneAgent(redraws=()), "shows 1 of 2 numbers"),
        (OneAgent(redraws=("open",)), "redraws what a measures"),
        (OneAgent(matters=False), "has no effect"),
    ],
    ids=["redraws nothing", "redraws what is seen", "redraws what does not matter"],
)
def test_worlds_that_cheat_are_found(world: Any, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_resampling(world)

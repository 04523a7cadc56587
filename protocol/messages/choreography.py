"""A scheme's turns in one slot, as data."""

from typing import Literal

from msgspec import Struct

PHASES = ("warmup", "train", "eval")

Who = Literal["agents", "trainer", "network"]
Step = Literal["exchange", "decide", "learn", "probe", "act", "close"]
Order = Literal["all", "one by one", "random"]


class TurnSpec(Struct, frozen=True, array_like=True):
    """One entry of a choreography.

    `who`: the agents, the trainer, or the network itself (its parties tell what the world's report `view` says).
    `step`: what an answer may carry: exchange, decide and learn notes only; probe and act also an action. A learn turn
    is the trainer's alone: asked when notes have come for it, answered `train_delay_slots` later.
    `order`: all at once, or each in a turn of its own, by index or in an order drawn per slot.
    `view`: which measurement of the world the asked nodes are given ("" for none).
    `repeat`: how many times in a row.
    """

    who: Who
    step: Step
    order: Order = "all"
    view: str = ""
    repeat: int = 1


class Choreography(Struct, frozen=True, array_like=True):
    """The turns of a slot, in order; then the world transmits; then the parties tell the `feedback` reports, if the
    phase is one of `feedback_phases`.

    Feedback told after slot t is readable in turn 0 of slot t + 1 (after the last slot: in the closing turn).
    """

    turns: tuple[TurnSpec, ...]
    feedback: tuple[str, ...] = ()
    feedback_phases: tuple[str, ...] = PHASES

    @property
    def has_trainer(self) -> bool:
        return any(spec.who == "trainer" for spec in self.turns)


CLOSING = 255  # the `spec` of the closing turn


def agents_act(view: str = "") -> TurnSpec:
    """All agents decide at once."""
    return TurnSpec(who="agents", step="act", view=view)


def agents_exchange(view: str = "", *, repeat: int = 1) -> TurnSpec:
    """All agents may tell notes at once."""
    return TurnSpec(who="agents", step="exchange", view=view, repeat=repeat)


def trainer_decides() -> TurnSpec:
    """The trainer reads what came up and tells decisions."""
    return TurnSpec(who="trainer", step="decide")


def trainer_learns() -> TurnSpec:
    """The trainer reads the histories that came up, learns, and tells weights."""
    return TurnSpec(who="trainer", step="learn")


def network_sends(report: str) -> TurnSpec:
    """The network's parties tell what the world's report says, before the world transmits."""
    return TurnSpec(who="network", step="exchange", view=report)

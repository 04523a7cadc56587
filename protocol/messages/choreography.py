"""A scheme's turns in one slot, as data."""

from typing import Literal, get_args

from msgspec import Struct

Phase = Literal["warmup", "train", "eval"]
PHASES: tuple[Phase, ...] = get_args(Phase)

Who = Literal["agents", "trainer", "network"]
Step = Literal["exchange", "decide", "learn", "probe", "act", "close"]
TurnOrder = Literal["all", "one by one", "rotating", "random"]


class TurnSpec(Struct, frozen=True, array_like=True):
    """One entry of a choreography.

    `who`: the agents, the trainer, or the network itself (the infrastructure sends the notes of the world's report
    `view`). `step`: what a reply may carry: exchange, decide and learn only notes; probe and act also an action. Only
    the trainer has learn turns: it is asked when notes wait for it, and its reply is due `train_delay_slots` later.
    `order`: all at once, or each in a turn of its own: by index, by index from a node on that moves on with every slot,
    or in an order drawn per slot. It is the same in all replicas.
    `view`: the measurement that the asked nodes get ("" for none). `repeat`: how many times in a row.
    """

    who: Who
    step: Step
    order: TurnOrder = "all"
    view: str = ""
    repeat: int = 1


class Choreography(Struct, frozen=True, array_like=True):
    """The turns of a slot, in order; then the world transmits; then the infrastructure sends the `feedback` reports, if
    the phase is one of `feedback_phases`.

    Feedback sent after slot t is readable in turn 0 of slot t + 1 (after the last slot: in the closing turn).
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
    """All agents send notes at once."""
    return TurnSpec(who="agents", step="exchange", view=view, repeat=repeat)


def trainer_decides() -> TurnSpec:
    """The trainer reads what the agents sent and sends decisions."""
    return TurnSpec(who="trainer", step="decide")


def trainer_learns() -> TurnSpec:
    """The trainer reads the histories that the agents sent, learns, and sends weights."""
    return TurnSpec(who="trainer", step="learn")


def network_sends(report: str) -> TurnSpec:
    """The infrastructure sends the notes of the world's report, before the world transmits."""
    return TurnSpec(who="network", step="exchange", view=report)

"""The signalling model of a run: how late, how surely and how fast what nodes tell each other arrives.

A link is a source, a class of link and a destination; all receivers of a broadcast are one. Each has a queue per kind
and, in every slot, its budget of bits. A note whose last bit leaves in slot s can be read in the next turn of slot s if
its delay is 0, else in turn 0 of slot s + delay. docs/signalling-model.md tells it in full.
"""

from msgspec import Struct

from protocol.messages.kinds import Kind, LinkClass

PRIORITIES = (
    Kind.ACK,
    Kind.CONTROL,
    Kind.DECISION,
    Kind.FEEDBACK,
    Kind.NEIGHBOUR,
    Kind.CSI,
    Kind.WEIGHTS,
    Kind.HISTORY,
)


class KindRule(Struct, frozen=True, array_like=True):
    """Notes of one kind over one class of link. `loss`: probability that a receiver does not get its copy, drawn for
    each of them. `bits_per_slot`: what this kind may use of each link's budget; None for all of it."""

    link: LinkClass
    kind: Kind
    delay_slots: int = 0
    loss: float = 0.0
    bits_per_slot: int | None = None


class LinkBudget(Struct, frozen=True, array_like=True):
    """What each link of a class carries in a slot: so many bits, or the share `radio_share` of what its radio would.
    Without either there is no limit."""

    link: LinkClass
    bits_per_slot: int | None = None
    radio_share: float | None = None


class SignallingPlan(Struct, frozen=True):
    """Ideal where nothing is said: at once, surely, without limit. At most one rule per class and kind, one budget per
    class.

    `priorities`: all kinds, in the order in which a link serves them: a bit of one leaves when those before have none
    left that may leave in this slot. `resend_after_slots`: an unacknowledged history or
    weights note is told again after so many slots, 0 for never.
    """

    rules: tuple[KindRule, ...] = ()
    budgets: tuple[LinkBudget, ...] = ()
    priorities: tuple[Kind, ...] = PRIORITIES
    resend_after_slots: int = 0

    @property
    def ideal(self) -> bool:
        """Nothing is late, lost or rationed."""
        return not self.rules and not self.budgets

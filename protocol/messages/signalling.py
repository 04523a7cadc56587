"""The signalling model of a run: the delay, loss and rate of the links that notes cross.

A link is a source, a link class and a destination; all receivers of a broadcast are one destination. Each link has a
queue per kind and, in every slot, a budget of bits. A note whose last bit leaves in slot s can be read in the next turn
of slot s if its delay is 0, else in turn 0 of slot s + delay. docs/signalling-model.md has all of it.
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
    """Notes of one kind over one link class. `loss`: the probability that a receiver's copy is lost, drawn for each
    receiver. `bits_per_slot`: what this kind may use of each link's budget; None for all of it."""

    link: LinkClass
    kind: Kind
    delay_slots: int = 0
    loss: float = 0.0
    bits_per_slot: int | None = None


class LinkBudget(Struct, frozen=True, array_like=True):
    """What each link of a class carries in a slot: `bits_per_slot`, or the share `radio_share` of what a whole slot of
    its radio carries. With neither there is no limit."""

    link: LinkClass
    bits_per_slot: int | None = None
    radio_share: float | None = None


class SignallingPlan(Struct, frozen=True):
    """Rules and budgets; links and kinds without any are ideal: no delay, no loss, no limit. At most one rule per link
    class and kind, one budget per class.

    `priorities`: all kinds, in the order in which a link serves them: a bit of one kind leaves when the kinds before it
    have none left that may leave in this slot. `resend_after_slots`: an unacknowledged history or weights note is
    resent after so many slots, 0 for never.
    """

    rules: tuple[KindRule, ...] = ()
    budgets: tuple[LinkBudget, ...] = ()
    priorities: tuple[Kind, ...] = PRIORITIES
    resend_after_slots: int = 0

    @property
    def ideal(self) -> bool:
        """No note is delayed, lost or limited by a budget."""
        return not self.rules and not self.budgets

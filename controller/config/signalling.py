"""The configuration key `signalling`: `ideal`, or how late, how surely and how fast notes arrive.

signalling:
  all: {loss: 0.1}
  uplink: {delay_slots: 2, bits_per_slot: 500, history: {loss: 0.2, bits_per_slot: 300}}
  downlink: {bits_per_slot: radio, share: 0.05}
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from controller.config.catalogue import STRICT
from controller.config.errors import ConfigError, invalid
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.signalling import PRIORITIES, KindRule, LinkBudget, SignallingPlan

_TIMEOUT_SLOTS = 10  # beyond the delays that are known, until an answer is given up
_ANSWERED = (  # each with its acknowledgement
    ((LinkClass.UPLINK, Kind.HISTORY), (LinkClass.DOWNLINK, Kind.ACK)),
    ((LinkClass.DOWNLINK, Kind.WEIGHTS), (LinkClass.UPLINK, Kind.ACK)),
)
_T = TypeVar("_T")


def _bits_or_radio(value: Any) -> Any:
    if value is None or value == "radio" or (type(value) is int and value >= 1):
        return value
    raise PydanticCustomError("bits_per_slot", "must be a whole number of at least 1, or radio")


_KindName = Literal["neighbour", "csi", "decision", "feedback", "history", "weights", "ack", "control"]
_Delay = Annotated[int, Ge(0), Le(10**6)] | None
_Loss = Annotated[float, Ge(0), Le(1)] | None


class OfKind(BaseModel):
    """What is said of one kind of notes. `bits_per_slot`: what it may use of each link's budget."""

    model_config = STRICT

    delay_slots: _Delay = None
    loss: _Loss = None
    bits_per_slot: Annotated[int, Ge(1)] | None = None


class OfLinks(BaseModel):
    """What is said of a class of links, and of kinds on them. `bits_per_slot`: the budget of each link; `radio`: the
    `share` of what its radio carries in a slot."""

    model_config = STRICT

    delay_slots: _Delay = None
    loss: _Loss = None
    bits_per_slot: Annotated[int | str | None, BeforeValidator(_bits_or_radio)] = None
    share: Annotated[float, Gt(0), Le(1)] | None = None
    neighbour: OfKind = OfKind()
    csi: OfKind = OfKind()
    decision: OfKind = OfKind()
    feedback: OfKind = OfKind()
    history: OfKind = OfKind()
    weights: OfKind = OfKind()
    ack: OfKind = OfKind()
    control: OfKind = OfKind()

    def of(self, kind: Kind) -> OfKind:
        """What is said of a kind here."""
        said: OfKind = getattr(self, kind.name.lower())
        return said


class Signalling(BaseModel):
    """Ideal where nothing is said. What is said of a kind wins over what is said of a class of links, and that over
    what is said of `all` of them.

    `priorities`: kinds in the order in which links serve them; those not named follow in the usual order.
    `resend_after_slots`: an unacknowledged history or weights note is told again after so many slots, 0 for never; null
    for as long as an answer may take, where the model can make it late or lose it.
    """

    model_config = STRICT

    all: OfLinks = OfLinks()
    sidelink: OfLinks = OfLinks()
    uplink: OfLinks = OfLinks()
    downlink: OfLinks = OfLinks()
    backhaul: OfLinks = OfLinks()
    priorities: Annotated[tuple[_KindName, ...], Field(strict=False)] = ()  # a list is as good
    resend_after_slots: Annotated[int, Ge(0), Le(10**6)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        if data == "ideal":
            return {}
        if not isinstance(data, dict):
            raise PydanticCustomError("signalling", "must be 'ideal', or keys such as uplink: {loss: 0.1}")
        return data

    @model_serializer(mode="wrap")
    def _write(self, resolve: SerializerFunctionWrapHandler) -> Any:
        return _without_nothing(resolve(self)) or "ideal"

    def plan(self, train_delay_slots: int) -> SignallingPlan:
        """The model as the relay is told it."""
        everywhere = [self._rule(link, kind) for link in LinkClass for kind in Kind]
        rules = tuple(rule for rule in everywhere if rule != KindRule(rule.link, rule.kind))
        budgets = tuple(budget for link in LinkClass for budget in self._budgets(link))
        named = tuple(Kind[name.upper()] for name in self.priorities)
        priorities = named + tuple(kind for kind in PRIORITIES if kind not in named)
        resend = self.resend_after_slots
        if resend is None:
            resend = _answer_slots(rules, budgets, train_delay_slots)
        return SignallingPlan(rules, budgets, priorities, resend)

    @property
    def ideal(self) -> bool:
        """Nothing is late, lost or rationed."""
        return self.plan(0).ideal

    def check(self, world: str, *, has_radio: bool) -> None:
        """ConfigError for settings that make no sense together, or not in this world."""
        if twice := [name for name in self.priorities if self.priorities.count(name) > 1]:
            raise ConfigError(f"signalling.priorities: {twice[0]} stands there twice: name it once")
        for name, of in self._links().items():
            if of.share is not None and _first([of.bits_per_slot, self.all.bits_per_slot]) != "radio":
                cure = "there is a share of a radio only; say bits_per_slot: radio, too, or leave the share out"
                raise ConfigError(invalid(f"signalling.{name}.share", of.share, cure))
            if of.bits_per_slot == "radio" and (name == "backhaul" or not has_radio):
                who = "a backhaul" if name == "backhaul" else f"the world {world}"
                cure = f"{who} has no radio; give bits, such as bits_per_slot: 500"
                raise ConfigError(invalid(f"signalling.{name}.bits_per_slot", "radio", cure))

    def _links(self) -> dict[str, OfLinks]:
        return {"all": self.all, **{link.name.lower(): self._of(link) for link in LinkClass}}

    def _of(self, link: LinkClass) -> OfLinks:
        of: OfLinks = getattr(self, link.name.lower())
        return of

    def _rule(self, link: LinkClass, kind: Kind) -> KindRule:
        """What notes of a kind meet on a class of links."""
        of, everywhere = self._of(link), self.all
        kinds = (of.of(kind), everywhere.of(kind))
        delay = _first([said.delay_slots for said in (*kinds, of, everywhere)])
        loss = _first([said.loss for said in (*kinds, of, everywhere)])
        return KindRule(link, kind, delay or 0, loss or 0.0, _first([said.bits_per_slot for said in kinds]))

    def _budgets(self, link: LinkClass) -> Iterator[LinkBudget]:
        """The budget of a class of links, if it has one; under `all` a backhaul has no radio, so no limit."""
        of, everywhere = self._of(link), self.all
        bits = _first([of.bits_per_slot, everywhere.bits_per_slot])
        if isinstance(bits, int):
            yield LinkBudget(link, bits)
        elif bits == "radio" and link != LinkClass.BACKHAUL:
            yield LinkBudget(link, None, _first([of.share, everywhere.share]) or 1.0)


def _first(said: Iterable[_T | None]) -> _T | None:
    """The most specific that was said."""
    return next((value for value in said if value is not None), None)


def _answer_slots(rules: Sequence[KindRule], budgets: Sequence[LinkBudget], train_delay_slots: int) -> int:
    """How long an acknowledgement may take; 0 if the model neither delays nor loses it, nor what it answers."""
    late = {(rule.link, rule.kind): rule.delay_slots for rule in rules}
    rationed = {budget.link for budget in budgets}
    if not any(leg in late or leg[0] in rationed for legs in _ANSWERED for leg in legs):
        return 0
    return train_delay_slots + max(sum(late.get(leg, 0) for leg in legs) for legs in _ANSWERED) + _TIMEOUT_SLOTS


def _without_nothing(said: dict[str, Any]) -> dict[str, Any]:
    """Only what was said."""
    inner = {key: _without_nothing(value) if isinstance(value, dict) else value for key, value in said.items()}
    return {key: value for key, value in inner.items() if value not in (None, {}, (), [])}

"""The configuration key `signalling`: `ideal`, or the delay, loss and budget of notes.

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
from protocol.messages.kinds import CloudLink, Kind, LinkClass, cloud_link_classes
from protocol.messages.signalling import PRIORITIES, KindRule, LinkBudget, SignallingPlan

_RESEND_MARGIN_SLOTS = 10  # beyond the known delays, before a note that is not acknowledged is sent again
_T = TypeVar("_T")


def _bits_or_radio(value: Any) -> Any:
    if value is None or value == "radio" or (type(value) is int and value >= 1):
        return value
    raise PydanticCustomError("bits_per_slot", "must be a whole number of at least 1, or radio")


_KindName = Literal["neighbour", "csi", "decision", "feedback", "history", "weights", "ack", "control"]
_Delay = Annotated[int, Ge(0), Le(10**6)] | None
_Loss = Annotated[float, Ge(0), Le(1)] | None


class KindSettings(BaseModel):
    """Settings of one kind of notes. `bits_per_slot`: the part of each link's budget that it may use."""

    model_config = STRICT

    delay_slots: _Delay = None
    loss: _Loss = None
    bits_per_slot: Annotated[int, Ge(1)] | None = None


class LinkSettings(BaseModel):
    """Settings of a class of links, and of kinds of notes on them. `bits_per_slot`: the budget of each link; `radio`:
    the `share` of what its radio carries in a slot."""

    model_config = STRICT

    delay_slots: _Delay = None
    loss: _Loss = None
    bits_per_slot: Annotated[int | str | None, BeforeValidator(_bits_or_radio)] = None
    share: Annotated[float, Gt(0), Le(1)] | None = None
    neighbour: KindSettings = KindSettings()
    csi: KindSettings = KindSettings()
    decision: KindSettings = KindSettings()
    feedback: KindSettings = KindSettings()
    history: KindSettings = KindSettings()
    weights: KindSettings = KindSettings()
    ack: KindSettings = KindSettings()
    control: KindSettings = KindSettings()

    def of(self, kind: Kind) -> KindSettings:
        """The settings of a kind on these links."""
        settings: KindSettings = getattr(self, kind.name.lower())
        return settings


class Signalling(BaseModel):
    """Ideal where nothing is set. Settings of a kind win over those of a class of links, and these over those of `all`.

    `priorities`: kinds in the order in which links serve them; the others follow in the default order.
    `resend_after_slots`: after how many slots an unacknowledged history or weights note is sent again, 0 for never;
    null: after the longest time that its acknowledgement may take, if the model can delay or lose one of the two.
    """

    model_config = STRICT

    all: LinkSettings = LinkSettings()
    sidelink: LinkSettings = LinkSettings()
    uplink: LinkSettings = LinkSettings()
    downlink: LinkSettings = LinkSettings()
    backhaul: LinkSettings = LinkSettings()
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
        return _without_unset(resolve(self)) or "ideal"

    def plan(self, train_delay_slots: int, cloud_link: CloudLink) -> SignallingPlan:
        """The model as the relay applies it in a world with these links to the BS/cloud."""
        everywhere = [self._rule(link, kind) for link in LinkClass for kind in Kind]
        rules = tuple(rule for rule in everywhere if rule != KindRule(rule.link, rule.kind))
        budgets = tuple(budget for link in LinkClass for budget in self._budgets(link))
        named = tuple(Kind[name.upper()] for name in self.priorities)
        priorities = named + tuple(kind for kind in PRIORITIES if kind not in named)
        resend = self.resend_after_slots
        if resend is None:
            resend = _ack_slots(rules, budgets, train_delay_slots, cloud_link)
        return SignallingPlan(rules, budgets, priorities, resend)

    @property
    def ideal(self) -> bool:
        """Whether no note is delayed, lost or limited by a budget."""
        return self.plan(0, "radio").ideal

    def check(self, world: str, *, has_radio: bool) -> None:
        """ConfigError for settings that make no sense together, or not in this world."""
        if twice := [name for name in self.priorities if self.priorities.count(name) > 1]:
            raise ConfigError(f"signalling.priorities: {twice[0]} is listed twice: name it once")
        for name, of in self._links().items():
            if of.share is not None and _first([of.bits_per_slot, self.all.bits_per_slot]) != "radio":
                fix = "only a radio has a share; give bits_per_slot: radio, too, or leave the share out"
                raise ConfigError(invalid(f"signalling.{name}.share", of.share, fix))
            if of.bits_per_slot == "radio" and (name == "backhaul" or not has_radio):
                who = "a backhaul" if name == "backhaul" else f"the world {world}"
                fix = f"{who} has no radio; give bits, such as bits_per_slot: 500"
                raise ConfigError(invalid(f"signalling.{name}.bits_per_slot", "radio", fix))

    def _links(self) -> dict[str, LinkSettings]:
        return {"all": self.all, **{link.name.lower(): self._of(link) for link in LinkClass}}

    def _of(self, link: LinkClass) -> LinkSettings:
        of: LinkSettings = getattr(self, link.name.lower())
        return of

    def _rule(self, link: LinkClass, kind: Kind) -> KindRule:
        """The rule for notes of a kind on a class of links."""
        of, everywhere = self._of(link), self.all
        kinds = (of.of(kind), everywhere.of(kind))
        delay = _first([s.delay_slots for s in (*kinds, of, everywhere)])
        loss = _first([s.loss for s in (*kinds, of, everywhere)])
        return KindRule(link, kind, delay or 0, loss or 0.0, _first([s.bits_per_slot for s in kinds]))

    def _budgets(self, link: LinkClass) -> Iterator[LinkBudget]:
        """The budget of a class of links, if it has one; under `all` a backhaul has no radio, so no limit."""
        of, everywhere = self._of(link), self.all
        bits = _first([of.bits_per_slot, everywhere.bits_per_slot])
        if isinstance(bits, int):
            yield LinkBudget(link, bits)
        elif bits == "radio" and link != LinkClass.BACKHAUL:
            yield LinkBudget(link, None, _first([of.share, everywhere.share]) or 1.0)


def _first(values: Iterable[_T | None]) -> _T | None:
    """The first value that is set."""
    return next((value for value in values if value is not None), None)


def _ack_slots(
    rules: Sequence[KindRule], budgets: Sequence[LinkBudget], train_delay_slots: int, cloud_link: CloudLink
) -> int:
    """How long an acknowledgement may take; 0 if the model delays or loses neither it nor the note it acknowledges."""
    to_cloud, from_cloud = cloud_link_classes(cloud_link)
    acknowledged = (
        ((to_cloud, Kind.HISTORY), (from_cloud, Kind.ACK)),
        ((from_cloud, Kind.WEIGHTS), (to_cloud, Kind.ACK)),
    )
    delays = {(rule.link, rule.kind): rule.delay_slots for rule in rules}
    limited = {budget.link for budget in budgets}
    if not any(leg in delays or leg[0] in limited for legs in acknowledged for leg in legs):
        return 0
    return (
        train_delay_slots + max(sum(delays.get(leg, 0) for leg in legs) for legs in acknowledged) + _RESEND_MARGIN_SLOTS
    )


def _without_unset(settings: dict[str, Any]) -> dict[str, Any]:
    """Only the settings that are set."""
    inner = {key: _without_unset(value) if isinstance(value, dict) else value for key, value in settings.items()}
    return {key: value for key, value in inner.items() if value not in (None, {}, (), [])}

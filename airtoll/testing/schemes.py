"""What every scheme keeps to, apart from the laws: its card, its notes, and what it asks of the world."""

from airtoll.testing.recording import in_process
from controller.execution.building import build_world
from protocol.messages.plan import RunPlan
from schemes.contract import Card


def check_card(card: Card) -> None:
    """Every entry that a reader needs is filled in."""
    for name in ("summary", "citation", "paper", "equations", "worlds", "observes", "sends"):
        assert getattr(card, name), f"the card of {card.name} has no {name}"


def check_sends(plan: RunPlan, card: Card) -> None:
    """A run has no note if and only if the card has `sends="nothing"`."""
    air = in_process(plan).air
    assert (card.sends == "nothing") == (not air), f"the card says sends={card.sends!r}, the run had {len(air)} notes"


def check_views_and_reports(plan: RunPlan) -> None:
    """Every view and report of the choreography exists in the world."""
    world = build_world(plan)
    state = world.begin(world.reset(), 0)
    for spec in plan.choreography.turns:
        if spec.view and spec.who == "network":
            assert world.report(state, spec.view)
        elif spec.view:
            assert len(world.measure(state, spec.view)) == len(world.agents)
    for report in plan.choreography.feedback:
        world.report(state, report)

"""Locality: changing anything that a node cannot measure and did not receive leaves its Turn unchanged."""

from typing import Any

import pytest

from airtoll.testing import locality, resampling
from controller.config.catalogue import worlds
from controller.execution.building import build_world
from tests.conformance.homes import home_plan, homes, small
from tests.impairments import MODELS
from tests.recording import plan_for


@homes
@pytest.mark.parametrize(
    ("replicas", "signalling"), [(1, "ideal"), (2, "ideal"), (1, MODELS["all of it"])], ids=["1", "2", "impaired"]
)
def test_a_turn_contains_only_what_its_node_measures(scheme: str, world: str, replicas: int, signalling: Any) -> None:
    """Each Turn's measurement against a state that differs in everything its node cannot measure."""
    locality.check_measurements(home_plan(scheme, world, slots=12, replicas=replicas, signalling=signalling))


@pytest.mark.parametrize("signalling", ["ideal", MODELS["all of it"]], ids=["ideal", "impaired"])
@homes
def test_every_note_in_an_inbox_was_sent_to_its_node(scheme: str, world: str, signalling: Any) -> None:
    """The air book has each note, with the node among its destinations."""
    slots = 30  # the first history of wong2021/td3_mix takes 14 of them through an impaired link
    locality.check_inboxes(home_plan(scheme, world, slots=slots, signalling=signalling))


@pytest.mark.parametrize("world", worlds())
def test_a_resampled_state_really_differs(world: str) -> None:
    resampling.check_resampling(build_world(plan_for("ours/random", small(world))))

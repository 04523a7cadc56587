"""The contract of every world: spaces, reports, snapshots, drawing."""

from typing import Any

import pytest

from airtoll.testing import worlds as kit
from controller.config.catalogue import worlds
from controller.execution.building import build_world
from controller.execution.in_process import run_in_process
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import MapUpdate, Telemetry
from tests.conformance.homes import HOMES, home_plan

REPLICAS = 2
RENDERABLE = [
    name for name, world in worlds().items() if hasattr(world.build(world.params(), seed=1, replicas=1), "render")
]


def _plan(world: str, **settings: Any) -> RunPlan:
    scheme = next(name for name, home in HOMES if home == world)
    return home_plan(scheme, world, **settings)


@pytest.mark.parametrize("name", worlds())
def test_a_world_keeps_its_contract(name: str) -> None:
    world = build_world(_plan(name, slots=5, replicas=REPLICAS))
    kit.check_documented(worlds()[name])
    kit.check_spaces(world, REPLICAS)
    kit.check_measured_alone(world)
    kit.check_reports(world, REPLICAS)
    kit.check_snapshots(world)
    kit.check_drawing(world)


@pytest.mark.parametrize("name", RENDERABLE)
def test_the_last_map_of_a_run_is_of_its_last_slot_and_none_is_sent_twice(name: str) -> None:
    sent: list[Telemetry] = []
    run_in_process(_plan(name, slots=30), sent.append)
    slots = [update.slot for update in sent if isinstance(update, MapUpdate)]
    assert slots[-1] == 29
    assert slots == sorted(set(slots))

"""Every world that can be drawn: its map is finite JSON, and rendering changes nothing."""

import json
from typing import Any

import pytest

from controller.config.catalogue import worlds
from controller.execution.building import build_world
from controller.execution.in_process import run_in_process
from protocol.determinism.snapshots import pack
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import MapUpdate, Telemetry
from tests.conformance.homes import HOMES, home_plan

RENDERABLE = [
    name for name, world in worlds().items() if hasattr(world.build(world.params(), seed=1, replicas=1), "render")
]


def _plan(world: str, **settings: Any) -> RunPlan:
    scheme = next(name for name, home in HOMES if home == world)
    return home_plan(scheme, world, **settings)


@pytest.mark.parametrize("name", RENDERABLE)
def test_a_map_is_finite_and_rendering_changes_nothing(name: str) -> None:
    world: Any = build_world(_plan(name, slots=5, replicas=2))
    state = world.begin(world.reset(), 0)
    state, _ = world.transmit(state, [world.silent(node) for node in range(len(world.agents))])
    before = pack(world.snapshot(state))
    shown = world.render(state)
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert pack(world.snapshot(state)) == before


@pytest.mark.parametrize("name", RENDERABLE)
def test_the_last_map_of_a_run_is_of_its_last_slot_and_none_is_sent_twice(name: str) -> None:
    sent: list[Telemetry] = []
    run_in_process(_plan(name, slots=30), sent.append)
    slots = [update.slot for update in sent if isinstance(update, MapUpdate)]
    assert slots[-1] == 29
    assert slots == sorted(set(slots))

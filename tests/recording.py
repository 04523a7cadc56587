"""Runs for tests: plans from a few settings, and the recordings of the kits."""

from collections.abc import Callable, Sequence
from typing import Any

from airtoll.testing import recording
from airtoll.testing.recording import (
    Checkpointed,
    Recording,
    assert_same_trace,
    in_process,
    is_stop,
    stepping,
)
from controller.config.catalogue import schemes, worlds_of
from controller.config.resolved import load
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import Event
from tests.preloading import preload_torch_for

__all__ = [
    "CELL",
    "GRAPH",
    "Checkpointed",
    "Placed",
    "Recording",
    "assert_same_trace",
    "in_process",
    "in_processes",
    "is_stop",
    "plan_for",
    "reasons",
    "stepping",
]

CELL = {"name": "d2d_underlay", "pairs": 4, "rbs": 3}
GRAPH = {"name": "conflict_graph"}
CELLS = {"name": "traffic_cells", "rings": 1, "devices_per_cell": 2, "subbands": 2}
Placed = Callable[[RunPlan], Recording]


def plan_for(scheme: str, world: dict[str, Any] | None = None, **settings: Any) -> RunPlan:
    """The plan of a short run, by default in the scheme's first world, and without training slots."""
    home = worlds_of(schemes()[scheme])[0]
    chosen = world or {"d2d_underlay": CELL, "conflict_graph": GRAPH}.get(home, {"name": home})
    described = {"name": scheme} | settings.pop("params", {})
    given = {key: value for key, value in ({"slots": 50} | settings).items() if value is not None}
    return load({"world": chosen, "scheme": described, "untrained": True, **given}).plan_for("test")


def in_processes(plan: RunPlan) -> Recording:
    """The run, one process per node."""
    preload_torch_for(plan)
    return recording.in_processes(plan)


def reasons(events: Sequence[Event], kind: str) -> list[str]:
    """The reasons of all events of a kind."""
    return [event.reason for event in events if event.event == kind]

"""Every scheme of the catalogue in each of its worlds; small cells so that the kits stay fast.

Runs of schemes that learn have all three phases, small networks and delayed weights.
"""

from dataclasses import fields
from typing import Any

import pytest

from controller.config.catalogue import schemes, worlds_of
from protocol.messages.plan import RunPlan
from tests.networks import params_for
from tests.recording import CELL, CELLS, GRAPH, plan_for
from tests.tiers import IN_PROCESSES

SMALL: dict[str, dict[str, Any]] = {
    "d2d_underlay": CELL,
    "conflict_graph": GRAPH,
    "traffic_cells": CELLS,
    "mumimo_cells": {"name": "mumimo_cells", "antennas": 4, "users": 2, "channels": 3, "observation": "gains"},
}
SMALL_NETWORKS = {
    "actor_hidden": [32, 16],
    "critic_hidden": [32, 32, 16],
    "hidden": [32, 16],
    "batch": 16,
    "recurrent_units": 8,
    "rows_per_iteration": 8,
    "epochs": 1,
    "upload_every_slots": 5,
    "push_every_slots": 10,
}
SMALL_PARAMS = SMALL_NETWORKS | {"iterations": 3}  # what schemes have of it
HOMES = [(name, world) for name, scheme in schemes().items() for world in worlds_of(scheme)]
IN_PROCESSES_HOMES = [home for home in HOMES if home[0] in IN_PROCESSES]

homes = pytest.mark.parametrize(("scheme", "world"), HOMES)
homes_in_processes = pytest.mark.parametrize(("scheme", "world"), IN_PROCESSES_HOMES)


def small(world: str) -> dict[str, Any]:
    """The world's settings for tests; its defaults if it is not in SMALL."""
    return SMALL.get(world, {"name": world})


def home_plan(scheme: str, world: str, *, slots: int, **settings: Any) -> RunPlan:
    """The plan of a run of so many slots, a fifth of them warmup and half of them training if the scheme learns."""
    if scheme == "ours/network":
        settings = {"params": params_for(small(world))} | settings
    known = {field.name for field in fields(schemes()[scheme].params)}
    params = {key: value for key, value in SMALL_PARAMS.items() if key in known}
    if not schemes()[scheme].learns:
        return plan_for(scheme, small(world), slots=slots, **({"params": params} | settings))
    phases = {"warmup": slots // 5, "train": slots // 2, "eval": slots - slots // 5 - slots // 2}
    loading_torch = {"lost_after_s": 60}  # loading torch is slow on a busy machine
    learning = {
        "phases": phases,
        "train_delay_slots": 3,
        "slots": None,
        "params": params,
        "on_node_loss": loading_torch,
    }
    return plan_for(scheme, small(world), **(learning | settings))

"""Every world's estimate of its memory: what its first slots take, no less and not much more; building takes little."""

import tracemalloc
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from controller.config.catalogue import worlds

# larger than the kits' other worlds, so that arrays count and not the objects around them
LARGE: dict[str, dict[str, Any]] = {"d2d_underlay": {"pairs": 30, "rbs": 20}}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "d2d_underlay": [{"fading_correlation": 0.5}, {"observation": "compact"}],
    "conflict_graph": [{"subbands": 64}],
}
CASES = [
    (name, LARGE.get(name, {}) | variant, replicas)
    for name in worlds()
    for variant in [{}, *VARIANTS.get(name, [])]
    for replicas in (1, 20)
]


def _play(world: Any) -> None:
    """Two slots, with every view and a map."""
    state = world.reset()
    for slot in range(2):
        state = world.begin(state, slot)
        for view in world.views:
            _ = [records.tobytes() for records in world.measure(state, view)]
        rng = np.random.default_rng(slot)
        state, _ = world.transmit(state, [world.random(node, rng) for node in range(len(world.agents))])
        if hasattr(world, "prefetch"):
            world.prefetch(slot + 1)
        if hasattr(world, "render"):
            world.render(state)


@pytest.mark.parametrize(("name", "params", "replicas"), CASES)
def test_the_estimate_holds(name: str, params: dict[str, Any], replicas: int) -> None:
    entry = worlds()[name]
    chosen = replace(entry.params(), **params)
    assert {field.name for field in fields(chosen)} >= params.keys()
    _play(entry.build(entry.params(), seed=1, replicas=1))  # what is imported and cached at the first call
    tracemalloc.start()
    try:
        world = entry.build(chosen, seed=1, replicas=replicas)
        static = [world.static_info(node) for node in range(len(world.agents) + 1)]
        built = tracemalloc.get_traced_memory()[1]
        _play(world)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    estimate = entry.memory_bytes(chosen, replicas)
    assert used <= estimate <= 4 * used + 2**21
    assert built <= estimate / 4
    assert len(static) == len(world.agents) + 1

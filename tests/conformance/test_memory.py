"""Every world's estimate of its memory: what its first slots take, no less and not much more; building takes little."""

from dataclasses import fields, replace
from typing import Any

import pytest

from airtoll.testing import worlds as worlds_kit
from controller.config.catalogue import worlds

# larger than the kits' other worlds, so that arrays count and not the objects around them
LARGE: dict[str, dict[str, Any]] = {"d2d_underlay": {"pairs": 30, "rbs": 20}}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "d2d_underlay": [{"fading_correlation": 0.5}, {"observation": "compact"}],
    "conflict_graph": [{"subbands": 64}],
    "mumimo_cells": [{"observation": "gains"}, {"antennas": 32, "users": 16}],
}
CASES = [
    (name, LARGE.get(name, {}) | variant, replicas)
    for name in worlds()
    for variant in [{}, *VARIANTS.get(name, [])]
    for replicas in (1, 20)
]


@pytest.mark.parametrize(("name", "params", "replicas"), CASES)
def test_the_estimate_holds(name: str, params: dict[str, Any], replicas: int) -> None:
    entry = worlds()[name]
    chosen = replace(entry.params(), **params)
    assert {field.name for field in fields(chosen)} >= params.keys()
    worlds_kit.check_memory(entry, chosen, replicas)

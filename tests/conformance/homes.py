"""Every scheme in each of its worlds, found by themselves; small cells so that the kits stay fast."""

from typing import Any

import pytest

from controller.catalogue import schemes
from tests.recording import CELL, GRAPH

SMALL: dict[str, dict[str, Any]] = {"d2d_underlay": CELL, "conflict_graph": GRAPH}
HOMES = [(name, world) for name, scheme in schemes().items() for world in scheme.card.worlds]

homes = pytest.mark.parametrize(("scheme", "world"), HOMES)


def small(world: str) -> dict[str, Any]:
    """The world's settings for tests; its defaults if it asks for nothing else."""
    return SMALL.get(world, {"name": world})

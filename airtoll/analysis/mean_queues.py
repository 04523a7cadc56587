"""The mean queue of every device of a conflict graph, from its agents' measurements."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from airtoll.analysis.streams import read_arrays
from controller.run_folder.reader import RunFolder
from protocol.accounting.trace import TraceField
from protocol.messages.spaces import Space

_VALUES, _QUEUE = "values.msgpack", "left"  # q_n, tasks left at the end of the previous slot


def mean_queues(folder: RunFolder, world: Any) -> npt.NDArray[np.float64] | None:
    """Mean queue [devices] in tasks, over slots and replicas.

    None where values were not recorded or agents do not measure queues.

    ValueError for damaged values.
    """
    if not (folder.path / _VALUES).exists():
        return None
    sums, slots = np.zeros(len(world.graph.devices)), np.zeros(len(world.graph.devices))
    for node, left in _measured(folder, world):
        own = world.graph.own[node]
        sums[own] += left
        slots[own] += 1
    return sums / slots if slots.all() else None


def _measured(folder: RunFolder, world: Any) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Each agent's index and the queues of its devices [devices of the agent] in tasks, once per slot."""
    replicas, seen = folder.meta.replicas, set()
    for slot, _, node, field, value in read_arrays(folder.path / _VALUES, 5):
        if field == TraceField.MEASUREMENT and value and (slot, node) not in seen:
            space = _space_of(len(value), world, node, replicas)
            if space is not None:
                seen.add((slot, node))
                yield node, space.view(value)[_QUEUE].mean(axis=0)


def _space_of(size: int, world: Any, node: int, replicas: int) -> Space | None:
    """The view of an encoded measurement: views with queues differ in size."""
    spaces: list[Space] = [spaces[node] for spaces in world.views.values()]
    with_queues = (space for space in spaces if _QUEUE in (space.dtype.names or ()))
    return next((space for space in with_queues if space.dtype.itemsize * replicas == size), None)

"""What every agent did last, read from a run's trace.

The trace keeps an 8-byte digest of each action. A space of few actions is searched for the one of that digest; where
there are too many (several replicas), full values are needed.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from airtoll.streams import read_arrays
from channel_server.worlds.contract import World
from controller.run_folder import RunFolder
from protocol.spaces import Records, Space
from protocol.trace import TraceField

CURE = "run with record: {values: true}"
_VALUES = "values.msgpack"
_MOST_ACTIONS = 1 << 16
_MOST_NUMBERS = 32


class LastActions(NamedTuple):
    """`actions` by agent, records [E]. `slot`: of the last one."""

    slot: int
    actions: list[Records]


def last_actions(folder: RunFolder, world: World, replicas: int) -> LastActions | None:
    """None when nobody acted, or when the actions cannot be told from their digests and full values were not kept.

    ValueError for a damaged trace.
    """
    rows = folder.trace_rows()
    acted = rows[rows["field"] == TraceField.ACTION]
    if not len(acted):
        return None
    digests = {int(row["node"]): int(row["digest"]) for row in acted}
    found = _searched(digests, world) if replicas == 1 else None
    found = found or _kept(folder, world, digests)
    if found is None:
        return None
    everyone = [found.get(node, world.silent(node)) for node in range(len(world.agents))]
    return LastActions(int(acted["slot"][-1]), everyone)


def _searched(digests: dict[int, int], world: World) -> dict[int, Records] | None:
    """Actions of these digests, by node."""
    by_digest: dict[Space, dict[int, bytes]] = {}
    found: dict[int, Records] = {}
    for node, digest in digests.items():
        space = world.actions[node]
        if space not in by_digest:
            by_digest[space] = {xxh3_64_intdigest(record.tobytes()): record.tobytes() for record in all_of(space)}
        if digest not in by_digest[space]:
            return None
        found[node] = space.decode(by_digest[space][digest])
    return found


def all_of(space: Space) -> npt.NDArray[np.void]:
    """Every action of a space of bounded integers; none of a space that has too many."""
    if any(field.low is None or field.high is None for field in space.fields):
        return np.zeros(0, space.dtype)
    numbers = [(f, int(np.prod(f.shape, dtype=int))) for f in space.fields]
    lows = np.array([f.low for f, count in numbers for _ in range(count)])
    sizes = [(f.high or 0) - (f.low or 0) + 1 for f, count in numbers for _ in range(count)]
    if len(sizes) > _MOST_NUMBERS or np.prod(sizes, dtype=float) > _MOST_ACTIONS:
        return np.zeros(0, space.dtype)
    every = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1) + lows  # [actions, numbers]
    actions = np.zeros(len(every), space.dtype)
    for (f, _), part in zip(numbers, np.split(every, np.cumsum([c for _, c in numbers])[:-1], axis=1), strict=True):
        actions[f.name] = part.reshape(len(every), *f.shape)
    return actions


def _kept(folder: RunFolder, world: World, digests: dict[int, int]) -> dict[int, Records] | None:
    """The last value of each, where values were kept."""
    if not (folder.path / _VALUES).exists():
        return None
    values = {
        node: value for _, _, node, field, value in read_arrays(folder.path / _VALUES, 5) if field == TraceField.ACTION
    }
    return {node: world.actions[node].decode(values[node]) for node in digests if node in values}

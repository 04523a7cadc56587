"""An access point of the world conflict_graph, as MAPPO sees it.

It knows zeta of each device (eq. 7) and gives each subband to one of them or to none.
"""

import numpy as np

from protocol.messages.node import Welcome
from protocol.messages.spaces import Records, Space
from schemes.zhang2025.local_cell import Choices, LocalCell, queue_first
from schemes.zhang2025.topology import LocalTopology, local_topology, whole_topology

_BOUNDS = np.array([[0.0, 255.0]])  # so that a note in 8 bits counts tasks


def graph_cell(welcome: Welcome) -> LocalCell:
    """The agent's own. ValueError where the world has no conflict graph."""
    return _cell(local_topology(welcome), welcome.action)


def graph_cells(welcome: Welcome) -> list[LocalCell]:
    """All agents', for the trainer. ValueError where the world has no conflict graph."""
    topology = whole_topology(welcome)
    return [_cell(topology.around(k), spaces.action) for k, spaces in enumerate(welcome.everyone)]


def _cell(topology: LocalTopology, space: Space) -> LocalCell:
    devices = len(topology.devices)

    def action(choices: Choices) -> Records:
        records = space.empty(len(choices))
        records["device"] = np.where(choices > devices, 0, choices)
        return records

    return LocalCell(
        devices=devices,
        neighbours={other.agent: len(other.devices) for other in topology.neighbours},
        bounds=_BOUNDS,
        inputs_per_device=2,
        observe=lambda measured: measured["tasks"][..., None].astype(np.float32),
        inputs=queue_first,
        backlog=lambda measured: measured["left"].sum(axis=-1, dtype=np.float32),
        choices=lambda of_devices: (of_devices + 1,) * topology.subbands,
        action=action,
    )

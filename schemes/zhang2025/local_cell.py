"""What MAPPO needs to know of an agent's cell, whatever the world: devices, neighbours, observation, action."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocol.messages.node import Welcome
from protocol.messages.spaces import Records, Space
from schemes.zhang2025.topology import LocalTopology, local_topology, whole_topology

Floats = npt.NDArray[np.float32]
Choices = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LocalCell:
    """An agent's cell.

    `view`: of the world. `devices`: its own; `neighbours`: those of each neighbour, by node index. `bounds` [F, 2]:
    lowest and highest value of the F numbers that are known of a device. `observe`: a measurement as the numbers of the
    own devices, O_k [E, devices, F]; `inputs`: numbers [..., F] as inputs of a network [..., inputs_per_device].
    `backlog`: the own queues at the end of the last slot together, -u_k of eq. (9), [E]. `choices`: among how many, of
    so many devices, each head of the policy chooses; `action`: its choices [E, heads] as an action. Devices that are
    not there may be chosen, as silence.
    """

    view: str
    devices: int
    neighbours: Mapping[int, int]
    bounds: npt.NDArray[np.float64]
    inputs_per_device: int
    observe: Callable[[Records], Floats]
    inputs: Callable[[Floats], Floats]
    backlog: Callable[[Records], Floats]
    choices: Callable[[int], tuple[int, ...]]
    action: Callable[[Choices], Records]


def local_cell(welcome: Welcome) -> LocalCell:
    """The cell of the agent whom the Welcome is for. ValueError where the world has no such cells."""
    return graph_cell(local_topology(welcome), welcome.action)


def local_cells(welcome: Welcome) -> list[LocalCell]:
    """All agents' cells, for the trainer. ValueError where the world has no such cells."""
    topology = whole_topology(welcome)
    return [graph_cell(topology.around(k), spaces.action) for k, spaces in enumerate(welcome.everyone)]


def graph_cell(topology: LocalTopology, space: Space) -> LocalCell:
    """An access point of the conflict graph: it knows zeta of each device (eq. 7), and gives each subband to one of
    them or to none. `space`: of its actions."""
    devices = len(topology.devices)

    def action(choices: Choices) -> Records:
        records = space.empty(len(choices))
        records["device"] = np.where(choices > devices, 0, choices)
        return records

    return LocalCell(
        view="queues",
        devices=devices,
        neighbours={other.agent: len(other.devices) for other in topology.neighbours},
        bounds=np.array([[0.0, 255.0]]),
        inputs_per_device=2,
        observe=lambda measured: measured["tasks"][..., None].astype(np.float32),
        inputs=_queue_inputs,
        backlog=lambda measured: measured["left"].sum(axis=-1, dtype=np.float32),
        choices=lambda of_devices: (of_devices + 1,) * topology.subbands,
        action=action,
    )


def _queue_inputs(tasks: Floats) -> Floats:
    """[..., 1] to [..., 2]: log2(1 + q) tells short queues apart, and values are about linear in q / 10."""
    return np.concatenate([np.log2(1 + tasks), tasks / 10], axis=-1)

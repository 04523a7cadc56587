"""What MAPPO needs to know of an agent's cell, whatever the world: devices, neighbours, observation, action."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocol.messages.spaces import Records

Floats = npt.NDArray[np.float32]
Choices = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LocalCell:
    """An agent's cell.

    `devices`: its own; `neighbours`: those of each neighbour, by node index. `bounds` [F, 2]: lowest and highest value
    of the F numbers that are known of a device. `observe`: a measurement as the numbers of the own devices, O_k
    [E, devices, F]; `inputs`: numbers [..., F] as inputs of a network [..., inputs_per_device]. `backlog`: the own
    queues at the end of the last slot together, -u_k of eq. (9), [E]. `choices`: among how many, of so many devices,
    each head of the policy chooses; `action`: its choices [E, heads] as an action. Devices that are not there may be
    chosen, as silence.
    """

    devices: int
    neighbours: Mapping[int, int]
    bounds: npt.NDArray[np.float64]
    inputs_per_device: int
    observe: Callable[[Records], Floats]
    inputs: Callable[[Floats], Floats]
    backlog: Callable[[Records], Floats]
    choices: Callable[[int], tuple[int, ...]]
    action: Callable[[Choices], Records]


def queue_first(numbers: Floats) -> Floats:
    """[..., F] to [..., F + 1]: of the first number, a queue's length, log2(1 + q), which tells short queues apart, and
    q / 10, in which values are about linear; the others as they are."""
    queue = numbers[..., :1]
    return np.concatenate([np.log2(1 + queue), queue / 10, numbers[..., 1:]], axis=-1)

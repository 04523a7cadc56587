"""What a node of the world traffic_cells knows of its cell or of the network, and an AP's action as one number."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from protocol.messages.node import Welcome
from protocol.messages.spaces import Records, Space
from schemes.parts.facts import static_facts

Integers = npt.NDArray[np.int64]

_MAX_CHOICES = 2**62


class NeighbourCell(Struct, frozen=True):
    """Another AP that may interfere strongly: its node index and the number of its devices."""

    agent: int
    devices: int


class LocalCells(Struct, frozen=True):
    """An AP's view; `powers_w` by level, ascending."""

    subbands: int
    packet_bits: int
    powers_w: tuple[float, ...]
    devices: int
    neighbours: tuple[NeighbourCell, ...]


class WholeCells(Struct, frozen=True, dict=True):
    """The BS/cloud's view: `agents` has the number of devices of each AP, `drop` how the places are drawn."""

    subbands: int
    packet_bits: int
    powers_w: tuple[float, ...]
    noise_w: float
    agents: tuple[int, ...]
    drop: str

    @cached_property
    def cell(self) -> Integers:
        """The AP of each device, [N], devices AP by AP."""
        return np.repeat(np.arange(len(self.agents)), self.agents)

    @cached_property
    def own(self) -> tuple[slice, ...]:
        """Each AP's devices."""
        ends = np.cumsum(self.agents).tolist()
        return tuple(slice(end - count, end) for end, count in zip(ends, self.agents, strict=True))


def local_cells(welcome: Welcome) -> LocalCells:
    """An AP's view. ValueError in another world than traffic_cells."""
    return static_facts(welcome, LocalCells, world="traffic_cells")


def whole_cells(welcome: Welcome) -> WholeCells:
    """The trainer's view. ValueError in another world than traffic_cells."""
    return static_facts(welcome, WholeCells, world="traffic_cells")


def packets_in(waiting_bits: Integers, packet_bits: int) -> Integers:
    """Packets that wait, the one that has gone in part included; any shape."""
    return -(-waiting_bits // packet_bits)


@dataclass(frozen=True)
class AllocationCode:
    """An AP's action as one number: on each subband silence, or one of `devices` at one of `levels` powers."""

    devices: int
    levels: int
    subbands: int

    def __post_init__(self) -> None:
        if self.choices > _MAX_CHOICES:
            raise ValueError(
                f"{self.devices} devices at {self.levels} powers on {self.subbands} subbands are more choices than a "
                "decision of the trainer can name: take fewer power_levels or subbands"
            )

    @property
    def choices(self) -> int:
        """How many actions there are."""
        return int(self._base**self.subbands)

    def encode(self, device: Integers, level: Integers) -> Integers:
        """[E] from the local index of the device, 0 for none, and the level, [E, H] each."""
        digits = np.where(device > 0, 1 + (device - 1) * self.levels + level, 0)
        return np.asarray(digits @ self._places)

    def action(self, choice: Integers, space: Space) -> Records:
        """The action, [E], of numbers [E]."""
        digits = choice[:, None] // self._places % self._base  # [E, H]
        action = space.empty(len(choice))
        device, level = np.divmod(digits - 1, self.levels)
        action["device"] = device + 1
        action["level"] = np.where(digits > 0, level, 0)
        return action

    @property
    def _base(self) -> int:
        return 1 + self.devices * self.levels

    @property
    def _places(self) -> Integers:
        return self._base ** np.arange(self.subbands, dtype=np.int64)

"""An access point of the world traffic_cells, as MAPPO sees it.

Of each device it knows what eq. (18) has: zeta, in packets, and of the slot before by subband the direct gain, the own
power, interference plus noise and the spectral efficiency. On each subband it chooses a device and a power, or none.
"""

from math import log10

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from protocol.messages.node import Welcome
from protocol.messages.spaces import Records, Space
from schemes.parts.facts import static_facts
from schemes.zhang2025.cells import NeighbourCell
from schemes.zhang2025.local_cell import Choices, Floats, LocalCell, queue_first

_MAX_DEVIATIONS = 8.0  # of a gain, in standard deviations
_POWER_SPAN_DB = 40.0  # below the largest power
_MAX_INR_DB = 100.0
_EFFICIENCY_BPS_HZ = 10.0  # about that of the SINR's cap


class Radio(Struct, frozen=True):
    """What an AP knows of the radio; `powers_w` by level, ascending; `gain_db`: mean and deviation of an own gain."""

    subbands: int
    packet_bits: int
    powers_w: tuple[float, ...]
    noise_w: float
    gain_db: tuple[float, float]


class _Around(Struct, frozen=True):
    devices: int
    neighbours: tuple[NeighbourCell, ...]


class _Everyone(Struct, frozen=True):
    agents: tuple[int, ...]
    neighbours: tuple[tuple[int, ...], ...]


def is_cellular(welcome: Welcome) -> bool:
    """Whether the world has powers to choose from."""
    return "powers_w" in welcome.static_info


def cellular_cell(welcome: Welcome) -> LocalCell:
    """The agent's own. ValueError in another world than traffic_cells."""
    around = static_facts(welcome, _Around, world="traffic_cells")
    neighbours = {other.agent: other.devices for other in around.neighbours}
    return _cell(_radio(welcome), around.devices, neighbours, welcome.action)


def cellular_cells(welcome: Welcome) -> list[LocalCell]:
    """All agents', for the trainer. ValueError in another world than traffic_cells."""
    radio, whole = _radio(welcome), static_facts(welcome, _Everyone, world="traffic_cells")
    return [
        _cell(radio, whole.agents[k], {j: whole.agents[j] for j in whole.neighbours[k]}, spaces.action)
        for k, spaces in enumerate(welcome.everyone)
    ]


def _radio(welcome: Welcome) -> Radio:
    return static_facts(welcome, Radio, world="traffic_cells")


def _cell(radio: Radio, devices: int, neighbours: dict[int, int], space: Space) -> LocalCell:
    levels = len(radio.powers_w)

    def action(choices: Choices) -> Records:
        records = space.empty(len(choices))
        device, level = np.divmod(choices - 1, levels)
        chosen = (choices > 0) & (device < devices)
        records["device"] = np.where(chosen, device + 1, 0)
        records["level"] = np.where(chosen, level, 0)
        return records

    def observe(measured: Records) -> Floats:
        return _numbers(measured, radio)

    return LocalCell(
        devices=devices,
        neighbours=neighbours,
        bounds=_bounds(radio.subbands),
        inputs_per_device=2 + 4 * radio.subbands,
        observe=observe,
        inputs=queue_first,
        backlog=lambda measured: (measured["left_bits"].sum(axis=-1) / radio.packet_bits).astype(np.float32),
        choices=lambda of_devices: (1 + of_devices * levels,) * radio.subbands,
        action=action,
    )


def _numbers(measured: Records, radio: Radio) -> Floats:
    """[E, devices, 1 + 4 H], each about 0 to 1 but for the queue and the interference, which is in tens of dB over the
    noise."""
    subbands, largest_w = radio.subbands, radio.powers_w[-1]
    numbers = np.empty((*measured["waiting_bits"].shape, 1 + 4 * subbands), np.float32)
    gain, power, inr, efficiency = (numbers[..., 1 + i * subbands : 1 + (i + 1) * subbands] for i in range(4))
    numbers[..., 0] = measured["waiting_bits"] / radio.packet_bits
    gain[:] = (measured["gain_db"] - radio.gain_db[0]) / radio.gain_db[1]
    np.maximum(measured["power_w"] / largest_w, 10 ** (-_POWER_SPAN_DB / 10), out=power)  # silence becomes 0
    power[:] = 1 + 10 / _POWER_SPAN_DB * np.log10(power)
    inr[:] = (measured["interference_dbm"] - 30 - 10 * log10(radio.noise_w)) / 10
    efficiency[:] = measured["efficiency_bps_hz"] / _EFFICIENCY_BPS_HZ
    np.minimum(np.maximum(gain, -_MAX_DEVIATIONS, out=gain), _MAX_DEVIATIONS, out=gain)
    np.maximum(inr, 0, out=inr)
    return numbers


def _bounds(subbands: int) -> npt.NDArray[np.float64]:
    """[1 + 4 H, 2]"""
    by_subband = [(-_MAX_DEVIATIONS, _MAX_DEVIATIONS), (0, 1), (0, _MAX_INR_DB / 10), (0, 2)]
    return np.array([(0, 255), *(bound for bound in by_subband for _ in range(subbands))], float)

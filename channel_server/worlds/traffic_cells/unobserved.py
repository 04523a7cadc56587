"""For the locality test: a state that differs in everything one AP cannot measure."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from channel_server.traffic.packets import PacketQueues
from channel_server.worlds.traffic_cells.physics import CellsState, Reception

_PACKETS = 9  # fewer than a ring of a queue holds
Flags = npt.NDArray[np.bool_]


def redraw(state: CellsState, other: CellsState, seen: Flags, view: str, rng: np.random.Generator) -> CellsState:
    """`other`, drawn for this purpose, with what the AP of the `seen` [N] devices measures of `state` put back."""
    own = seen & (view != "")
    fading = np.where(own & (view == "csi"), state.fading, other.fading) if state.fading.size else state.fading
    left_bits = rng.integers(0, 10**6, state.left_bits.shape)
    return CellsState(
        fading,
        _queues(state.queues, own, rng),
        rng.integers(0, _PACKETS, state.arrived.shape),
        np.where(own & (view != "csi"), state.left_bits, left_bits),
        _reception(state.last, other.last, own & (view == "local")),
    )


def _queues(queues: PacketQueues, seen: Flags, rng: np.random.Generator) -> PacketQueues:
    """Other packets in the queues that are not seen; in all queues other slots of arrival."""
    packets = np.where(seen, queues.packets, rng.integers(0, _PACKETS, queues.packets.shape))
    sent_bits = rng.integers(0, queues.packet_bits, queues.packets.shape) * (packets > 0)
    arrived = rng.integers(1, queues.slot + 1, queues.arrived.shape, np.int32)
    return replace(queues, arrived=arrived, packets=packets, sent_bits=np.where(seen, queues.sent_bits, sent_bits))


def _reception(last: Reception, other: Reception, seen: Flags) -> Reception:
    mixed: dict[str, Any] = {
        field.name: np.where(seen, getattr(last, field.name), getattr(other, field.name)) for field in fields(Reception)
    }
    return Reception(**mixed)

"""Received powers by channel, SINR and spectral efficiency. Vectorised over replicas E."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats

Indices = npt.NDArray[np.integer[Any]]


@cache
def _each(replicas: int, nodes: int) -> tuple[Indices, Indices]:
    """Indices [E, 1] and [n] of every node in every replica."""
    # cached, for numpy's own helpers build them anew at each call
    return np.arange(replicas)[:, None], np.arange(nodes)


def occupancy(channel: Indices, n_channels: int) -> Floats:
    """1 where a transmitter is on a channel: [E, n_tx] to [E, n_tx, K]. A negative channel is silence."""
    return np.asarray(channel[..., None] == np.arange(n_channels), np.float64)


def at_channel(values: Floats, channel: Indices) -> Floats:
    """Each node's value on its own channel: [E, n, K] and [E, n] to [E, n]; for a silent node that of channel 0."""
    return values[(*_each(*channel.shape), np.maximum(channel, 0))]


def received_w(gain: Floats, power_w: Floats, channel: Indices) -> Floats:
    """Power of each transmitter at each receiver, on the transmitter's own channel: [E, n_tx, n_rx].

    `gain`: [E, n_tx, K, n_rx], linear. `power_w`, `channel`: [E, n_tx]; a negative channel is silence.
    """
    on_channel = gain[(*_each(*channel.shape), np.maximum(channel, 0))]  # [E, n_tx, n_rx]
    return np.asarray(on_channel * np.where(channel >= 0, power_w, 0.0)[..., None])


def per_channel(received_w: Floats, occupied: Floats) -> Floats:
    """Received power summed by channel: [E, n_tx, n_rx] and occupancy [E, n_tx, K] to [E, n_rx, K], in W."""
    return np.asarray(received_w.swapaxes(1, 2) @ occupied)


def sinr(signal_w: Floats, interference_w: Floats, noise_w: float) -> Floats:
    """Signal over interference plus noise, all in W; linear, any shape."""
    return signal_w / (interference_w + noise_w)


def spectral_efficiency_bps_hz(sinr: Floats) -> Floats:
    """Shannon: log2(1 + sinr) in bit/s/Hz, sinr linear; any shape."""
    return np.asarray(np.log1p(sinr) / np.log(2.0))


def thermal_noise_w(density_dbm_hz: float, width_hz: float, figure_db: float) -> float:
    """Noise power in W of a receiver of this bandwidth and noise figure."""
    return float(10.0 ** ((density_dbm_hz + figure_db - 30.0) / 10.0) * width_hz)

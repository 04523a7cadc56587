"""Received powers and SINR against a slow loop and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_server.radio.sinr import (
    at_channel,
    occupancy,
    per_channel,
    received_w,
    sinr,
    spectral_efficiency_bps_hz,
    thermal_noise_w,
)


@given(e=st.integers(1, 3), tx=st.integers(1, 4), rx=st.integers(1, 4), k=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_power_by_channel_equals_a_slow_loop(e: int, tx: int, rx: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gain, power = rng.exponential(size=(e, tx, k, rx)), rng.exponential(size=(e, tx))
    channel = rng.integers(-1, k, (e, tx))
    slow = np.zeros((e, rx, k))
    for replica in range(e):
        for i in range(tx):
            c = channel[replica, i]
            if c >= 0:
                slow[replica, :, c] += gain[replica, i, c] * power[replica, i]
    fast = per_channel(received_w(gain, power, channel), occupancy(channel, k))
    np.testing.assert_allclose(fast, slow, rtol=1e-12)


@given(st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 1e3))
def test_more_interference_never_raises_a_rate(signal: float, interference: float, more: float) -> None:
    s, i = np.array(signal), np.array(interference)
    with_less, with_more = sinr(s, i, 1e-3), sinr(s, i + more, 1e-3)
    assert spectral_efficiency_bps_hz(with_more) <= spectral_efficiency_bps_hz(with_less)


def test_rates_by_hand() -> None:
    assert spectral_efficiency_bps_hz(np.array([0.0, 1.0, 3.0])) == pytest.approx([0.0, 1.0, 2.0])


def test_noise_of_one_resource_block() -> None:
    noise_dbm = 10 * np.log10(thermal_noise_w(-174.0, 180e3, 8.0)) + 30
    assert noise_dbm == pytest.approx(-174 + 52.55 + 8, abs=0.01)


def test_a_silent_node_reads_the_first_channel() -> None:
    values = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    assert at_channel(values, np.array([[1, -1]])).tolist() == [[2.0, 3.0]]

"""Rates of a downlink against a loop over khan2020's R."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_server.radio.downlink import rates_bps_hz, received_w


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 3))
def test_rates_are_those_of_a_loop(seed: int, cells: int, users: int) -> None:
    rng = np.random.default_rng(seed)
    gains = 10 ** rng.uniform(-3, 0, (2, cells, cells, users))
    power_w = rng.random((2, cells, users))
    rates = rates_bps_hz(gains, power_w, 0.01)
    for e, b, k in np.ndindex(2, cells, users):
        interference_w = 0.0
        for other_b, other_k in np.ndindex(cells, users):
            if (other_b, other_k) != (b, k):
                interference_w += float(power_w[e, other_b, other_k] * gains[e, other_b, b, k])
        slow = math.log2(1 + power_w[e, b, k] * gains[e, b, b, k] / (interference_w + 0.01))
        assert rates[e, b, k] == pytest.approx(slow, rel=1e-12)


def test_what_interferes_comes_from_both_inside_and_outside_the_cell() -> None:
    gains = np.array([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]])  # [1, tx, cell, user]
    signal_w, interference_w = received_w(gains, np.array([[[1.0, 10.0], [100.0, 1000.0]]]))
    assert signal_w.tolist() == [[[1.0, 20.0], [700.0, 8000.0]]]
    assert interference_w.tolist() == [[[10 + 5500, 2 + 6600], [7000 + 33, 800 + 44]]]


def test_a_single_user_has_no_interference_however_strong_its_signal() -> None:
    signal_w, interference_w = received_w(np.full((1, 1, 1, 1), 1e18), np.ones((1, 1, 1)))
    assert (signal_w.item(), interference_w.item()) == (1e18, 0.0)

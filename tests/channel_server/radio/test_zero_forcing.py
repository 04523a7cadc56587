"""Zero-forcing against the pseudo-inverse, and its costs against a loop over eq. (7)."""

import numpy as np
import pytest

from channel_server.radio import zero_forcing
from channel_server.radio.fading import Coefficients, draw_coefficients

CELLS, FREQUENCIES, ANTENNAS, USERS = 3, 2, 8, 4


def channels(seed: int) -> Coefficients:
    return draw_coefficients(np.random.default_rng(seed), (2, FREQUENCIES, CELLS, ANTENNAS, CELLS, USERS))


@pytest.mark.parametrize("users", [1, 4, 8])
def test_the_columns_are_those_of_the_pseudo_inverse(users: int) -> None:
    own = draw_coefficients(np.random.default_rng(1), (5, ANTENNAS, users))
    w = zero_forcing.beamformers(own)
    inverse = np.linalg.pinv(own).conj().swapaxes(-1, -2)  # H (H^H H)^-1
    np.testing.assert_allclose(w, inverse / np.linalg.norm(inverse, axis=-2, keepdims=True), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(w, axis=-2), 1.0)
    through = np.abs(w.conj().swapaxes(-1, -2) @ own)
    np.testing.assert_allclose(through * (1 - np.eye(users)), 0.0, atol=1e-9)


def test_nearly_parallel_users_are_still_separated() -> None:
    rng = np.random.default_rng(2)
    own = draw_coefficients(rng, (1, ANTENNAS, 1)) + 1e-9 * draw_coefficients(rng, (1, ANTENNAS, 2))
    through = np.abs(zero_forcing.beamformers(own).conj().swapaxes(-1, -2) @ own)[0]
    assert through[0, 1] < 1e-5 * through[1, 1]


def test_own_channels_lead_from_a_base_station_to_its_cell() -> None:
    h = channels(3)
    own = zero_forcing.own_channels(h)
    assert own.shape == (2, FREQUENCIES, CELLS, ANTENNAS, USERS)
    for b in range(CELLS):
        np.testing.assert_array_equal(own[:, :, b], h[:, :, b, :, b])


def test_costs_are_those_of_a_loop() -> None:
    """wong2021 eq. (7)."""
    h, rng = channels(4), np.random.default_rng(5)
    w = zero_forcing.beamformers(zero_forcing.own_channels(h))
    power_w = rng.random((2, FREQUENCIES, CELLS, USERS))
    gains = zero_forcing.gains(h, w)
    costs_w = zero_forcing.costs_w(gains, power_w, 0.5)
    for e, f, b, u in np.ndindex(costs_w.shape):
        interference_w = 0.5
        for other, v in np.ndindex(CELLS, USERS):
            if other != b:
                amplitude = np.vdot(w[e, f, other, :, v], h[e, f, other, :, b, u])
                interference_w += float(power_w[e, f, other, v] * abs(amplitude) ** 2)
        own = abs(np.vdot(w[e, f, b, :, u], h[e, f, b, :, b, u])) ** 2
        assert costs_w[e, f, b, u] == pytest.approx(interference_w / own, rel=1e-9)


def test_inside_a_cell_nothing_is_left() -> None:
    h = channels(6)
    gains = zero_forcing.gains(h, zero_forcing.beamformers(zero_forcing.own_channels(h)))
    inside = np.einsum("efbubv->efbuv", gains)
    np.testing.assert_allclose(inside * (1 - np.eye(USERS)), 0.0, atol=1e-20)
    assert (gains > 0).mean() > 0.9

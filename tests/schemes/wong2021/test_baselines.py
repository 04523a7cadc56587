"""SSWF and reuse-3 against the water-filling conditions, and the order of all schemes without learning."""

import numpy as np
import pytest

from channel_server.worlds.mumimo_cells import WORLD, MuMimoCells
from schemes.contract import Scheme
from schemes.ours import random
from schemes.wong2021 import flwf, reuse3, sswf
from tests.schemes.direct import Stage, play


@pytest.mark.parametrize(("scheme", "own"), [(sswf.SCHEME, 6), (reuse3.SCHEME, 2)])
def test_each_user_fills_its_channels_by_their_gains(scheme: Scheme, own: int) -> None:
    params = MuMimoCells(snr_db=-15.0)  # few channels are worth their noise
    it = Stage(WORLD.build(params, seed=2, replicas=3), scheme, replicas=3)
    it.play_slot()
    power, cost = it.state.power, 1 / np.einsum("efbubu->ebuf", it.state.gain)
    allowed = np.ones((3, 6), bool) if own == 6 else np.arange(6) % 3 == np.arange(3)[:, None]
    allowed = np.broadcast_to(allowed[None, :, None], power.shape)
    np.testing.assert_allclose(power.sum(axis=-1), params.mean_power, rtol=1e-5)
    used = power > 0
    assert (used <= allowed).all()
    level = np.where(used, power + cost, 0).max(axis=-1, keepdims=True)
    np.testing.assert_allclose(np.where(used, power + cost, level), np.broadcast_to(level, power.shape), rtol=1e-5)
    assert (cost >= level * (1 - 1e-5))[allowed & ~used].all()
    assert (allowed & ~used).any()


def test_reuse_leaves_no_interference() -> None:
    it = Stage(WORLD.build(MuMimoCells(), seed=1, replicas=2), reuse3.SCHEME, replicas=2)
    it.play_slot()
    used = it.state.power.sum(axis=2) > 0  # [E, B, F]
    assert (used.sum(axis=1) == 1).all()


def test_reuse_needs_three_channels() -> None:
    with pytest.raises(ValueError, match="at least 3 channels and the world has 2"):
        Stage(WORLD.build(MuMimoCells(channels=2), seed=1, replicas=1), reuse3.SCHEME)


def test_the_order_of_the_schemes() -> None:
    """wong2021 fig. 5: FLWF far above SSWF, which is little above random; reuse-3 is at FLWF's level or above."""
    means = {
        scheme.card.name: play(WORLD, MuMimoCells(), scheme, slots=5, replicas=4)["cell_rate_bps_hz"]
        for scheme in (sswf.SCHEME, random.SCHEME, flwf.SCHEME, reuse3.SCHEME)
    }
    assert means["wong2021/reuse3"] > means["wong2021/flwf"] > 3 * means["wong2021/sswf"]
    assert means["ours/random"] == pytest.approx(means["wong2021/sswf"], rel=0.1)

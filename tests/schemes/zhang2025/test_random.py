"""Random scheduling on the conflict graph: each agent gives each subband to one of its devices or to none."""

from pathlib import Path

import numpy as np
import pytest

from schemes.ours.random import SCHEME
from tests.schemes.zhang2025.stages import stage_of, uneven


def test_every_choice_is_as_likely(tmp_path: Path) -> None:
    stage = stage_of(SCHEME, world=uneven(tmp_path), replicas=4000)
    stage.play_slot()
    for action, space in zip(stage.actions, stage.world.actions, strict=True):
        n_own = space.fields[0].high or 0
        shares = np.bincount(action["device"].ravel()) / action["device"].size
        np.testing.assert_allclose(shares, 1 / (n_own + 1), atol=0.015)


def test_it_sends_nothing_and_one_third_succeeds() -> None:
    stage = stage_of(SCHEME, replicas=64)
    for _ in range(50):
        stage.play_slot()
    assert not stage.note_bytes
    assert stage.means()["success_ratio"] == pytest.approx(1 / 3, rel=0.03)

"""Uniform actions in any world, and what an action without bounds gives."""

import numpy as np
import pytest

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from protocol.messages.spaces import Field, Space
from schemes.ours.random import SCHEME
from tests.schemes.direct import Stage, welcome_for


def test_every_choice_is_drawn_equally_often() -> None:
    stage = Stage(WORLD.build(D2DUnderlay(pairs=2, rbs=3), seed=1, replicas=100), SCHEME, replicas=100)
    counts = np.zeros(4)
    for _ in range(30):
        stage.play_slot()
        counts += np.bincount(stage.actions[0]["rb"] + 1, minlength=4)
    assert counts.sum() == 3000
    assert (abs(counts - 750) < 5 * np.sqrt(750)).all()  # silence, -1, is a choice as well


def test_floats_lie_between_their_bounds() -> None:
    space = Space((Field("power", "f4", (2,), "W", 0.5, 2.0),))
    drawn = space.sample(np.random.default_rng(1), 1000)
    assert space.holds(drawn)
    assert abs(drawn["power"].mean() - 1.25) < 0.05


def test_an_action_without_bounds_is_rejected() -> None:
    world = WORLD.build(D2DUnderlay(pairs=2, rbs=3), seed=1, replicas=1)
    world.actions = [Space((Field("power", "f4", low=0),))] * 2
    with pytest.raises(ValueError, match="pair-0's action has none for power: give these fields low and high"):
        SCHEME.node(welcome_for(world, SCHEME, 0), None)
    with pytest.raises(ValueError, match="the field power has no bounds"):
        world.actions[0].sample(np.random.default_rng(1), 1)

"""The world keeps every rule of airtoll, and its physics does what it promises."""

import numpy as np

from airtoll.templates.my_world import MyWorldParams, build
from airtoll.testing import check_world


def test_the_world_passes_every_kit() -> None:
    check_world("my_world")


def test_a_node_alone_on_a_channel_gets_through_and_two_collide() -> None:
    world = build(MyWorldParams(nodes=3, channels=2, load=1.0), seed=1, replicas=1)
    actions = [world.silent(node) for node in range(3)]
    for action, channel in zip(actions, (1, 1, 2), strict=True):
        action["channel"] = channel
    state, outcome = world.transmit(world.begin(world.reset(), 0), actions)
    np.testing.assert_array_equal(outcome.rewards[:, 0], [0, 0, 1])
    np.testing.assert_array_equal(state.backlog[0], [1, 1, 0])

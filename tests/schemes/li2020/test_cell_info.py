"""The static information of li2020's cell, and the standardised observations."""

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from schemes.li2020 import random
from schemes.li2020.cell_info import ActionTable, Standardiser, cell_info
from tests.schemes.direct import welcome_for


def test_another_world_is_rejected_with_a_suggestion() -> None:
    world = WORLD.build(D2DUnderlay(), seed=1, replicas=1)
    foreign = replace(welcome_for(world, random.SCHEME, 0), static_info={"queues": 3})
    with pytest.raises(ValueError, match="runs in the world d2d_underlay"):
        cell_info(foreign)


def test_agents_and_cloud_read_the_same_static_information() -> None:
    world = WORLD.build(D2DUnderlay(pairs=4, power_levels=2), seed=1, replicas=1)
    cell = cell_info(welcome_for(world, random.SCHEME, 0))
    assert cell == cell_info(welcome_for(world, random.SCHEME, 4))
    assert cell.n_actions == 20
    assert cell.d2d_powers_w[1] == pytest.approx(cell.d2d_powers_w[0] / 10**0.6)


def test_a_choice_is_an_rb_and_a_level() -> None:
    world = WORLD.build(D2DUnderlay(rbs=10, power_levels=2), seed=1, replicas=3)
    records = ActionTable(cell_info(welcome_for(world, random.SCHEME, 0)), world.actions[0])(np.array([7, 17, -1]))
    assert records["rb"].tolist() == [7, 7, -1]
    assert records["power"].tolist() == [0, 1, 0]


@pytest.mark.parametrize(("observation", "inputs"), [("per_rb", 40), ("compact", 13)])
def test_standardised_observations_are_of_order_one(observation: Any, inputs: int) -> None:
    world = WORLD.build(D2DUnderlay(observation=observation, pairs=30), seed=1, replicas=50)
    rng = np.random.default_rng(1)
    state, _ = world.transmit(world.begin(world.reset(), 0), [world.random(n, rng) for n in range(30)])
    cell = cell_info(welcome_for(world, random.SCHEME, 0, replicas=50))
    standardise = Standardiser(cell, world.views["observation"][0])
    x = np.concatenate([standardise(seen) for seen in world.measure(world.begin(state, 1), "observation")])
    assert x.shape == (30 * 50, inputs) == (1500, standardise.inputs)
    assert x.dtype == np.float32
    assert np.abs(x[:, :10].mean()) < 0.3
    assert 0.7 < x[:, :10].std() < 1.3
    if observation == "per_rb":
        np.testing.assert_array_equal(x[:, 30:].sum(axis=1), 1)


@pytest.mark.parametrize("observation", ["per_rb", "compact"])
def test_inputs_of_a_choice_are_those_of_its_rb(observation: Any) -> None:
    """Changing what is measured on RB k alone changes the inputs of the choices on RB k and of no other."""
    world = WORLD.build(D2DUnderlay(observation=observation, pairs=3, rbs=4, power_levels=2), seed=1, replicas=1)
    cell = cell_info(welcome_for(world, random.SCHEME, 0))
    standardise = Standardiser(cell, world.views["observation"][0])
    [seen, *_] = world.measure(world.begin(world.reset(), 0), "observation")
    before, per_rb = standardise(seen), [name for name in cell.typical_db if seen[name].ndim == 2]
    assert len(standardise.of_choice) == len(per_rb) + (observation == "per_rb")  # and the RB of the slot before
    for rb in range(4):
        changed = seen.copy()
        for name in per_rb:
            changed[name][:, rb] += 10
        moved = (standardise(changed) != before)[0, list(standardise.of_choice)][: len(per_rb)]  # [G, A]
        np.testing.assert_array_equal(moved, np.broadcast_to(np.arange(8) % 4 == rb, moved.shape))

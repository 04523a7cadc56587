"""MAPPO in the cellular network: what an AP knows of its devices, and its action."""

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from channel_server.worlds.traffic_cells import WORLD, Cells, CellsState, TrafficCells
from protocol.accounting.trace import TraceField
from protocol.messages.node import NodeSpaces
from schemes.parts.rollout import Rollout
from schemes.zhang2025.cellular_cell import cellular_cell, cellular_cells
from schemes.zhang2025.local_cell import LocalCell
from schemes.zhang2025.mappo import SCHEME
from tests.recording import plan_for, stepping
from tests.schemes.direct import Stage, welcome_for

SMALL = TrafficCells(rings=1, drop="random", drop_seed=3, load_packets_s=40.0)
TINY: dict[str, Any] = {"recurrent_units": 4, "hidden": [8], "upload_every_slots": 20, "rows_per_iteration": 100_000}


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(WORLD.build(SMALL, seed=1, replicas=2), SCHEME, seed=1, replicas=2)


def _world(stage: Stage) -> Cells:
    assert isinstance(stage.world, Cells)
    return stage.world


def _cells(stage: Stage) -> list[LocalCell]:
    return [cellular_cell(welcome_for(stage.world, SCHEME, node)) for node in range(stage.n_agents)]


def test_an_ap_knows_what_eq_18_has(stage: Stage) -> None:
    world = _world(stage)
    for _ in range(5):
        stage.play_slot()
    state = world.begin(stage.state, stage.slot)
    assert isinstance(state, CellsState)
    for cell, own, measured in zip(_cells(stage), world.drop.own, world.measure(state, "local"), strict=True):
        numbers = cell.observe(measured)
        assert numbers.shape == (2, own.stop - own.start, 13)
        np.testing.assert_allclose(numbers[..., 0], state.queues.waiting_bits[:, own] / SMALL.packet_bits, rtol=1e-6)
        gain, power, interference, efficiency = np.split(numbers[..., 1:], 4, axis=-1)  # [E, devices, H] each
        last = [part[:, :, own].swapaxes(1, 2) for part in (state.last.power_w, state.last.interference_w)]
        np.testing.assert_array_equal(power > 0, last[0] > 0)
        np.testing.assert_allclose(interference, np.log10(last[1] / world.budget.noise_w), atol=1e-5)
        np.testing.assert_allclose(efficiency, state.last.efficiency[:, :, own].swapaxes(1, 2) / 10, rtol=1e-6)
        assert abs(gain.mean()) < 3
        assert ((numbers >= cell.bounds[:, 0]) & (numbers <= cell.bounds[:, 1])).all()


def test_a_choice_is_a_device_and_a_power_and_a_dummy_is_silence(stage: Stage) -> None:
    for cell in _cells(stage):
        heads = cell.choices(cell.devices + 1)
        assert heads == (1 + 6 * (cell.devices + 1),) * 3
        last = 6 * cell.devices
        action = cell.action(np.array([[0, 1, 6], [last, last + 1, last + 6]]))
        assert action["device"].tolist() == [[0, 1, 1], [cell.devices, 0, 0]]
        assert action["level"].tolist() == [[0, 0, 5], [5, 0, 0]]


def test_the_trainer_knows_each_cell(stage: Stage) -> None:
    spaces = [NodeSpaces({}, action) for action in stage.world.actions]
    welcome = replace(welcome_for(stage.world, SCHEME, stage.n_agents), everyone=spaces)
    for mine, theirs in zip(_cells(stage), cellular_cells(welcome), strict=True):
        assert (mine.devices, dict(mine.neighbours)) == (theirs.devices, dict(theirs.neighbours))


def test_the_rows_hold_the_rewards_of_the_network() -> None:
    world = {"name": "traffic_cells", "rings": 1, "drop": "random", "drop_seed": 3, "load_packets_s": 40}
    phases = {"warmup": 0, "train": 20, "eval": 5}
    plan = plan_for("zhang2025/mappo", world, slots=None, phases=phases, params=TINY, record={"values": True})
    loopback, steps, run = stepping(plan)
    for _ in steps:
        pass
    nodes = [session.node for peer, session in loopback.sessions.items() if peer.startswith(b"ap")]
    for node, policy in enumerate([node.policy for node in nodes if node is not None]):
        [saved] = policy.snapshot()["local_trainer"]["learner"]["rollouts"]
        paid = [np.frombuffer(v[4], "<f8") for v in run.values if v[2] == node and v[3] == TraceField.REWARD]
        np.testing.assert_allclose(Rollout(**saved).rewards[:, :, 0], np.array(paid)[:20], rtol=1e-5)

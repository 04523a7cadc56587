"""GMS: the schedule by hand, and the published delays."""

from pathlib import Path

import numpy as np
import pytest

from channel_server.worlds.conflict_graph import ConflictGraphParams
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.kinds import Kind
from schemes.contract import NO_OUTPUT
from schemes.parts.solvers.greedy import maximal_set
from schemes.zhang2025.gms import SCHEME, Drops, GmsParams, dropped_by
from schemes.zhang2025.topology import WholeTopology
from tests.schemes.zhang2025.stages import delay_slots, graph_of, stage_of, state_of, turn_of, uneven

CHAIN = WholeTopology(subbands=1, agents=((1,), (2,), (3,)), conflicts=((1, 2), (2, 3)))


def scheduled(tasks: list[int], drops: Drops) -> list[int]:
    chosen = maximal_set(np.array([tasks]), dropped_by(CHAIN, drops), np.random.default_rng(0))
    return [n + 1 for n in range(3) if chosen[0, n]]


@pytest.mark.parametrize(
    ("tasks", "in_neighbours", "both"),
    [
        ([3, 2, 1], [1, 2, 3], [1, 3]),  # nobody spoils 1; 2 and 3 are spoiled by those chosen before
        ([1, 3, 2], [2, 3], [2]),  # 2 drops 1, which spoils it, and spoils 3
        ([1, 2, 3], [1, 3], [1, 3]),  # 3 drops 2, which spoils it
        ([0, 0, 1], [3], [3]),
        ([0, 0, 0], [], []),
    ],
)
def test_the_schedule_by_hand(tasks: list[int], in_neighbours: list[int], both: list[int]) -> None:
    assert scheduled(tasks, "in_neighbours") == in_neighbours
    assert scheduled(tasks, "both") == both


def test_ties_fall_evenly() -> None:
    pair = WholeTopology(subbands=1, agents=((1, 2),), conflicts=())
    chosen = maximal_set(np.full((4000, 2), 7), dropped_by(pair, "both"), np.random.default_rng(0))
    assert (chosen.sum(1) == 1).all()  # two devices of one agent exclude each other
    assert chosen[:, 0].mean() == pytest.approx(0.5, abs=0.03)


# zhang2025 fig. 8 and the two readings of IV-B; 25,600 slots each
@pytest.mark.parametrize(
    ("drops", "load", "expected_slots"),
    [
        ("in_neighbours", 0.3, 1.81),
        ("in_neighbours", 0.4, 2.03),
        ("in_neighbours", 0.5, 2.33),
        ("both", 0.3, 1.73),
        ("both", 0.4, 1.92),
        ("both", 0.5, 2.16),
    ],
)
def test_published_mean_delays(drops: Drops, load: float, expected_slots: float) -> None:
    measured = delay_slots(SCHEME, load, GmsParams(drops), slots=400, replicas=64)
    assert measured == pytest.approx(expected_slots, rel=0.03)


def test_every_device_with_tasks_is_scheduled_or_has_a_reason(tmp_path: Path) -> None:
    stage = stage_of(SCHEME, GmsParams("both"), world=uneven(tmp_path), replicas=8)
    graph = graph_of(stage)
    excluded = graph.spoils | graph.spoils.T
    for own in graph.own:
        excluded[own, own] = True
    for _ in range(30):
        stage.play_slot()
        active = state_of(stage).active[:, :, 0]
        left_out = (state_of(stage).left > 0) & ~active
        assert ((active @ excluded) | ~left_out).all()  # maximal
    assert stage.means()["success_ratio"] == 1.0


def test_the_notes_are_those_of_the_card() -> None:
    stage = stage_of(SCHEME)
    for _ in range(10):
        stage.play_slot()
    assert dict(stage.note_bytes) == {Kind.CSI: 160, Kind.DECISION: 40}
    assert dict(stage.payload_bits) == {Kind.CSI: 1280, Kind.DECISION: 80}


def test_the_cloud_keeps_the_newest_queues() -> None:
    stage = stage_of(SCHEME, replicas=2)
    for _ in range(5):
        stage.play_slot()
    cloud = stage.policies[-1]
    saved = unpack(pack(cloud.snapshot()))
    again = stage_of(SCHEME, replicas=2).policies[-1]
    again.restore(saved)
    assert pack(again.snapshot()) == pack(saved)
    again.restart(np.ones(2, bool))
    assert (len(again.snapshot()["notes"]), len(saved["notes"])) == (0, 4)


def test_an_agent_without_a_decision_keeps_its_last_one() -> None:
    stage = stage_of(SCHEME, world=ConflictGraphParams(load=2.0))
    for _ in range(3):
        stage.play_slot()
    act = stage.choreography.turns[2]
    for node, policy in enumerate(stage.policies[:-1]):
        assert policy.on_turn(turn_of(stage, node, 2, act)).action == stage.actions[node]
        policy.restart(np.ones(1, bool))
        assert policy.on_turn(turn_of(stage, node, 2, act)) == NO_OUTPUT
    assert any(action["device"].any() for action in stage.actions)

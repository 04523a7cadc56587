"""LLQ: small cases by hand, its delays, its bytes."""

from pathlib import Path

import numpy as np
import pytest

from protocol.determinism.snapshots import pack, unpack
from protocol.messages.kinds import Kind
from schemes.zhang2025.llq import SCHEME, longest_queues
from tests.schemes.zhang2025.stages import delay_slots, graph_of, stage_of, state_of, uneven

RIVALS = np.array([[0, 1, 1, 0], [1, 0, 0, 1]], bool)  # two own devices and one neighbour of each; own ones conflict


def up(tasks: list[int], replicas: int = 1) -> np.typing.NDArray[np.int64]:
    return longest_queues(np.tile(tasks, (replicas, 1)), RIVALS, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([3, 1, 2, 9], 1),  # the 9 is no rival of the first
        ([3, 4, 2, 3], 2),
        ([3, 1, 4, 0], 0),
        ([0, 0, 0, 0], 0),
        ([1, 0, 0, 0], 1),
    ],
)
def test_the_longest_is_up(tasks: list[int], expected: int) -> None:
    assert up(tasks).tolist() == [expected]


def test_a_tie_of_two_is_a_fair_coin() -> None:
    shares = np.bincount(up([2, 1, 2, 0], 8000), minlength=3) / 8000
    np.testing.assert_allclose(shares, [0.5, 0.5, 0.0], atol=0.02)


def test_own_devices_in_a_tie_of_three_draw_by_themselves_and_share() -> None:
    """Each wins with 1/3; both with 1/9, of which each gets half."""
    shares = np.bincount(up([2, 2, 2, 2], 20_000), minlength=3) / 20_000
    np.testing.assert_allclose(shares, [4 / 9, 5 / 18, 5 / 18], atol=0.015)


# fig. 8: about 2.6, 3.1, and 6 to 8; 32,000 slots each
@pytest.mark.parametrize(("load", "low", "high"), [(0.3, 2.5, 2.7), (0.4, 3.0, 3.3), (0.5, 6.0, 8.0)])
def test_published_mean_delays(load: float, low: float, high: float) -> None:
    assert low < delay_slots(SCHEME, load, slots=1000, replicas=32) < high


def test_a_device_transmits_only_as_the_longest_queue_and_always_as_the_only_longest(tmp_path: Path) -> None:
    for world in (None, uneven(tmp_path)):
        stage = stage_of(SCHEME, world=world, replicas=8)
        graph = graph_of(stage)
        rivals = graph.spoils | graph.spoils.T
        for _ in range(30):
            zeta = stage.world.begin(stage.state, stage.slot).queues.lengths  # [E, N]
            stage.play_slot()
            active = state_of(stage).active  # [E, N, H]
            around = np.where(rivals, zeta[:, None, :], -1).max(2)
            assert (active == active[:, :, :1]).all()  # one draw for all subbands
            assert ((zeta >= around) & (zeta > 0))[active[:, :, 0]].all()
            agent_on_air = np.stack([active[:, own, 0].any(1) for own in graph.own], 1)  # [E, K]
            alone_longest = np.stack([((zeta > around) & (zeta > 0))[:, own].any(1) for own in graph.own], 1)
            assert agent_on_air[alone_longest].all()


def test_the_notes_are_those_of_the_card() -> None:
    stage = stage_of(SCHEME)
    for _ in range(10):
        stage.play_slot()
    assert dict(stage.note_bytes) == {Kind.NEIGHBOUR: 160}


def test_neighbours_queues_are_kept_until_their_next_note() -> None:
    stage = stage_of(SCHEME, replicas=2)
    for _ in range(5):
        stage.play_slot()
    for policy in stage.policies:
        saved = unpack(pack(policy.snapshot()))
        assert len(saved["sense"]) == 2
        policy.restart(np.array([True, False]))
        assert pack(policy.snapshot()) == pack(saved)
        policy.restart(np.array([True, True]))
        assert policy.snapshot() == {"sense": []}
        policy.restore(saved)
        assert pack(policy.snapshot()) == pack(saved)

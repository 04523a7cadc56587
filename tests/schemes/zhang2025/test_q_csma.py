"""Q-CSMA: independent sets, the contention against a slow loop, its delays, its notes."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from channel_server.worlds.conflict_graph import ConflictGraphParams
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.node import ReceivedNote
from schemes.zhang2025.q_csma import SCHEME, QCsmaParams
from tests.schemes.direct import Stage
from tests.schemes.zhang2025.stages import delay_slots, graph_of, stage_of, state_of, turn_of, uneven


def exclusive(stage: Stage) -> np.typing.NDArray[np.bool_]:
    """Pairs of devices that must not be active together, [N, N]: conflicts and own ones."""
    graph = graph_of(stage)
    pairs: np.typing.NDArray[np.bool_] = graph.spoils | graph.spoils.T
    for own in graph.own:
        pairs[own, own] = True
    return pairs & ~np.eye(len(pairs), dtype=bool)


@pytest.mark.parametrize("replicas", [1, 9])
def test_schedules_are_independent_sets_of_devices_with_tasks(tmp_path: Path, replicas: int) -> None:
    for world in (ConflictGraphParams(load=0.5), uneven(tmp_path)):
        stage = stage_of(SCHEME, QCsmaParams(window=4), world=world, replicas=replicas)
        pairs = exclusive(stage)
        for _ in range(60):
            stage.play_slot()
            active = state_of(stage).active.astype(int)  # [E, N, H]
            assert not (active * (pairs.astype(int) @ active)).any()
        assert stage.means()["success_ratio"] == 1.0
        assert stage.means()["transmissions"] > 1


def slow_winners(backoff: np.typing.NDArray[np.int16], pairs: np.typing.NDArray[np.bool_], window: int) -> set[int]:
    """Who decides, for one replica and subband: backoffs [N], mini-slot by mini-slot."""
    rivals = [set(np.flatnonzero(row).tolist()) for row in pairs]
    sent: dict[int, int] = {}
    for w in range(window):
        ready = [n for n in range(len(backoff)) if backoff[n] == w and not rivals[n] & sent.keys()]
        sent.update(dict.fromkeys(ready, w))
    return {n for n, w in sent.items() if not any(sent.get(i) == w for i in rivals[n])}


@pytest.mark.parametrize("window", [1, 2, 5, 16])
def test_contention_is_that_of_a_slow_loop(window: int) -> None:
    stage = stage_of(SCHEME, QCsmaParams(window), world=ConflictGraphParams(load=1.5), replicas=5)
    pairs, winners = exclusive(stage), 0
    for _ in range(10):
        stage.play_slot()
        states = [policy.snapshot() for policy in stage.policies]
        backoff = np.concatenate([state["backoff"] for state in states], 1)  # [E, N, H]
        earliest = np.concatenate([state["earliest"] for state in states], 1)
        for e in range(5):
            for h in range(3):
                chosen = set(np.flatnonzero(backoff[e, :, h] < earliest[e, :, h]).tolist())
                assert chosen == slow_winners(backoff[e, :, h], pairs, window)
                winners += len(chosen)
    assert (winners > 0) == (window > 1)  # in one mini-slot all collide


# fig. 8 has about 2.5 at 0.3; the card's table, 12,800 slots each from empty queues
@pytest.mark.parametrize(("window", "load", "expected_slots"), [(16, 0.3, 2.43), (16, 0.5, 5.2), (4, 0.3, 2.97)])
def test_the_cards_mean_delays(window: int, load: float, expected_slots: float) -> None:
    measured = delay_slots(SCHEME, load, QCsmaParams(window), slots=200, replicas=64)
    assert measured == pytest.approx(expected_slots, rel=0.05)


def test_each_intent_is_a_note_on_the_air() -> None:
    stage = stage_of(SCHEME, QCsmaParams(window=1), world=ConflictGraphParams(load=50.0))
    turn = turn_of(stage, 0, 0, stage.choreography.turns[0])
    notes = stage.policies[0].on_turn(turn).notes
    assert [note.body for note in notes] == [bytes([device, 0, h]) for device in (1, 2) for h in range(3)]
    assert {(note.kind, note.link, note.payload_bits) for note in notes} == {(Kind.CONTROL, LinkClass.SIDELINK, 5)}


def test_an_intent_of_an_earlier_slot_is_ignored() -> None:
    stage = stage_of(SCHEME, world=ConflictGraphParams(load=50.0))
    stage.play_slot()
    turn = turn_of(stage, 0, 15, stage.choreography.turns[1])
    late = ReceivedNote(1, Kind.CONTROL, stage.slot - 1, 0, bytes([3, 0, 0]))
    stage.policies[0].on_turn(turn._replace(inbox=[late]))
    assert (stage.policies[0].snapshot()["earliest"] == 16).all()
    stage.policies[0].on_turn(turn._replace(inbox=[msgspec.structs.replace(late, slot=stage.slot)]))
    assert (stage.policies[0].snapshot()["earliest"][0, :, 0] == 0).all()


def test_a_chosen_device_waits_for_its_agents_other_one(tmp_path: Path) -> None:
    """Devices 1 and 2 of the agent are not in conflict, but a subband carries one of them."""
    stage = stage_of(SCHEME, world=uneven(tmp_path))
    policy, turn = stage.policies[2], turn_of(stage, 2, 16, stage.choreography.turns[-1])
    turn.measurement["tasks"] = 10_000
    turn.measurement["active"][:, 1] = 1
    state = policy.snapshot()
    state["backoff"][:, 0] = 3  # device 1 has won its mini-slot
    policy.restore(state)
    action = policy.on_turn(turn).action
    assert action is not None
    assert (action["device"] == 2).all()


def test_an_empty_queue_releases_its_subband() -> None:
    stage = stage_of(SCHEME, world=ConflictGraphParams(load=0.0))
    stage.play_slot()
    assert not state_of(stage).active.any()
    assert not stage.note_bytes


def test_a_snapshot_between_mini_slots_continues() -> None:
    one, two = (stage_of(SCHEME, QCsmaParams(6), replicas=3) for _ in range(2))
    for _ in range(3):
        one.play_slot()
        two.play_slot()
        for policy in two.policies:
            kept = unpack(pack(policy.snapshot()))
            policy.restart(np.ones(3, bool))
            policy.restore(kept)
    states = [[pack(policy.snapshot()) for policy in stage.policies] for stage in (one, two)]
    assert states[0] == states[1]
    assert (state_of(one).active == state_of(two).active).all()


def test_an_agent_that_misses_the_first_mini_slot_does_not_contend_and_keeps_its_action() -> None:
    stage = stage_of(SCHEME, QCsmaParams(4), world=ConflictGraphParams(load=50.0))
    for _ in range(10):
        stage.play_slot()
    exchange, act = stage.choreography.turns[1:]
    for node, policy in enumerate(stage.policies):
        assert (policy.snapshot()["backoff"] < 4).all()  # of the slot before
        for turn in (1, 2, 3):
            assert not policy.on_turn(turn_of(stage, node, turn, exchange)).notes
        assert policy.on_turn(turn_of(stage, node, 4, act)).action == stage.actions[node]

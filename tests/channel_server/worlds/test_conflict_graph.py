"""The conflict graph world: eq. (3)-(10) against slow loops, and what a node may measure."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_server.worlds.conflict_graph import WORLD, ConflictGraph, ConflictGraphParams, GraphState, build
from channel_server.worlds.contract import SlotOutcome
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.spaces import Records

UNEVEN = "agents: {a: [10, 3], b: [7], c: [1, 2, 5]}\nconflicts: {10: [3, 7], 7: [3, 1], 5: [7], 2: [5]}\n"


def uneven(tmp_path: Path, **more: Any) -> ConflictGraphParams:
    path = tmp_path / "uneven.yaml"
    path.write_text(UNEVEN, "utf-8")
    return ConflictGraphParams(graph=str(path), **more)


def actions_of(world: ConflictGraph, devices: list[list[int]]) -> list[Records]:
    """Actions of one replica: `devices[k]` local indices per subband."""
    actions = [world.silent(k) for k in range(len(world.agents))]
    for action, device in zip(actions, devices, strict=True):
        action["device"] = device
    return actions


def sparse(world: ConflictGraph, *position: int) -> list[Records]:
    """Random actions with some subbands left free: in fig. 2 no device succeeds if every agent transmits."""
    actions = []
    for k in range(len(world.agents)):
        rng = np.random.default_rng([*position, k])
        action = world.random(k, rng)
        action["device"] *= rng.random(action["device"].shape) < 0.5
        actions.append(action)
    return actions


def play(world: ConflictGraph, slots: int, seed: int = 0) -> tuple[GraphState, list[SlotOutcome]]:
    """Some slots of random actions."""
    state, outcomes = world.reset(), []
    for t in range(slots):
        state = world.begin(state, t)
        state, outcome = world.transmit(state, sparse(world, seed, t))
        outcomes.append(outcome)
    return state, outcomes


def ratio(world: ConflictGraph, outcome: SlotOutcome, name: str) -> float:
    i = [metric.name for metric in world.metrics].index(name)
    return float(outcome.sums[i] / outcome.counts[i])


def total(world: ConflictGraph, outcomes: list[SlotOutcome], name: str) -> float:
    i = [metric.name for metric in world.metrics].index(name)
    return float(sum(outcome.sums[i] for outcome in outcomes))


def device_lists(subbands: int) -> st.SearchStrategy[list[list[int]]]:
    return st.lists(st.lists(st.integers(0, 2), min_size=subbands, max_size=subbands), min_size=4, max_size=4)


@given(device_lists(3))
def test_collisions_are_those_of_a_slow_loop(devices: list[list[int]]) -> None:
    world = build(ConflictGraphParams(), seed=1, replicas=1)
    state, _ = world.transmit(world.begin(world.reset(), 0), actions_of(world, devices))
    for h in range(3):
        scheduled = {2 * k + own[h] for k, own in enumerate(devices) if own[h]}  # global ids
        for n in range(1, 9):
            spoiled = any((i, n) in world.graph.conflicts for i in scheduled)
            assert state.active[0, n - 1, h] == (n in scheduled)
            assert state.succeeded[0, n - 1, h] == (n in scheduled and not spoiled)


def test_a_one_way_conflict_fails_one_side() -> None:
    world = build(ConflictGraphParams(), seed=1, replicas=1)
    state, outcome = world.transmit(world.reset(), actions_of(world, [[1, 0, 0], [1, 0, 0], [0] * 3, [0] * 3]))
    assert np.argwhere(state.succeeded[0]).tolist() == [[0, 0]]  # 1 -> 3, but not 3 -> 1
    assert ratio(world, outcome, "success_ratio") == 0.5


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_queues_follow_eq_4_and_no_task_is_lost(seed: int) -> None:
    world = build(ConflictGraphParams(load=0.5), seed=seed, replicas=2)
    state, before = world.reset(), np.zeros((2, 8), np.int64)
    arrived, served = 0.0, 0.0
    for t in range(20):
        state = world.begin(state, t)
        zeta = state.queues.lengths
        state, outcome = world.transmit(state, sparse(world, seed, t))
        before = np.maximum(0, zeta - state.succeeded.sum(2))
        np.testing.assert_array_equal(state.left, before)
        arrived += total(world, [outcome], "arrived_tasks")
        served += total(world, [outcome], "served_tasks")
        assert arrived == served + before.sum()
    assert served > 0


def test_rewards_are_the_neighbourhoods_queues() -> None:
    world = build(ConflictGraphParams(load=2.0), seed=5, replicas=3)
    state, outcomes = play(world, 5)
    q = state.left
    own = [q[:, 2 * k : 2 * k + 2].sum(1) for k in range(4)]
    np.testing.assert_array_equal(outcomes[-1].rewards[0], -(own[0] + own[1] + own[3]))  # the paper's example
    np.testing.assert_array_equal(outcomes[-1].rewards[2], -(own[2] + own[1] + own[3]))


def test_the_delay_counts_the_slot_of_arrival() -> None:
    world = build(ConflictGraphParams(load=3.0, subbands=16), seed=1, replicas=1)
    everyone = actions_of(world, [[1] * 8 + [2] * 8] + [[0] * 16] * 3)  # only ap1 transmits and serves all its tasks
    _, outcome = world.transmit(world.begin(world.reset(), 0), everyone)
    assert ratio(world, outcome, "served_tasks") > 0
    assert ratio(world, outcome, "delay_slots") == ratio(world, outcome, "delay_1_slot") == 1.0


def test_the_shares_of_delays_grow_to_one() -> None:
    world = build(ConflictGraphParams(), seed=1, replicas=16)
    _, outcomes = play(world, 40)
    shares = [total(world, outcomes, f"delay_{d}_slot{'s' * (d > 1)}") for d in (1, 2, 3, 5, 10, 20)]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] <= total(world, outcomes, "served_tasks")


def test_traffic_does_not_depend_on_actions() -> None:
    world = build(ConflictGraphParams(), seed=1, replicas=2)
    busy, _ = play(world, 5, seed=1)
    other, _ = play(world, 5, seed=2)
    arrivals = [world.begin(state, 5).queues.by_age[..., 0] for state in (busy, other, world.reset())]
    np.testing.assert_array_equal(arrivals[0], arrivals[1])
    np.testing.assert_array_equal(arrivals[0], arrivals[2])


def test_batched_is_each_replica_by_itself() -> None:
    """The first replica of many meets the same traffic, and the others do not touch it."""
    one, many = (build(ConflictGraphParams(load=0.4), seed=9, replicas=e) for e in (1, 5))
    state_one, state_many = one.reset(), many.reset()
    for t in range(30):
        state_one, state_many = one.begin(state_one, t), many.begin(state_many, t)
        actions = sparse(many, t)
        state_one, alone = one.transmit(state_one, [action[:1] for action in actions])
        state_many, together = many.transmit(state_many, actions)
        np.testing.assert_array_equal(alone.rewards[:, 0], together.rewards[:, 0])
        np.testing.assert_array_equal(state_one.queues.lengths[0], state_many.queues.lengths[0])


def test_a_new_episode_begins_at_empty_queues_and_leaves_the_last_reward_readable() -> None:
    world = build(ConflictGraphParams(load=5.0), seed=1, replicas=2)
    state, _ = play(world, 3)
    after, both = world.begin(state, 3, np.array([True, False])), world.begin(state, 3)
    arrived = both.queues.lengths - state.queues.lengths
    np.testing.assert_array_equal(after.queues.lengths, [arrived[0], both.queues.lengths[1]])
    np.testing.assert_array_equal(after.left, state.left)
    np.testing.assert_array_equal(after.succeeded, state.succeeded)


def test_agents_of_different_size(tmp_path: Path) -> None:
    world = build(uneven(tmp_path), seed=1, replicas=2)
    assert [space.fields[0].high for space in world.actions] == [2, 1, 3]
    assert [r["tasks"].shape for r in world.measure(world.reset(), "queues")] == [(2, 2), (2, 1), (2, 3)]
    state, outcomes = play(world, 10)
    assert outcomes[-1].rewards.shape == (3, 2)
    assert state.active.shape == (2, 6, 3)
    assert world.neighbours(state) == ((1,), (0, 2), (1,))


def test_the_carrier_view_shows_the_last_slots_activity() -> None:
    world = build(ConflictGraphParams(), seed=1, replicas=1)
    state, _ = world.transmit(world.reset(), actions_of(world, [[1, 0, 0], [0] * 3, [0, 0, 2], [0] * 3]))
    seen = world.measure(world.begin(state, 1), "carrier")
    assert seen[0]["active"][0].tolist() == [[1, 0, 0], [0, 0, 0]]
    assert seen[0]["busy"][0].tolist() == [[0, 0, 0], [1, 0, 0]]  # 2 is in conflict with 1; no other was near
    assert seen[1]["busy"][0].tolist() == [[1, 0, 0], [0, 0, 1]]  # 1 -> 3, 6 -> 4
    assert seen[3]["busy"][0].tolist() == [[1, 0, 1], [1, 0, 1]]  # 7 and 8 with 1 and with 6


def test_a_node_can_compute_its_own_part_of_the_reward() -> None:
    world = build(ConflictGraphParams(load=0.8), seed=1, replicas=2)
    state, _ = play(world, 6)
    for record, own in zip(world.measure(world.begin(state, 6), "queues"), world.graph.own, strict=True):
        np.testing.assert_array_equal(record["left"], state.left[:, own])
        np.testing.assert_array_equal(record["succeeded"], state.succeeded[:, own])


@pytest.mark.parametrize("view", ["queues", "carrier"])
def test_resampling_what_a_node_cannot_measure_keeps_its_measurement(view: str) -> None:
    world = build(ConflictGraphParams(load=0.8), seed=1, replicas=3)
    state, _ = play(world, 8)
    for node in range(4):
        redrawn = world.resample_unobserved(state, view, node, np.random.default_rng(node))
        before, after = world.measure(state, view), world.measure(redrawn, view)
        assert before[node].tobytes() == after[node].tobytes()
        assert all(before[k].tobytes() != after[k].tobytes() for k in range(4) if k != node)


def test_a_restored_snapshot_continues() -> None:
    world = build(ConflictGraphParams(load=0.8), seed=1, replicas=2)
    state, _ = play(world, 5)
    again = world.restore(unpack(pack(world.snapshot(state))))
    (one, a), (two, b) = (world.transmit(world.begin(s, 5), sparse(world, 5)) for s in (state, again))
    np.testing.assert_array_equal(a.rewards, b.rewards)
    assert pack(world.snapshot(one)) == pack(world.snapshot(two))


def test_static_information_is_local_for_an_agent_and_global_for_the_cloud() -> None:
    world = build(ConflictGraphParams(), seed=1, replicas=1)
    assert world.static_info(0) == {
        "subbands": 3,
        "n_devices": 8,
        "devices": [1, 2],
        "spoils": [[2, 3, 8], [1, 3, 8]],
        "spoiled_by": [[2, 7, 8], [1, 3, 4]],
        "neighbours": [{"agent": 1, "devices": [3, 4]}, {"agent": 3, "devices": [7, 8]}],
    }
    assert world.static_info(4)["agents"] == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert len(world.static_info(4)["conflicts"]) == 24


def test_silence_and_the_random_fallback_fit_the_action_space(tmp_path: Path) -> None:
    world = build(uneven(tmp_path, subbands=2), seed=1, replicas=4)
    for k, space in enumerate(world.actions):
        radiating = world.random(k, np.random.default_rng(k))
        assert space.checker(4)(radiating.tobytes())
        assert space.checker(4)(world.silent(k).tobytes())
        assert (radiating["device"] > 0).all()
        assert not world.silent(k)["device"].any()


def test_unsupported_calls_raise() -> None:
    world = build(ConflictGraphParams(), seed=1, replicas=1)
    with pytest.raises(NotImplementedError, match="no probing"):
        world.probe(world.reset(), [])
    for unknown in (lambda: world.measure(world.reset(), "gains"), lambda: world.report(world.reset(), "sinr")):
        with pytest.raises(KeyError):
            unknown()


def test_the_entry_builds_its_world_from_defaults() -> None:
    world = WORLD.build(WORLD.params(), seed=1, replicas=1)
    assert world.agents == ("ap1", "ap2", "ap3", "ap4")
    assert len(world.metrics) == len(play(build(ConflictGraphParams(), seed=1, replicas=1), 1)[1][0].sums)


def test_the_map_shows_queues_and_successes() -> None:
    world = build(ConflictGraphParams(load=2.0), seed=1, replicas=1)
    state = world.begin(world.reset(), 0)
    state, _ = world.transmit(state, actions_of(world, [[1, 0, 2], [1, 0, 0], [0] * 3, [0] * 3]))
    shown = world.render(state)
    assert shown.table is not None
    rows = {device: (agent, queue, active, succeeded) for device, agent, queue, active, succeeded in shown.table.rows}
    left = state.left[0].tolist()
    assert rows[1] == ("ap1", left[0], "0", "0")
    assert rows[2] == ("ap1", left[1], "2", "2")
    assert rows[3] == ("ap2", left[2], "0", "none")  # 1 -> 3
    assert rows[8] == ("ap4", left[7], "none", "none")
    assert [bar.share for bar in shown.bars] == [tasks / max(left) for tasks in left]
    markers = [(point.resource, point.hollow) for point in shown.points if point.shape == "marker"]
    assert markers == [(0, False), (2, False), (0, True)]
    place = {point.label: (point.x, point.y) for point in shown.points if point.label}
    one_way = [line for line in shown.lines if line.heads == "end"]
    drawn = {((line.x1, line.y1), (line.x2, line.y2)) for line in one_way}
    directed = {(i, n) for i, n in world.graph.conflicts if (n, i) not in world.graph.conflicts}
    assert drawn == {(place[str(i)], place[str(n)]) for i, n in directed}
    assert all(-shown.right <= x <= shown.right and -shown.top <= y <= shown.top for x, y in place.values())

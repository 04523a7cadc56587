"""Episodes that end in one replica alone: what the nodes learn of it, and what stays the same in the others."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from channel_server.episodes import Episodes
from channel_server.worlds.conflict_graph import WORLD, ConflictGraphParams
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.episodes import TERMINATED, TRUNCATED
from tests.recording import in_process, plan_for

OVERLOADED = {"name": "conflict_graph", "load": 2.0, "queue_bound": 5}
NODES, REPLICAS = 3, 4
ENDS = st.lists(st.sampled_from([0, 0, TERMINATED, TRUNCATED]), min_size=REPLICAS, max_size=REPLICAS)


@given(st.lists(st.tuples(st.none() | ENDS, st.booleans(), st.sets(st.integers(0, NODES - 1))), max_size=12))
def test_every_node_learns_of_every_end_once(slots: list[tuple[list[int] | None, bool, set[int]]]) -> None:
    """Against a list of what each node has not read; the state is saved and restored between the slots."""
    episodes = Episodes(NODES, REPLICAS)
    unread: dict[int, list[Any]] = {node: [] for node in range(NODES)}
    for ended, truncate, asked in slots:
        given_ends = None if ended is None else np.array(ended, np.uint8)
        expected = [end or (TRUNCATED if truncate else 0) for end in ended or [0] * REPLICAS]
        ends = episodes.slot_done(given_ends, truncate=truncate)
        assert (ends is None) == (not any(expected))
        assert (episodes.restart is None) == (ends is None)
        if ends is not None:
            assert ends.tolist() == expected
            for node in unread:
                unread[node].append(expected)
        continued = Episodes(NODES, REPLICAS)
        continued.restore(unpack(pack(episodes.snapshot())))
        episodes = continued
        for node in asked:
            newest = [next((end for end in reversed(column) if end), 0) for column in zip(*unread[node], strict=True)]
            assert list(episodes.take(node)) == newest
            assert episodes.take(node) == b""
            unread[node].clear()


def test_a_replica_whose_episode_ends_leaves_the_others_as_they_are() -> None:
    world = WORLD.build(ConflictGraphParams(load=2.0, queue_bound=5), seed=3, replicas=4)
    endless = WORLD.build(ConflictGraphParams(load=2.0), seed=3, replicas=4)
    actions = [world.silent(node) for node in range(len(world.agents))]
    state, other = world.reset(), endless.reset()
    restart, ended_ever = None, np.zeros(4, bool)
    for slot in range(8):
        state, other = world.begin(state, slot, restart), endless.begin(other, slot)
        state, outcome = world.transmit(state, actions)
        other, _ = endless.transmit(other, actions)
        untouched = ~ended_ever
        np.testing.assert_array_equal(state.queues.lengths[untouched], other.queues.lengths[untouched])
        assert outcome.ended is not None
        np.testing.assert_array_equal(outcome.ended > 0, (state.queues.lengths > 5).any(axis=1))
        restart = outcome.ended > 0
        ended_ever |= restart
    assert ended_ever.any()


def test_runs_in_which_the_world_ends_episodes_have_bounded_queues() -> None:
    recording = in_process(plan_for("ours/random", OVERLOADED, slots=400, replicas=3))
    queue_tasks = [window.sums["queue_tasks"] / window.counts["queue_tasks"] for window in recording.windows]
    assert max(queue_tasks) < 6
    assert recording.ended is not None
    assert recording.ended.state == "SUCCEEDED"

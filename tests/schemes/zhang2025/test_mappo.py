"""MAPPO: what an agent knows, earns and sends; its learner, on the node and at the trainer, reads what the node did."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airtoll.testing import check_scheme
from channel_server.worlds.conflict_graph import WORLD, ConflictGraphParams
from controller.config.errors import ConfigError
from protocol.accounting.trace import TraceField
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote
from schemes.parts.actor import Actor
from schemes.parts.nn.on_policy import OnPolicyLearner
from schemes.parts.rollout import Rollout
from schemes.zhang2025.graph_cell import graph_cell
from schemes.zhang2025.mappo import SCHEME
from schemes.zhang2025.mappo_networks import Mappo
from schemes.zhang2025.neighbourhood import Neighbourhood, Padded
from schemes.zhang2025.topology import LocalTopology, local_topology, whole_topology
from tests.plain_toll import grouped, plain_toll
from tests.recording import Recording, plan_for, stepping
from tests.schemes.direct import welcome_for
from tests.schemes.zhang2025.stages import stage_of, uneven

VIEWS = WORLD.build(ConflictGraphParams(), seed=1, replicas=1).views
TINY: dict[str, Any] = {
    "recurrent_units": 4,
    "hidden": [8],
    "epochs": 2,
    "upload_every_slots": 10,
    "rows_per_iteration": 10,
}
PLACES: dict[str, dict[str, Any]] = {
    "node": {"learns_at": "node"},
    "trainer": {"learns_at": "trainer"},
    "shared": {"policies": "shared", "learns_at": "trainer"},
}


def _played(params: dict[str, Any], **settings: Any) -> tuple[Recording, list[Actor]]:
    """A run with trace and its agents."""
    chosen: dict[str, Any] = {"phases": {"warmup": 0, "train": 45, "eval": 15}, "slots": None} | settings
    plan = plan_for("zhang2025/mappo", params=TINY | params, record={"values": True}, **chosen)
    loopback, steps, recording = stepping(plan)
    for _ in steps:
        pass
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.reason) == ("SUCCEEDED", "")
    nodes = [session.node for peer, session in loopback.sessions.items() if peer.startswith(b"ap")]
    return recording, [node.policy for node in nodes if node is not None and isinstance(node.policy, Actor)]


def test_learning_on_the_node_and_at_the_trainer_is_the_same_bit_for_bit() -> None:
    (ours, here), (theirs, there) = (_played(PLACES[place]) for place in ("node", "trainer"))
    assert len(here) == len(there) == 4
    for a, b in zip(here, there, strict=True):
        assert a.net is not None
        assert b.net is not None
        assert a.policy_version == b.policy_version == 4
        for name, weight in a.net.weights.items():
            np.testing.assert_array_equal(weight, b.net.weights[name])
    chosen = [[(v[0], v[2], v[4]) for v in run.values if v[3] == TraceField.ACTION] for run in (ours, theirs)]
    assert chosen[0] == chosen[1]
    books = [grouped(run.air, lambda row: row.kind) for run in (ours, theirs)]
    assert set(books[0]) == {Kind.NEIGHBOUR}
    assert set(books[1]) == {Kind.NEIGHBOUR, Kind.HISTORY, Kind.WEIGHTS, Kind.ACK}
    assert plain_toll(books[0][Kind.NEIGHBOUR]) == plain_toll(books[1][Kind.NEIGHBOUR])


def test_a_shared_policy_has_the_same_weights_everywhere_and_separate_ones_differ() -> None:
    for place, equal in (("shared", True), ("trainer", False)):
        _, agents = _played(PLACES[place])
        first, second = agents[0].net, agents[1].net
        assert first is not None
        assert second is not None
        assert all(np.array_equal(w, second.weights[name]) for name, w in first.weights.items()) is equal


@pytest.mark.parametrize("place", ["trainer", "shared"])
def test_both_laws_at_the_trainer_too(place: str) -> None:
    """On the node they are tested with every scheme."""
    params = TINY | PLACES[place] | {"upload_every_slots": 3, "rows_per_iteration": 3}
    check_scheme("zhang2025/mappo", params=params, slots=20)


def test_a_shared_policy_that_learns_on_a_node_is_rejected() -> None:
    with pytest.raises(ConfigError, match="learns_at"):
        plan_for("zhang2025/mappo", params={"policies": "shared"})


def test_a_shared_policy_needs_inputs_for_the_largest_cell(tmp_path: Path) -> None:
    world = uneven(tmp_path)
    given = {"name": "conflict_graph", "graph": world.graph}
    with pytest.raises(ConfigError, match=r"scheme\.max_devices to 3 or more and scheme\.max_neighbours to 2 or more"):
        plan_for("zhang2025/mappo", given, params=PLACES["shared"])
    with pytest.raises(ConfigError, match=r"set scheme\.max_neighbours and scheme\.max_devices"):
        plan_for("zhang2025/mappo", given, params=PLACES["shared"] | {"max_devices": 2})
    plan_for("zhang2025/mappo", given, params=PLACES["shared"] | {"max_devices": 3, "max_neighbours": 2})


def test_the_trainer_knows_of_each_agent_what_the_agent_knows(tmp_path: Path) -> None:
    for world in (None, uneven(tmp_path)):
        stage = stage_of(SCHEME, world=world)
        whole = whole_topology(welcome_for(stage.world, SCHEME, stage.n_agents))
        for node in range(stage.n_agents):
            assert _sets(whole.around(node)) == _sets(local_topology(welcome_for(stage.world, SCHEME, node)))


def _sets(topology: LocalTopology) -> Any:
    conflicts = [[set(row) for row in rows] for rows in (topology.spoils, topology.spoiled_by)]
    return (topology.subbands, topology.n_devices, topology.devices, topology.neighbours, conflicts)


WAITING: dict[str, Any] = {"rows_per_iteration": 100_000}  # so that the rows can be looked at
SHORT: dict[str, Any] = {"name": "conflict_graph", "load": 1.5, "queue_bound": 6}


def _learner(agent: Actor) -> OnPolicyLearner:
    """On the node."""
    assert agent._local_trainer is not None
    learner = agent._local_trainer.learner
    assert isinstance(learner, OnPolicyLearner)
    return learner


def _rollouts(agent: Actor) -> list[Rollout]:
    """Rows that wait to be learnt from."""
    return [Rollout(**saved) for saved in _learner(agent).save()["rollouts"]]


def test_the_rows_hold_the_rewards_of_eq_10_also_where_an_episode_ends() -> None:
    run, agents = _played(WAITING, world=SHORT, replicas=3)
    cut = 0
    for node, agent in enumerate(agents):
        paid = [np.frombuffer(v[4], "<f8") for v in run.values if v[2] == node and v[3] == TraceField.REWARD]
        rollouts = _rollouts(agent)
        rewards = np.concatenate([rollout.rewards[:, :, 0] for rollout in rollouts])  # [T, E]
        assert len(rewards) == 45
        np.testing.assert_array_equal(rewards, np.array(paid)[:45])
        assert all(rollout.valid is not None and rollout.valid.all() for rollout in rollouts)
        cut += sum(int(rollout.truncated.sum()) for rollout in rollouts)
    assert cut > 10


@pytest.mark.parametrize(
    ("notes", "slots", "around"),
    [("on", 1, [0, 1, 2, 3, 6, 7]), ("int8", 1, [0, 1, 2, 3, 6, 7]), ("on", 3, [0, 1]), ("off", 1, [0, 1])],
)
def test_the_rows_hold_the_queues_of_eq_8(notes: str, slots: int, around: list[int]) -> None:
    """Of an agent that exchanges every 3 slots only its own queues are those of the slot."""
    run, agents = _played(WAITING | {"neighbour_notes": notes, "exchange_every_slots": slots}, replicas=2)
    space = VIEWS["queues"]
    measured = [v for v in run.values if v[3] == TraceField.MEASUREMENT]
    last_turn = max(v[1] for v in measured)
    zeta = np.concatenate(  # [T, E, N]
        [
            np.stack([space[n].decode(v[4])["tasks"] for v in measured if v[1] == last_turn and v[2] == n])
            for n in range(4)
        ],
        axis=2,
    )
    states = np.concatenate([rollout.states[:, :, 0] for rollout in _rollouts(agents[0])])  # [T, E, inputs]
    expected = np.stack([np.log2(1 + zeta), zeta / 10], axis=3)[:45, :, around].reshape(45, 2, -1)
    np.testing.assert_allclose(states[..., : expected.shape[2]], expected, rtol=1e-5)


@pytest.mark.parametrize("recurrent", ["lstm", "gru", "none"])
def test_the_learner_computes_the_log_probabilities_that_the_node_had(recurrent: str) -> None:
    """Also in the second history of a policy version, which begins with what the node carried, and across episodes."""
    params = {"recurrent": recurrent, "upload_every_slots": 8, "rows_per_iteration": 30, "policy_rate": 0.05}
    _, agents = _played(params, world=SHORT, replicas=2)
    for agent in agents:
        learner = _learner(agent)
        rollouts = [rollout for rollout in _rollouts(agent) if rollout.newest_version == agent.policy_version]
        assert agent.policy_version > 1
        assert len(rollouts) > 1
        for rollout in rollouts:
            nets = learner.improvement.nets
            sequences = nets.sequences(rollout, discount=0.9, trace_decay=0.9, slots=4)
            ours, theirs, counts = nets.log_probs(sequences), sequences.log_probs, sequences.valid > 0
            np.testing.assert_allclose(ours[counts].detach(), theirs[counts], atol=1e-5)


def test_the_notes_are_those_of_the_card() -> None:
    run, _ = _played({})
    sizes = {(row.slot < 46, row.note_bytes) for row in run.air if row.kind == Kind.NEIGHBOUR}
    assert sizes == {(True, 8), (False, 4)}  # the first slot of evaluation completes the last row of training
    run, _ = _played({"neighbour_notes": "int8", "exchange_every_slots": 5})
    notes = [row for row in run.air if row.kind == Kind.NEIGHBOUR]
    assert {(row.slot % 5, row.note_bytes) for row in notes} == {(0, 6), (0, 2)}


def test_a_row_whose_reward_needs_a_lost_note_is_not_valid() -> None:
    """With `max_age_slots` 0; else the neighbour's last backlog stands for it."""
    lossy = {"signalling": {"all": {"loss": 0.3}}}
    for age, all_valid in ((0, False), (None, True)):
        _, agents = _played(WAITING | {"max_age_slots": age}, **lossy)
        flags = [rollout.valid for rollout in _rollouts(agents[0])]
        valid = np.concatenate([f for f in flags if f is not None])[5:]
        assert valid.all() == all_valid
        assert valid.any()


def test_notes_that_no_neighbour_can_have_sent_are_not_read() -> None:
    stage = stage_of(SCHEME, replicas=2)
    agent = stage.policies[0]
    assert isinstance(agent, Actor)
    neighbourhood = agent._sense
    assert isinstance(neighbourhood, Neighbourhood)
    numbers = np.ones((2, 2), "<f2").tobytes()
    fitting = numbers + np.array([3, 4], "<f4").tobytes()
    assert neighbourhood.read(ReceivedNote(1, Kind.NEIGHBOUR, 0, 0, fitting)).numbers.shape == (2, 2, 1)
    for body in (b"", numbers[:-1], np.full((2, 2), -1, "<f2").tobytes(), np.full((2, 2), np.nan, "<f2").tobytes()):
        with pytest.raises(ValueError, match=r"bytes; expected|not finite"):
            neighbourhood.read(ReceivedNote(1, Kind.NEIGHBOUR, 0, 0, body))
    for backlog in (-1, 1e6, np.nan):
        body = numbers + np.array([0, backlog], "<f4").tobytes()
        with pytest.raises(ValueError, match="a backlog is not within 0 to 100000"):
            neighbourhood.read(ReceivedNote(1, Kind.NEIGHBOUR, 0, 0, body))


def test_a_dummy_device_is_silence_and_has_no_queue() -> None:
    stage = stage_of(SCHEME, replicas=2)
    [cell, *_] = [graph_cell(welcome_for(stage.world, SCHEME, node)) for node in range(4)]
    assert cell.action(np.array([[0, 1, 2], [3, 4, 1]]))["device"].tolist() == [[0, 1, 2], [0, 0, 1]]
    padded = Padded(cell, Mappo(max_devices=3, max_neighbours=3))
    record = padded.space.empty(1)
    record["numbers"] = 1
    assert padded(record).reshape(4, 3, 2)[..., 0].tolist() == [[1, 1, 0]] * 3 + [[0, 0, 0]]

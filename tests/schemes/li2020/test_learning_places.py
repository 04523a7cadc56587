"""Independent learners on the node and at the trainer: the same weights, actions and rewards; only the books differ."""

from typing import Any

import numpy as np
import pytest

from protocol.accounting.trace import TraceField
from protocol.messages.kinds import Kind
from schemes.parts.actor import Actor
from tests.plain_toll import grouped, plain_toll
from tests.recording import Recording, plan_for, stepping

PHASES = {"warmup": 40, "train": 70, "eval": 20}
PARAMS: dict[str, Any] = {"hidden": [16, 8], "batch": 16, "upload_every_slots": 1, "push_every_slots": 1}


def _run(learns_at: str, scheme: str = "li2020/dqn", **changed: Any) -> tuple[Recording, list[Actor]]:
    params = (PARAMS | changed if scheme == "li2020/dqn" else changed) | {"learns_at": learns_at}
    plan = plan_for(scheme, phases=PHASES, slots=None, params=params, record={"values": True})
    loopback, steps, recording = stepping(plan)
    for _ in steps:
        pass
    nodes = [session.node for peer, session in loopback.sessions.items() if peer.startswith(b"pair")]
    return recording, [node.policy for node in nodes if node is not None and isinstance(node.policy, Actor)]


@pytest.fixture(scope="module")
def both() -> tuple[tuple[Recording, list[Actor]], tuple[Recording, list[Actor]]]:
    return _run("node"), _run("trainer")


def test_the_same_weights_bit_for_bit(both: Any) -> None:
    (_, here), (_, there) = both
    assert len(here) == len(there) == 4
    for a, b in zip(here, there, strict=True):
        assert a.net is not None
        assert b.net is not None
        assert a.policy_version == b.policy_version == 70
        for name, weight in a.net.weights.items():
            np.testing.assert_array_equal(weight, b.net.weights[name])


@pytest.mark.parametrize(
    ("scheme", "params"),
    [
        ("li2020/q_learning", {}),
        ("li2020/q_learning", {"history": "float16"}),
        ("li2020/ac", {"hidden": [16, 8], "upload_every_slots": 5, "rows_per_iteration": 5}),
    ],
)
def test_other_learners_too(scheme: str, params: dict[str, Any]) -> None:
    (ours, here), (theirs, there) = (_run(place, scheme, **params) for place in ("node", "trainer"))
    for a, b in zip(here, there, strict=True):
        assert a.net is not None
        assert b.net is not None
        assert a.policy_version == b.policy_version > 10
        for name, weight in a.net.weights.items():
            np.testing.assert_array_equal(weight, b.net.weights[name])
    assert _chosen(ours) == _chosen(theirs)


def _chosen(run: Recording) -> list[Any]:
    return [(slot, node, value) for slot, _, node, kind, value in run.values if kind == TraceField.ACTION]


def test_the_same_actions_and_rewards(both: Any) -> None:
    (here, _), (there, _) = both
    for field in (TraceField.ACTION, TraceField.REWARD):
        ours, theirs = (
            [(slot, node, value) for slot, _, node, kind, value in run.values if kind == field] for run in (here, there)
        )
        assert ours == theirs


def test_only_the_books_differ(both: Any) -> None:
    (here, _), (there, _) = both
    ours, theirs = (grouped(run.air, lambda row: row.kind) for run in (here, there))
    assert set(ours) == {Kind.FEEDBACK}
    assert set(theirs) == {Kind.FEEDBACK, Kind.HISTORY, Kind.WEIGHTS, Kind.ACK}
    assert plain_toll(ours[Kind.FEEDBACK]) == plain_toll(theirs[Kind.FEEDBACK])


def test_both_count_their_updates_over_the_run(both: Any) -> None:
    counted = []
    for (run, _), name in zip(both, ("pair-0", "trainer"), strict=True):
        counted.append({s.slot: s.scalars["updates"] for s in run.scalars if s.node == name and "updates" in s.scalars})
    here, there = counted
    assert here.items() <= there.items()
    assert here == {40: 1, 100: 61}


def test_pairs_report_the_policy_version_they_act_by(both: Any) -> None:
    (here, _), (there, _) = both
    assert _policy_versions(here, "pair-0") == {40: 1, 100: 61}  # its own count, every 100 slots
    assert _policy_versions(there, "pair-0") == {
        slot + 1: version for slot, version in _policy_versions(there, "trainer").items()
    }
    assert max(_policy_versions(there, "pair-0").values()) == 70


def _policy_versions(run: Recording, node: str) -> dict[int, float]:
    """By slot, as reported by a node."""
    reported = [s for s in run.scalars if s.node == node and "policy_version" in s.scalars]
    return {s.slot: s.scalars["policy_version"] for s in reported}

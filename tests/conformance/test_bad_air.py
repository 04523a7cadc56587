"""Every scheme runs on when notes are lost, late, repeated or reordered: no fault, no action outside its space."""

from collections.abc import Iterator

import pytest
from msgspec import structs

from controller.trainer import LearningTrainer
from protocol.messages.plan import RunPlan
from protocol.messages.signalling import SignallingPlan
from schemes.parts.actor import Actor
from schemes.parts.history import JointTrajectory
from schemes.parts.joiner import Joiner
from tests.bad_air import BadAir
from tests.conformance.homes import home_plan, homes
from tests.recording import in_process, stepping


def _resending(plan: RunPlan, slots: int) -> RunPlan:
    return structs.replace(plan, signalling=SignallingPlan(resend_after_slots=slots))


@pytest.mark.parametrize("loss", [0.2, 1.0])
@homes
def test_every_scheme_runs_to_its_end(scheme: str, world: str, loss: float, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _resending(home_plan(scheme, world, slots=80), 3)
    air = BadAir(1, loss=loss).impair(monkeypatch)
    recording = in_process(plan)
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.dropped, recording.events) == ("SUCCEEDED", {}, [])
    assert air.lost or not recording.air


@homes
def test_every_scheme_runs_over_episodes_with_replicas(
    scheme: str, world: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _resending(home_plan(scheme, world, slots=60, replicas=2, episode_slots=15), 3)
    BadAir(2).impair(monkeypatch)
    recording = in_process(plan)
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.dropped, recording.events) == ("SUCCEEDED", {}, [])


def test_resent_histories_complete_every_slot_of_training_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slots, take = list[int](), Joiner.take

    def recorded(joiner: Joiner) -> Iterator[JointTrajectory]:
        for joint in take(joiner):
            slots.extend(range(joint.first_slot, joint.first_slot + len(joint.rewards)))
            yield joint

    monkeypatch.setattr(Joiner, "take", recorded)
    air = BadAir(3, loss=0.3).impair(monkeypatch)
    plan = _resending(home_plan("li2020/maac", "d2d_underlay", slots=200), 6)
    params = plan.scheme_params | {"feedback_timeout_slots": 10}
    loopback, steps, _ = stepping(structs.replace(plan, scheme_params=params))
    for _ in steps:
        pass
    assert air.reordered
    assert sorted(slots) == list(range(140))  # warmup and train
    assert slots != sorted(slots)
    nodes = [session.node for session in loopback.sessions.values() if session.node is not None]
    for node in nodes:
        match node.policy:
            case Actor():
                assert node.policy.policy_version > 1
            case LearningTrainer():
                assert node.policy.snapshot()["parts"]["join"]["joiners"][0]["rows"] == [[]] * 4
            case other:
                raise AssertionError(other)

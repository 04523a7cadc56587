"""Who is started again, and how often."""

from controller.execution.restarts import RestartPolicy
from protocol.messages.plan import LossPlan, OnLoss
from protocol.messages.telemetry import Event


def _policy(on_loss: OnLoss, trainer: OnLoss | None = None) -> RestartPolicy:
    return RestartPolicy(LossPlan(on_loss, "hold", 10.0, 600.0, trainer, max_restarts=2))


def test_restarts_of_a_node_are_limited() -> None:
    policy = _policy("restart")
    assert [policy.may_restart("pair-0", begun=True) for _ in range(3)] == [True, True, False]
    assert policy.may_restart("pair-1", begun=True)


def test_with_rollback_a_node_is_restarted_only_before_the_first_slot() -> None:
    policy = _policy("fallback", trainer="rollback")
    assert [policy.may_restart("trainer", begun=begun) for begun in (True, False)] == [False, True]
    assert not policy.may_restart("pair-0", begun=False)


def test_a_lost_node_is_distinguished_from_losses_of_its_predecessor() -> None:
    policy = _policy("restart")
    assert policy.should_kill(Event("lost", 5, 0, "trainer", "silent for 10 s"))
    assert policy.may_restart("trainer", begun=True)
    assert not policy.should_kill(Event("lost", 6, 0, "trainer", "not back yet"))
    assert not policy.should_kill(Event("rejoined", 9, 0, "trainer", ""))
    assert not policy.should_kill(Event("lost", 7, 0, "trainer", "owed since slot 7"))
    assert policy.should_kill(Event("lost", 9, 1, "trainer", "its connection broke"))
    assert not _policy("fallback").should_kill(Event("lost", 5, 0, "pair-0", "silent for 10 s"))

"""The pool's registry, given events: which workers are leased to which runs, and what is missing."""

from typing import Any

from controller.pool.registry import Demand, WorkerRegistry
from controller.pool.timeouts import FIRST_BACKOFF_S, MAX_WORKER_BACKOFF_S, SETTLE_S, WORKER_HEARTBEAT_TIMEOUT_S
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Assignment, Heartbeat, Lease, Role

BEGUN = 100.0
NOW = BEGUN + SETTLE_S
ONE = Demand("run", {"agent": 1}, port=9)
LEASED = {"a": Assignment("run"), "b": Assignment("run", "pair-1")}


def _heartbeat(
    worker: str,
    role: Role = "agent",
    capacity: int = 1,
    torch: str = "none",
    leases: dict[str, Assignment] | None = None,
) -> Heartbeat:
    return Heartbeat(PROTOCOL_VERSION, worker, role, worker, "host", 1, capacity, {"torch": torch}, leases or {})


def _registry(*workers: Heartbeat) -> WorkerRegistry:
    registry = WorkerRegistry(BEGUN)
    for heartbeat in workers:
        assert registry.receive(heartbeat.worker.encode(), heartbeat, NOW) == ""
    return registry


def _demand(agents: int, **changes: Any) -> Demand:
    return Demand("run", {"agent": agents, "channel": 1}, **({"port": 9} | changes))


def _given(registry: WorkerRegistry, *at_work: Demand, now: float = NOW) -> list[tuple[bytes, str]]:
    leases = registry.lease(at_work, now)
    assert len({lease.lease for _, lease in leases}) == len(leases)
    assert all(lease == Lease(lease.lease, lease.run_id, 9) for _, lease in leases)
    return [(peer, lease.run_id) for peer, lease in leases]


def test_idle_capacity_is_leased_once() -> None:
    registry = _registry(_heartbeat("w1", capacity=2), _heartbeat("w2"), _heartbeat("c", "channel"))
    assert _given(registry, _demand(3)) == [(b"w1", "run"), (b"w1", "run"), (b"w2", "run"), (b"c", "run")]
    assert _given(registry, _demand(3)) == []


def test_a_lease_counts_before_and_after_the_worker_reports_it() -> None:
    registry = _registry(_heartbeat("w", capacity=2))
    [(_, lease)] = registry.lease([Demand("run", {"agent": 1}, port=9)], NOW)
    assert registry.receive(b"w", _heartbeat("w", capacity=2), NOW + 1) == ""  # sent before the lease arrived
    assert registry.workers[0].idle == 1
    assert registry.receive(b"w", _heartbeat("w", capacity=2, leases={lease.lease: Assignment("run")}), NOW + 1) == ""
    assert registry.workers[0].idle == 1
    assert registry.receive(b"w", _heartbeat("w", capacity=2), NOW + 2) == ""
    assert registry.workers[0].idle == 2


def test_a_lease_that_no_worker_reports_expires() -> None:
    registry = _registry(_heartbeat("w"))
    assert _given(registry, Demand("run", {"agent": 1}, port=9)) == [(b"w", "run")]
    for second in range(1, 7):
        assert registry.receive(b"w", _heartbeat("w"), NOW + second) == ""
    assert _given(registry, Demand("run", {"agent": 1}, port=9), now=NOW + 7) == []  # it is not tried again at once
    assert _given(registry, Demand("run", {"agent": 1}, port=9), now=NOW + 7 + FIRST_BACKOFF_S) == [(b"w", "run")]


def _not_reached(registry: WorkerRegistry, worker: str, now: float) -> list[tuple[bytes, str]]:
    """The worker takes a lease of the run and ends it, for it did not reach the run process; what is leased then."""
    [(_, lease), *_] = registry.lease([ONE], now)
    assert registry.receive(worker.encode(), _heartbeat(worker, leases={lease.lease: Assignment("run")}), now) == ""
    assert registry.receive(worker.encode(), _heartbeat(worker), now) == ""
    return _given(registry, ONE, now=now)


def test_a_worker_that_does_not_reach_the_run_process_is_passed_over_for_others() -> None:
    registry = _registry(_heartbeat("w1"), _heartbeat("w2", torch="2.5"))
    assert _not_reached(registry, "w1", NOW) == [(b"w2", "run")]
    assert registry.unreached(ONE) == "worker w1 on host did not reach port 9 of the controller (1 attempt)"


def test_a_worker_that_never_attaches_waits_longer_each_time_and_its_run_says_why() -> None:
    registry, now = _registry(_heartbeat("w")), NOW
    for attempt in range(1, 10):
        assert _not_reached(registry, "w", now) == []
        assert registry.shortage(ONE, now) == "1 agent"
        assert registry.idle(now)["agent", False] == 0
        attempts = f"({attempt} attempt{'s' if attempt > 1 else ''})"
        assert registry.unreached(ONE) == f"worker w on host did not reach port 9 of the controller {attempts}"
        rest_s = min(FIRST_BACKOFF_S * 2 ** (attempt - 1), MAX_WORKER_BACKOFF_S)
        assert _given(registry, ONE, now=now + rest_s - 0.1) == []
        now += rest_s
    assert registry.shortage(ONE, now) == ""
    attached = {"a": Assignment("run", attached=True)}
    assert registry.receive(b"w", _heartbeat("w", leases=attached), now) == ""
    assert registry.attached(ONE)
    assert registry.unreached(ONE) == ""


def test_a_worker_that_reaches_one_run_process_may_not_reach_another() -> None:
    held = {"a": Assignment("other", "pair-0", attached=True)}
    registry = _registry(_heartbeat("w", capacity=2, leases=held))
    [(_, lease)] = registry.lease([ONE], NOW)
    for leases in (held | {lease.lease: Assignment("run")}, held, held):
        assert registry.receive(b"w", _heartbeat("w", capacity=2, leases=leases), NOW) == ""
        assert _given(registry, ONE) == []
    assert registry.receive(b"w", _heartbeat("w", capacity=2, leases=held), NOW) == ""
    assert _given(registry, ONE) == []


def test_a_lease_that_ends_in_order_does_not_count_against_its_worker() -> None:
    registry = _registry(_heartbeat("w", capacity=2, leases={"a": Assignment("run"), "b": Assignment("run")}))
    assert registry.receive(b"w", _heartbeat("w", capacity=2, leases={"a": Assignment("run")}), NOW) == ""
    assert _given(registry, ONE) == []  # the run had a lease too many
    attached = {"a": Assignment("run", attached=True)}
    assert registry.receive(b"w", _heartbeat("w", capacity=2, leases=attached), NOW) == ""
    assert registry.receive(b"w", _heartbeat("w", capacity=2), NOW) == ""  # the worker had reached the run process
    assert _given(registry, ONE) == [(b"w", "run")]


def test_leases_of_lost_workers_go_to_others() -> None:
    for end in ("broken", "silent"):
        registry = _registry(
            _heartbeat("w1", leases={"a": Assignment("run", "pair-0")}),
            _heartbeat("c", "channel", leases={"b": Assignment("run")}),
        )
        assert _given(registry, _demand(1)) == []
        if end == "broken":
            registry.gone(b"w1")
        for worker in (_heartbeat("w2"), _heartbeat("c", "channel", leases={"b": Assignment("run")})):
            registry.receive(worker.worker.encode(), worker, NOW + WORKER_HEARTBEAT_TIMEOUT_S + 1)
        registry.expire(NOW + WORKER_HEARTBEAT_TIMEOUT_S + 1)
        assert [worker.state.name for worker in registry.workers] in (["c", "w2"], ["w2", "c"])
        assert _given(registry, _demand(1), now=NOW + WORKER_HEARTBEAT_TIMEOUT_S + 1) == [(b"w2", "run")]


def test_a_worker_that_reconnects_outlives_its_old_connection() -> None:
    registry = _registry(_heartbeat("w"))
    registry.receive(b"again", _heartbeat("w"), NOW)
    registry.gone(b"w")
    assert [worker.peer for worker in registry.workers] == [b"again"]


def test_after_a_restart_nothing_is_leased_before_workers_could_report() -> None:
    registry = _registry(_heartbeat("w"), _heartbeat("c", "channel"))
    assert _given(registry, _demand(1), now=BEGUN + SETTLE_S / 2) == []
    assert registry.receive(b"other", _heartbeat("other", leases={"a": Assignment("run", "pair-0")}), NOW) == ""
    assert _given(registry, _demand(1)) == [(b"c", "run")]


def test_capacity_is_reserved_for_a_run_whose_run_process_does_not_listen_yet() -> None:
    registry = _registry(_heartbeat("w"), _heartbeat("c", "channel"))
    begun = _demand(1, port=0)
    assert _given(registry, begun) == []
    other = Demand("other", {"agent": 1, "channel": 1}, port=9)
    assert _given(registry, begun, other) == []
    assert registry.shortage(other, NOW, [begun]) == "1 agent and 1 channel"
    assert registry.shortage(other, NOW) == ""


def test_a_shortage_lists_what_is_missing() -> None:
    registry = _registry(_heartbeat("w", capacity=6))
    assert registry.shortage(_demand(10), NOW) == "4 agents (10 needed, 6 idle) and 1 channel"
    assert registry.shortage(_demand(6), NOW) == "1 channel"
    assert WorkerRegistry(BEGUN).shortage(_demand(2), NOW) == "2 agents and 1 channel"
    at_work = _registry(
        _heartbeat("w", capacity=2, leases=LEASED),
        _heartbeat("c", "channel", leases={"c": Assignment("run", "channel server")}),
    )
    assert at_work.shortage(_demand(2), NOW) == ""
    assert at_work.shortage(_demand(3), NOW) == "1 agent (3 needed, 2 present)"


def test_agents_that_learn_get_workers_with_torch_and_others_leave_those_idle() -> None:
    registry = _registry(_heartbeat("t", torch="2.5"), _heartbeat("w"), _heartbeat("c", "channel"))
    expected = "1 agent with torch (2 needed, 1 idle)"
    assert registry.shortage(_demand(2, torch=True), NOW) == expected
    assert _given(registry, Demand("run", {"agent": 1}, port=9)) == [(b"w", "run")]
    assert _given(registry, Demand("learns", {"agent": 1}, torch=True, port=9)) == [(b"t", "learns")]

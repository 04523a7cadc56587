"""The pool's books, told what happens: who is leased to whom, and what is missing."""

from typing import Any

from controller.pool.registry import SETTLE_S, WORKER_SILENT_S, Demand, Pool
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Assignment, Heartbeat, Lease, Role

BEGUN = 100.0
NOW = BEGUN + SETTLE_S
LEASED = {"a": Assignment("run"), "b": Assignment("run", "pair-1")}


def _present(
    worker: str,
    role: Role = "agent",
    capacity: int = 1,
    torch: str = "none",
    leases: dict[str, Assignment] | None = None,
) -> Heartbeat:
    return Heartbeat(PROTOCOL_VERSION, worker, role, worker, "host", 1, capacity, {"torch": torch}, leases or {})


def _pool(*workers: Heartbeat) -> Pool:
    pool = Pool(BEGUN)
    for told in workers:
        assert pool.present(told.worker.encode(), told, NOW) == ""
    return pool


def _demand(agents: int, **changes: Any) -> Demand:
    return Demand("run", {"agent": agents, "channel": 1}, **({"port": 9} | changes))


def _given(pool: Pool, *at_work: Demand, now: float = NOW) -> list[tuple[bytes, str]]:
    leases = pool.lease(at_work, now)
    assert len({lease.lease for _, lease in leases}) == len(leases)
    assert all(lease == Lease(lease.lease, lease.run_id, 9) for _, lease in leases)
    return [(peer, lease.run_id) for peer, lease in leases]


def test_idle_places_are_leased_once() -> None:
    pool = _pool(_present("w1", capacity=2), _present("w2"), _present("c", "channel"))
    assert _given(pool, _demand(3)) == [(b"w1", "run"), (b"w1", "run"), (b"w2", "run"), (b"c", "run")]
    assert _given(pool, _demand(3)) == []


def test_what_was_leased_is_known_before_and_after_the_worker_says_so() -> None:
    pool = _pool(_present("w", capacity=2))
    [(_, lease)] = pool.lease([Demand("run", {"agent": 1}, port=9)], NOW)
    assert pool.present(b"w", _present("w", capacity=2), NOW + 1) == ""  # it was on its way
    assert pool.workers[0].idle == 1
    assert pool.present(b"w", _present("w", capacity=2, leases={lease.lease: Assignment("run")}), NOW + 1) == ""
    assert pool.workers[0].idle == 1
    assert pool.present(b"w", _present("w", capacity=2), NOW + 2) == ""
    assert pool.workers[0].idle == 2


def test_a_lease_that_is_never_taken_up_is_taken_back() -> None:
    pool = _pool(_present("w"))
    assert _given(pool, Demand("run", {"agent": 1}, port=9)) == [(b"w", "run")]
    for second in range(1, 7):
        assert pool.present(b"w", _present("w"), NOW + second) == ""
    assert _given(pool, Demand("run", {"agent": 1}, port=9), now=NOW + 7) == [(b"w", "run")]


def test_the_places_of_the_dead_are_given_to_others() -> None:
    for end in ("broken", "silent"):
        pool = _pool(
            _present("w1", leases={"a": Assignment("run", "pair-0")}),
            _present("c", "channel", leases={"b": Assignment("run")}),
        )
        assert _given(pool, _demand(1)) == []
        if end == "broken":
            pool.gone(b"w1")
        for worker in (_present("w2"), _present("c", "channel", leases={"b": Assignment("run")})):
            pool.present(worker.worker.encode(), worker, NOW + WORKER_SILENT_S + 1)
        pool.look(NOW + WORKER_SILENT_S + 1)
        assert [worker.told.name for worker in pool.workers] in (["c", "w2"], ["w2", "c"])
        assert _given(pool, _demand(1), now=NOW + WORKER_SILENT_S + 1) == [(b"w2", "run")]


def test_a_worker_that_comes_by_another_connection_is_the_same_and_the_end_of_the_first_says_nothing() -> None:
    pool = _pool(_present("w"))
    pool.present(b"again", _present("w"), NOW)
    pool.gone(b"w")
    assert [worker.peer for worker in pool.workers] == [b"again"]


def test_after_a_new_start_nothing_is_leased_before_all_could_speak() -> None:
    pool = _pool(_present("w"), _present("c", "channel"))
    assert _given(pool, _demand(1), now=BEGUN + SETTLE_S / 2) == []
    assert pool.present(b"other", _present("other", leases={"a": Assignment("run", "pair-0")}), NOW) == ""
    assert _given(pool, _demand(1)) == [(b"c", "run")]


def test_places_are_kept_for_a_run_whose_keeper_cannot_be_reached_yet() -> None:
    pool = _pool(_present("w"), _present("c", "channel"))
    begun = _demand(1, port=0)
    assert _given(pool, begun) == []
    other = Demand("other", {"agent": 1, "channel": 1}, port=9)
    assert _given(pool, begun, other) == []
    assert pool.shortage(other, [begun]) == "waits for 1 agent and 1 channel"
    assert pool.shortage(other) == ""


def test_what_is_missing_is_said() -> None:
    pool = _pool(_present("w", capacity=6))
    assert pool.shortage(_demand(10)) == "waits for 4 more agents (10 asked for, 6 idle) and 1 channel"
    assert pool.shortage(_demand(6)) == "waits for 1 channel"
    assert Pool(BEGUN).shortage(_demand(2)) == "waits for 2 agents and 1 channel"
    at_work = _pool(
        _present("w", capacity=2, leases=LEASED),
        _present("c", "channel", leases={"c": Assignment("run", "channel server")}),
    )
    assert at_work.shortage(_demand(2)) == ""
    assert at_work.shortage(_demand(3)) == "waits for 1 more agent (3 asked for, 2 there)"


def test_agents_that_learn_get_workers_with_torch_and_others_spare_them() -> None:
    pool = _pool(_present("t", torch="2.5"), _present("w"), _present("c", "channel"))
    told = "waits for 1 more agent with torch (2 asked for, 1 idle)"
    assert pool.shortage(_demand(2, torch=True)) == told
    assert _given(pool, Demand("run", {"agent": 1}, port=9)) == [(b"w", "run")]
    assert _given(pool, Demand("learns", {"agent": 1}, torch=True, port=9)) == [(b"t", "learns")]

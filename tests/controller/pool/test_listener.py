"""The service's end of the pool, with real connections: bound keys, and workers that are silent."""

import time
from pathlib import Path

import zmq

from controller.pool.listener import PoolListener
from controller.pool.rejected import ANOTHER_NAME
from controller.pool.timeouts import WORKER_HEARTBEAT_TIMEOUT_S
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Heartbeat, Refusal, decode_from_service, encode
from protocol.transports.curve import lock_client
from protocol.transports.keys import Keys
from protocol.transports.running_time import RunningTime


def test_a_worker_under_another_name_than_that_of_its_key_is_refused_and_counted(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path)
    keys.revoke("node")
    keys.allow(tmp_path / "node.key", "attic", worker="attic")
    pool = PoolListener("tcp://127.0.0.1:*", keys=tmp_path)
    try:
        with zmq.Context() as context, context.socket(zmq.DEALER) as worker:
            worker.setsockopt(zmq.LINGER, 0)
            lock_client(worker, keys.client())
            worker.connect(pool.endpoint)
            for name in ("attic", "cellar"):
                worker.send(encode(Heartbeat(PROTOCOL_VERSION, name, "agent", name, "host", 1, 1, {}, {})))
            deadline = time.monotonic() + 60
            while not worker.poll(10):
                pool.poll()
                assert time.monotonic() < deadline
            refusal = decode_from_service(worker.recv())
        assert isinstance(refusal, Refusal)
        assert refusal.reason.startswith("its key is bound to the worker 'attic'")
        assert [seen.worker.state.name for seen in pool.workers] == ["attic"]
        assert pool.rejected.counts == {ANOTHER_NAME: 1}
    finally:
        pool.close()


def test_time_in_which_the_service_did_not_run_makes_no_worker_silent_and_none_seen_later() -> None:
    wall_s = 100.0
    clock = RunningTime(lambda: wall_s, lambda: 0.0)
    pool = PoolListener("tcp://127.0.0.1:*", clock=clock)
    try:
        with zmq.Context() as context, context.socket(zmq.DEALER) as worker:
            worker.setsockopt(zmq.LINGER, 0)
            worker.connect(pool.endpoint)
            worker.send(encode(Heartbeat(PROTOCOL_VERSION, "1", "agent", "attic", "host", 1, 1, {}, {})))
            deadline = time.monotonic() + 20
            while not pool.workers:
                pool.poll()
                assert time.monotonic() < deadline
            [seen] = pool.workers
            wall_s += 3600
            pool.poll()
            assert pool.workers == [seen]  # at the same time: not an hour later, and not now
            for _ in range(int(10 * WORKER_HEARTBEAT_TIMEOUT_S)):
                wall_s += 0.1
                pool.poll()
            assert not pool.workers
    finally:
        pool.close()

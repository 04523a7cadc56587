"""The service's end of the pool, with real connections: workers whose keys are bound to names."""

import time
from pathlib import Path

import zmq

from controller.pool.listener import PoolListener
from controller.pool.rejected import ANOTHER_NAME
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Heartbeat, Refusal, decode_from_service, encode
from protocol.transports.curve import lock_client
from protocol.transports.keys import Keys


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

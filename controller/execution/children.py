"""What the processes of a run do, once they are forked from a preloaded parent."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path

import msgspec

from channel_server.core import Past
from controller.execution.building import build_world, policy_builder
from protocol.messages.plan import RunPlan
from protocol.transports.keys import ClientKeys, ServerKeys

CHANNEL_SERVER = "channel server"


def channel_process(
    plan: bytes,
    launcher: str,
    past: Past | None,
    endpoint: str = "tcp://127.0.0.1:*",
    address: str = "",
    keys: ServerKeys | None = None,
    launcher_keys: ClientKeys | None = None,
) -> None:
    """The channel server's process. `address`: the host that nodes are told, if it is not the endpoint's. `keys`: what
    the endpoint is locked with, `owner_keys`: what the line to the owner is."""
    _name_process(CHANNEL_SERVER)
    from channel_server.edge import serve

    run_plan = msgspec.msgpack.decode(plan, type=RunPlan)
    world = build_world(run_plan)
    serve(
        run_plan,
        world,
        endpoint=endpoint,
        address=address,
        launcher=launcher,
        controller_gone=_orphaned(),
        past=past,
        keys=keys,
        launcher_keys=launcher_keys,
    )


def node_process(endpoint: str, run_id: str, name: str, keys: ClientKeys | None = None) -> None:
    """A node's process."""
    _name_process(name)
    # Batch work to the scheduler: a node that wakes does not push another off the processor in mid-inference.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    from agent_node.edge import run_node

    sys.exit(run_node(endpoint, run_id, name, policy_builder(name), controller_gone=_orphaned(), keys=keys))


def bound(target: Callable[..., None], *arguments: object) -> None:
    """The same, ended with the process that started it in the middle of whatever it does.

    The place of a worker that died is given to another, who would find it taken by a node that nobody owns.
    """
    leave_with_parent()
    target(*arguments)


def leave_with_parent() -> None:
    """From now on this process does not outlive the one that started it."""
    threading.Thread(target=_leave, daemon=True).start()


def _leave() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _name_process(name: str) -> None:
    """What ps and top call this process, cut to 15 bytes by the kernel."""
    Path("/proc/self/comm").write_text(name, "utf-8")


def _orphaned() -> Callable[[], bool]:
    """Whether the process that started this one is gone; its end of a pipe closes with it."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return lambda: False
    return lambda: bool(connection.wait([parent.sentinel], timeout=0))

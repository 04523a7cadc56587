"""The entry points of a run's processes, which are forked from a preloaded parent."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path

import msgspec

from channel_server.core import Past
from controller.execution.building import build_world, policy_builder
from protocol.messages.plan import RunPlan
from protocol.transports.keys import ClientKeys, ServerKeys

CHANNEL_SERVER = "channel server"
_PACED_NICE = -10


def channel_process(
    plan: bytes,
    launcher: str,
    launcher_keys: ClientKeys,
    past: Past | None,
    endpoint: str = "tcp://127.0.0.1:*",
    address: str = "",
    keys: ServerKeys | None = None,
) -> None:
    """The channel server's process. `launcher_keys` lock the line to the launcher. `address`: the host that nodes
    connect to, if it is not the endpoint's. `keys` encrypt the endpoint."""
    _name_process(CHANNEL_SERVER)
    from channel_server.edge import serve

    run_plan = msgspec.msgpack.decode(plan, type=RunPlan)
    if run_plan.clock.slot_ms is not None:
        _raise_priority()
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
    # SCHED_BATCH: a node that wakes up does not preempt another one in the middle of its inference.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    from agent_node.edge import run_node

    sys.exit(run_node(endpoint, run_id, name, policy_builder(name), controller_gone=_orphaned(), keys=keys))


def run_tied_to_parent(target: Callable[..., None], *arguments: object) -> None:
    """Run the target in this process, which exits at once when its parent dies.

    When a worker dies, another one is leased for its node: an orphaned process would still occupy the node's seat.
    """
    exit_with_parent()
    target(*arguments)


def exit_with_parent() -> None:
    """From now on this process exits when its parent does."""
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _name_process(name: str) -> None:
    """Set the name that ps and top show; the kernel truncates it to 15 bytes."""
    Path("/proc/self/comm").write_text(name, "utf-8")


def _raise_priority() -> None:
    """Keep time before other processes, where the system permits it: the results of a paced run say at which nice value
    its channel server ran."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _PACED_NICE)


def _orphaned() -> Callable[[], bool]:
    """A function that returns whether the parent is gone: the kernel closes its end of a pipe, the sentinel."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return lambda: False
    return lambda: bool(connection.wait([parent.sentinel], timeout=0))

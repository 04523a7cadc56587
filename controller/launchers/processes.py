"""A run as processes of this machine: the channel server, and one process per node, forked from a preloaded parent."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from multiprocessing.context import ForkServerProcess
from types import ModuleType

import msgspec
import zmq

from controller.launchers.building import build_world, node_names, policy_builder
from protocol.plan import RunPlan
from protocol.telemetry import CONTINUE, INTERRUPT, PAUSE, Ended, Listening, Progress, Sink, Telemetry

GRACE_S = 10.0  # after an interrupt, and for the last processes to leave
_POLL_MS = 100

Route = Callable[[str], str]


class RunProcesses:
    """The processes of one run. Use as a context manager: on leaving, none of them is left.

    `route` maps the channel server's endpoint to the one that nodes are told (a proxy, say).
    """

    def __init__(self, plan: RunPlan, *, route: Route = lambda endpoint: endpoint) -> None:
        self.plan = plan
        self.nodes: dict[str, ForkServerProcess] = {}
        self.endpoint = ""
        self._route = route
        self._begun = False
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["controller.launchers.preload"])
        self._zmq = zmq.Context()
        self._line = self._zmq.socket(zmq.PAIR)
        self._line.setsockopt(zmq.RCVHWM, 0)
        self._line.setsockopt(zmq.LINGER, 0)
        self._owner = f"tcp://127.0.0.1:{self._line.bind_to_random_port('tcp://127.0.0.1')}"
        self._decoder: msgspec.msgpack.Decoder[Telemetry] = msgspec.msgpack.Decoder(Telemetry)
        self.channel = self._start(channel_process, (msgspec.msgpack.encode(plan), self._owner))

    def receive(self) -> Telemetry | None:
        """The next telemetry, or None if there was none for a moment. Starts the nodes when the server listens."""
        if not self._line.poll(_POLL_MS):
            self._look_for_the_dead()
            return None
        telemetry = self._decoder.decode(self._line.recv())
        if isinstance(telemetry, Progress) and telemetry.slot:
            self._begun = True
        if isinstance(telemetry, Listening):
            self.endpoint = self._route(telemetry.endpoint)
            for name in node_names(self.plan, build_world(self.plan)):
                self.start_node(name)
        return telemetry

    def _look_for_the_dead(self) -> None:
        """A node that dies before the first slot would be waited for in vain."""
        dead = [name for name, process in self.nodes.items() if process.exitcode]
        if dead and not self._begun:
            self._begun = True
            self._line.send(f"{dead[0]} died before the first slot ({_cause(self.nodes[dead[0]].exitcode)})".encode())

    def start_node(self, name: str) -> ForkServerProcess:
        """Start the process of one node; again, if the one before it was lost."""
        self.nodes[name] = self._start(node_process, (self.endpoint, self.plan.run_id, name))
        return self.nodes[name]

    def interrupt(self) -> None:
        """Ask the channel server to stop after this slot."""
        self._line.send(INTERRUPT)

    def pause(self) -> None:
        """Ask the channel server to hold between two slots."""
        self._line.send(PAUSE)

    def go_on(self) -> None:
        """Ask the channel server to go on."""
        self._line.send(CONTINUE)

    def __enter__(self) -> "RunProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._zmq.term()
        processes = [self.channel, *self.nodes.values()]
        deadline = time.monotonic() + (GRACE_S if self.channel.exitcode == 0 else 2.0)
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in processes:
            if process.exitcode is None:
                process.kill()
                process.join()
            process.close()

    def _start(self, target: Callable[..., None], arguments: tuple[object, ...]) -> ForkServerProcess:
        process = self._context.Process(target=target, args=arguments, daemon=True)
        resource_tracker.ensure_running()  # it would unblock signals again when it starts
        with _signals_blocked(), _blank_main():
            process.start()
        return process


def run_processes(
    plan: RunPlan, sink: Sink, interrupted: Callable[[], bool], paused: Callable[[], bool] = lambda: False
) -> Ended:
    """Play a run to its end; `interrupted` and `paused` are asked about ten times a second."""
    with RunProcesses(plan) as processes:
        asked_at, slot, pausing = 0.0, 0, False
        while True:
            telemetry = processes.receive()
            if telemetry is not None:
                sink(telemetry)
            if isinstance(telemetry, Progress):
                slot = telemetry.slot
            if isinstance(telemetry, Ended):
                return telemetry
            if telemetry is None and processes.channel.exitcode is not None:
                return _broken_off(sink, slot, f"the channel server died ({_cause(processes.channel.exitcode)})")
            if paused() != pausing:
                pausing = not pausing
                (processes.pause if pausing else processes.go_on)()
            if interrupted() and not asked_at:
                asked_at = time.monotonic()
                processes.interrupt()
            if asked_at and time.monotonic() - asked_at > GRACE_S:
                return _broken_off(sink, slot, "interrupted, and the channel server did not stop in time")


def channel_process(plan: bytes, owner: str) -> None:
    """The channel server's process."""
    from channel_server.edge import serve

    run_plan = msgspec.msgpack.decode(plan, type=RunPlan)
    serve(run_plan, build_world(run_plan), endpoint="tcp://127.0.0.1:*", owner=owner, abandoned=_orphaned())


def node_process(endpoint: str, run_id: str, name: str) -> None:
    """A node's process."""
    # Batch work to the scheduler: a node that wakes does not push another off the processor in mid-inference.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    from agent_node.edge import run_node

    sys.exit(run_node(endpoint, run_id, name, policy_builder(name), abandoned=_orphaned()))


def _orphaned() -> Callable[[], bool]:
    """Whether the process that started this one is gone; its end of a pipe closes with it."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return lambda: False
    return lambda: bool(connection.wait([parent.sentinel], timeout=0))


def _broken_off(sink: Sink, slots: int, reason: str) -> Ended:
    """The end of a run whose channel server cannot tell it any more."""
    ended = Ended("failed", reason, slots, 0.0, 0, {}, {}, [], {})
    sink(ended)
    return ended


def _cause(exitcode: int | None) -> str:
    exitcode = exitcode or 0
    return f"signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal, but only the owner of the run acts on it. Masks are inherited."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _blank_main() -> Iterator[None]:
    """Keep children from importing this process's main module, and with it the CLI, again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main

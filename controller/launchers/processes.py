"""A run as processes of this machine: the channel server, and one process per node, forked from a preloaded parent."""

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import ModuleType

import msgspec
import zmq

from channel_server.core import Past
from controller.launchers.building import build_world, node_names, policy_builder
from controller.launchers.supervisor import Supervisor
from protocol.orders import Order
from protocol.plan import RunPlan
from protocol.telemetry import (
    CONTINUE,
    INTERRUPT,
    ORDER,
    PAUSE,
    Ended,
    EndState,
    Event,
    Listening,
    Progress,
    Sink,
    Telemetry,
)

CHANNEL_SERVER = "channel server"
GRACE_S = 10.0  # after an interrupt, and for the last processes to leave
_POLL_MS = 100

Route = Callable[[str], str]


class RunProcesses:
    """The processes of one run. Use as a context manager: on leaving, none of them is left.

    `route` maps the channel server's endpoint to the one that nodes are told (a proxy, say). `past`: what the run goes
    on from; nodes that were lost then are started if the plan says that they are restarted.
    """

    def __init__(self, plan: RunPlan, *, past: Past | None = None, route: Route = lambda endpoint: endpoint) -> None:
        self.plan = plan
        names = node_names(plan, build_world(plan))
        self._names = [n for i, n in enumerate(names) if past is None or i in past.nodes or _restarts(plan, n)]
        self._supervisor = Supervisor(plan.loss)
        self.nodes: dict[str, ForkServerProcess] = {}
        self.endpoint = ""
        self._route = route
        self._begun = False
        self._slot = self._first = 0 if past is None else past.slot
        self._own: deque[Telemetry] = deque()  # what the launcher has to tell itself
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["controller.launchers.preload"])
        self._zmq = zmq.Context()
        self._line = self._zmq.socket(zmq.PAIR)
        self._line.setsockopt(zmq.RCVHWM, 0)
        self._line.setsockopt(zmq.LINGER, 0)
        self._owner = f"tcp://127.0.0.1:{self._line.bind_to_random_port('tcp://127.0.0.1')}"
        self._decoder: msgspec.msgpack.Decoder[Telemetry] = msgspec.msgpack.Decoder(Telemetry)
        self.channel = self._start(channel_process, (msgspec.msgpack.encode(plan), self._owner, past))

    def receive(self) -> Telemetry | None:
        """The next telemetry, or None if there was none for a moment. Starts the nodes when the server listens, and
        again when they are lost and the plan says so."""
        if self._own:
            return self._own.popleft()
        if not self._line.poll(_POLL_MS):
            self._look_for_the_dead()
            return None
        telemetry = self._decoder.decode(self._line.recv())
        match telemetry:
            case Progress(slot):
                self._slot = slot
                self._begun = self._begun or slot > self._first
                self._look_for_the_dead()
            case Listening(endpoint):
                self.endpoint = self._route(endpoint)
                for name in self._names:
                    self.start_node(name)
            case Event() if self._supervisor.is_given_up(telemetry) and telemetry.node in self.nodes:
                self.nodes[telemetry.node].kill()
            case _:
                pass
        return telemetry

    def _look_for_the_dead(self) -> None:
        """Start again what is to be; a node that dies before the first slot would otherwise be waited for in vain."""
        for name in [name for name, process in self.nodes.items() if process.exitcode]:
            died_of = _cause(self.nodes[name].exitcode)
            if self._supervisor.may_restart(name, begun=self._begun):
                self.nodes[name].close()
                self.start_node(name)
                self._own.append(Event("restarted", self._slot, 0, name, died_of))
            elif not self._begun:
                self._begun = True
                self._line.send(f"{name} died before the first slot ({died_of})".encode())

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

    def order(self, order: Order) -> None:
        """Ask the channel server for something that it answers by telemetry."""
        self._line.send_multipart([ORDER, msgspec.msgpack.encode(order)])

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
        return start_process(self._context, target, arguments)


def start_process(
    context: ForkServerContext, target: Callable[..., None], arguments: tuple[object, ...]
) -> ForkServerProcess:
    """A process that is deaf to Ctrl-C and does not outlive this one's good end."""
    process = context.Process(target=target, args=arguments, daemon=True)
    resource_tracker.ensure_running()  # it would unblock signals again when it starts
    with _signals_blocked(), _blank_main():
        process.start()
    return process


def run_processes(
    plan: RunPlan,
    sink: Sink,
    interrupted: Callable[[], bool],
    paused: Callable[[], bool] = lambda: False,
    orders: Callable[[], Iterable[Order]] = tuple,
    *,
    past: Past | None = None,
) -> Ended:
    """Play a run to its end, from the beginning or from its `past`; `interrupted` and `paused` are asked about ten
    times a second, and so is for `orders`."""
    roll_back = plan.loss.channel_server == "rollback"
    with RunProcesses(plan, past=past) as processes:
        asked_at, slot, pausing = 0.0, 0 if past is None else past.slot, False
        while True:
            telemetry = processes.receive()
            if telemetry is not None:
                sink(telemetry)
            if isinstance(telemetry, Progress):
                slot = telemetry.slot
            if isinstance(telemetry, Ended):
                return telemetry
            if telemetry is None and processes.channel.exitcode is not None:
                reason = f"the channel server died ({_cause(processes.channel.exitcode)})"
                return _broken_off(sink, slot, reason, roll_back=roll_back)
            for order in orders():
                processes.order(order)
            if paused() != pausing:
                pausing = not pausing
                (processes.pause if pausing else processes.go_on)()
            if interrupted() and not asked_at:
                asked_at = time.monotonic()
                processes.interrupt()
            if asked_at and time.monotonic() - asked_at > GRACE_S:
                return _broken_off(sink, slot, "the channel server did not stop in time", state="STOPPED")


def channel_process(plan: bytes, owner: str, past: Past | None) -> None:
    """The channel server's process."""
    _name_process(CHANNEL_SERVER)
    from channel_server.edge import serve

    run_plan = msgspec.msgpack.decode(plan, type=RunPlan)
    world = build_world(run_plan)
    serve(run_plan, world, endpoint="tcp://127.0.0.1:*", owner=owner, abandoned=_orphaned(), past=past)


def node_process(endpoint: str, run_id: str, name: str) -> None:
    """A node's process."""
    _name_process(name)
    # Batch work to the scheduler: a node that wakes does not push another off the processor in mid-inference.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    from agent_node.edge import run_node

    sys.exit(run_node(endpoint, run_id, name, policy_builder(name), abandoned=_orphaned()))


def _name_process(name: str) -> None:
    """What ps and top call this process, cut to 15 bytes by the kernel."""
    Path("/proc/self/comm").write_text(name, "utf-8")


def _orphaned() -> Callable[[], bool]:
    """Whether the process that started this one is gone; its end of a pipe closes with it."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return lambda: False
    return lambda: bool(connection.wait([parent.sentinel], timeout=0))


def _broken_off(sink: Sink, slots: int, reason: str, *, state: EndState = "FAILED", roll_back: bool = False) -> Ended:
    """The end of a run whose channel server cannot tell it any more."""
    ended = Ended(state, reason, slots, 0.0, 0, {}, {}, [], {}, roll_back=roll_back)
    sink(ended)
    return ended


def _restarts(plan: RunPlan, node: str) -> bool:
    return plan.loss.of(node) == "restart"


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

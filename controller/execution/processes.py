"""A run as processes: the channel server, and one process per node, started on the given machine."""

import time
from collections import deque
from collections.abc import Callable

import msgspec

from channel_server.core import Past
from controller.execution.children import CHANNEL_SERVER as CHANNEL_SERVER
from controller.execution.controls import NO_CONTROLS, RunControls
from controller.execution.local_machine import LocalMachine
from controller.execution.machine import Machine, Process
from controller.execution.restarts import RestartPolicy
from controller.execution.telemetry_line import TelemetryLine
from protocol.messages.orders import Order
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import (
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
from protocol.transports.running_time import RunningTime

EXIT_TIMEOUT_S = 10.0  # after an interrupt, and for the last processes to leave
_KILL_TIMEOUT_S = 2.0  # for nodes to leave when the channel server has not ended in order
_LAST_POLLS = 20  # empty ones, after which no telemetry of a channel server that has exited is still in flight

Route = Callable[[str], str]


class NodeProcesses:
    """The processes of one run. A context manager: on leaving it, none of them is left.

    `machine`: where they are started, by default here. `route` maps the channel server's endpoint to the one that nodes
    connect to (a proxy, say). `past`: what the run is resumed from; the nodes that were lost at that point are started
    if the plan restarts them, or if the machine can reschedule them.
    """

    def __init__(
        self,
        plan: RunPlan,
        *,
        past: Past | None = None,
        route: Route = lambda endpoint: endpoint,
        machine: Machine | None = None,
    ) -> None:
        self.plan = plan
        self._machine = machine or LocalMachine()
        self._names = [n for i, n in enumerate(plan.nodes) if past is None or i in past.nodes or self._can_come_back(n)]
        self._restarts = RestartPolicy(plan.loss)
        self.nodes: dict[str, Process] = {}
        self.endpoint = ""
        self._key = ""
        self._route = route
        self._begun = False
        self._lost: set[str] = set()  # as the channel server reports; until they rejoin
        self._slot = self._first = 0 if past is None else past.slot
        self._launcher_events: deque[Event] = deque()  # restarts: of the launcher itself, not of the channel server
        self._line = TelemetryLine(self._machine)
        try:
            self.channel = self._machine.start_channel(plan, self._line.address, past)
        except BaseException:
            self._line.close()
            raise

    def run(self, sink: Sink, controls: RunControls) -> Ended:
        """Pass telemetry to the sink, and the controls' requests to the channel server, until the run ends."""
        asked_at, interrupting, pausing = 0.0, False, False
        running_time = RunningTime()
        while True:
            telemetry = self.receive()
            now = running_time.now()
            if telemetry is not None:
                sink(telemetry)
            if isinstance(telemetry, Ended):
                return telemetry
            if reason := self.channel_failure:
                return self._abort(sink, reason, roll_back=self.plan.loss.channel_server == "rollback")
            for order in controls.orders():
                if not self.order(order):
                    break  # `controls` offers an order that was not sent again
            if controls.paused() != pausing:
                sent = self.resume() if pausing else self.pause()
                pausing = pausing != sent
            if controls.interrupted() and not interrupting:
                asked_at = asked_at or now
                interrupting = self.interrupt()
            if asked_at and (now - asked_at > EXIT_TIMEOUT_S or self.channel.pending):
                return self._abort(sink, "the channel server did not stop in time", state="STOPPED")

    def receive(self) -> Telemetry | None:
        """The next telemetry, or None if none came within a tenth of a second.

        Starts the nodes when the channel server listens, and restarts lost ones according to the plan.
        """
        if self._launcher_events:
            return self._launcher_events.popleft()
        telemetry = self._line.receive()
        match telemetry:
            case None:
                self._replace_dead_nodes()
            case Progress(slot):
                self._slot = slot
                self._begun = self._begun or slot > self._first
                self._replace_dead_nodes()
            case Listening(endpoint, key):
                self.endpoint, self._key = self._route(endpoint), key
                for name in self._names:
                    self.start_node(name)
            case Event():
                self._follow(telemetry)
            case _:
                pass
        return telemetry

    @property
    def channel_failure(self) -> str:
        """Why no more telemetry will come from the channel server; "" while some may."""
        if not self._line.quiet_polls:
            return ""
        if self.channel.worker_away and self._line.is_broken():
            self.channel.kill()  # nobody waits for its worker: its process has ended as well
        exitcode, all_read = self.channel.exitcode, self._line.quiet_polls > _LAST_POLLS
        if all_read and not exitcode and self._line.is_broken():
            return "the line from the channel server broke"
        # One that failed sends nothing more; the last telemetry of one that exited in order may still be in flight.
        if exitcode or (all_read and exitcode is not None):
            return f"the channel server died ({self.channel.cause})"
        return ""

    def start_node(self, name: str) -> Process:
        """Start the process of one node; again, if the one before it was lost."""
        self.nodes[name] = self._machine.start_node(name, self.endpoint, self.plan.run_id, self._key)
        return self.nodes[name]

    def interrupt(self) -> bool:
        """Ask the channel server to stop after this slot; False while none is connected."""
        return self._line.send(INTERRUPT)

    def pause(self) -> bool:
        """Ask the channel server to pause before the next slot; False while none is connected."""
        return self._line.send(PAUSE)

    def resume(self) -> bool:
        """Ask the channel server to resume; False while none is connected."""
        return self._line.send(CONTINUE)

    def order(self, order: Order) -> bool:
        """Send the channel server an order, which it answers by telemetry; False while none is connected."""
        return self._line.send(ORDER, msgspec.msgpack.encode(order))

    def __enter__(self) -> "NodeProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        processes = [self.channel, *self.nodes.values()]
        for process in processes:
            if process.pending:  # or it would start at the worker of a process that has just exited
                process.kill()
        deadline = time.monotonic() + (EXIT_TIMEOUT_S if self.channel.exitcode == 0 else _KILL_TIMEOUT_S)
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in processes:
            if process.exitcode is None:
                process.kill()
                process.join()
            process.close()

    def _follow(self, event: Event) -> None:
        if event.event == "lost":
            self._lost.add(event.node)
        elif event.event == "rejoined":
            self._lost.discard(event.node)
        if self._restarts.should_kill(event) and event.node in self.nodes:
            self.nodes[event.node].kill()

    def _replace_dead_nodes(self) -> None:
        """Restart dead nodes that the plan or the machine restarts.

        The channel server waits for all nodes before the first slot. The launcher must report to it a node that dies
        earlier and is not restarted, or the channel server would wait until its timeout. Nobody waits for the worker of
        a node that is lost: it would come back with a process that has no seat any more.
        """
        for name in self._lost & self.nodes.keys():
            if self.nodes[name].worker_away:
                self.nodes[name].kill()
        for name in [name for name, process in self.nodes.items() if process.exitcode]:
            process = self.nodes[name]
            if process.worker_lost and self._begun and name not in self._lost:
                continue  # the seat is not free until the channel server has noticed the loss
            if self._restarts.may_restart(name, begun=self._begun):
                self._launcher_events.append(Event("restarted", self._slot, 0, name, process.cause))
                self._replace(name)
            elif process.worker_lost:
                self._replace(name)
            elif not self._begun:
                self._begun = True
                self._line.send(f"{name} died before the first slot ({process.cause})".encode())

    def _replace(self, name: str) -> None:
        self.nodes[name].close()
        self.start_node(name)

    def _can_come_back(self, node: str) -> bool:
        return self.plan.loss.of(node) == "restart" or self._machine.can_reschedule

    def _abort(self, sink: Sink, reason: str, *, state: EndState = "FAILED", roll_back: bool = False) -> Ended:
        """End a run whose channel server can no longer report its end."""
        ended = Ended(state, reason, self._slot, 0.0, 0, {}, {}, [], {}, roll_back=roll_back)
        sink(ended)
        return ended


def run_processes(
    plan: RunPlan,
    sink: Sink,
    controls: RunControls = NO_CONTROLS,
    *,
    past: Past | None = None,
    machine: Machine | None = None,
) -> Ended:
    """Execute a run until it ends, from the beginning or from its `past`. `controls` are polled ten times a second."""
    with NodeProcesses(plan, past=past, machine=machine) as processes:
        return processes.run(sink, controls)

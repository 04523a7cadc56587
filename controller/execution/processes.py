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

EXIT_TIMEOUT_S = 10.0  # after an interrupt, and for the last processes to leave
_KILL_TIMEOUT_S = 2.0  # for nodes to leave when the channel server has not ended in order
_LAST_POLLS = 20  # without telemetry: nothing is on its way any more from a channel server that has exited

Route = Callable[[str], str]


class NodeProcesses:
    """The processes of one run. A context manager: on leaving it, none of them is left.

    `machine`: where they are started, by default here. `route` maps the channel server's endpoint to the one that nodes
    connect to (a proxy, say). `past`: what the run is resumed from; nodes that were lost then are started if the plan
    says that they are restarted, or if the machine has other places.
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
        self._names = [n for i, n in enumerate(plan.nodes) if past is None or i in past.nodes or self._comes_back(n)]
        self._restarts = RestartPolicy(plan.loss)
        self.nodes: dict[str, Process] = {}
        self.endpoint = ""
        self._key = ""
        self._route = route
        self._begun = False
        self._missed: set[str] = set()  # lost to the run, and not back yet
        self._slot = self._first = 0 if past is None else past.slot
        self._own_events: deque[Event] = deque()  # of the launcher itself
        self._line = TelemetryLine(self._machine)
        try:
            self.channel = self._machine.start_channel(plan, self._line.port, past)
        except BaseException:
            self._line.close()
            raise

    def run(self, sink: Sink, controls: RunControls) -> Ended:
        """Pass telemetry to the sink, and what is asked of the run to the channel server, until the run ends."""
        asked_at, interrupting, pausing = 0.0, False, False
        while True:
            telemetry = self.receive()
            if telemetry is not None:
                sink(telemetry)
            if isinstance(telemetry, Ended):
                return telemetry
            if reason := self.silenced:
                return self._broken_off(sink, reason, roll_back=self.plan.loss.channel_server == "rollback")
            for order in controls.orders():
                if not self.order(order):
                    break  # one that is not sent is offered again
            if controls.paused() != pausing:
                sent = self.resume() if pausing else self.pause()
                pausing = pausing != sent
            if controls.interrupted() and not interrupting:
                asked_at = asked_at or time.monotonic()
                interrupting = self.interrupt()
            if asked_at and (time.monotonic() - asked_at > EXIT_TIMEOUT_S or self.channel.waits):
                return self._broken_off(sink, "the channel server did not stop in time", state="STOPPED")

    def receive(self) -> Telemetry | None:
        """The next telemetry, or None if none came within a moment. Starts the nodes when the channel server listens,
        and restarts lost ones according to the plan."""
        if self._own_events:
            return self._own_events.popleft()
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
    def silenced(self) -> str:
        """Why no more telemetry will come from the channel server; "" while some may."""
        if not self._line.quiet_polls:
            return ""
        exitcode, all_read = self.channel.exitcode, self._line.quiet_polls > _LAST_POLLS
        if all_read and not exitcode and self._line.is_broken():
            return "the line from the channel server broke"
        # One that failed has sent nothing more; one that left in order may have, and its last telemetry is awaited.
        if exitcode or (all_read and exitcode is not None):
            return f"the channel server died ({self.channel.cause})"
        return ""

    def start_node(self, name: str) -> Process:
        """Start the process of one node; again, if the one before it was lost."""
        self.nodes[name] = self._machine.start_node(name, self.endpoint, self.plan.run_id, self._key)
        return self.nodes[name]

    def interrupt(self) -> bool:
        """Ask the channel server to stop after this slot; False while there is none."""
        return self._line.send(INTERRUPT)

    def pause(self) -> bool:
        """Ask the channel server to hold between two slots; False while there is none."""
        return self._line.send(PAUSE)

    def resume(self) -> bool:
        """Ask the channel server to go on; False while there is none."""
        return self._line.send(CONTINUE)

    def order(self, order: Order) -> bool:
        """Give the channel server an order, which it answers by telemetry; False while there is none."""
        return self._line.send(ORDER, msgspec.msgpack.encode(order))

    def __enter__(self) -> "NodeProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        processes = [self.channel, *self.nodes.values()]
        for process in processes:
            if process.waits:  # it must not start where another has just left
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
            self._missed.add(event.node)
        elif event.event == "rejoined":
            self._missed.discard(event.node)
        if self._restarts.is_given_up(event) and event.node in self.nodes:
            self.nodes[event.node].kill()

    def _replace_dead_nodes(self) -> None:
        """Restart dead nodes that the plan or the machine restarts.

        The channel server waits for all nodes before the first slot: of one that dies earlier and is not restarted it
        must be sent word, or it would wait until its timeout.
        """
        for name in [name for name, process in self.nodes.items() if process.exitcode]:
            process = self.nodes[name]
            if process.taken_away and self._begun and name not in self._missed:
                continue  # until the channel server has noticed: the seat is not free before
            if self._restarts.may_restart(name, begun=self._begun):
                self._own_events.append(Event("restarted", self._slot, 0, name, process.cause))
                self._replace(name)
            elif process.taken_away and self.plan.loss.of(name) != "restart":
                self._replace(name)
            elif not self._begun:
                self._begun = True
                self._line.send(f"{name} died before the first slot ({process.cause})".encode())

    def _replace(self, name: str) -> None:
        self.nodes[name].close()
        self.start_node(name)

    def _comes_back(self, node: str) -> bool:
        return self.plan.loss.of(node) == "restart" or self._machine.has_other_places

    def _broken_off(self, sink: Sink, reason: str, *, state: EndState = "FAILED", roll_back: bool = False) -> Ended:
        """The end of a run whose channel server can no longer report it."""
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
    """Play a run to its end, from the beginning or from its `past`. `controls` are polled about ten times a second."""
    with NodeProcesses(plan, past=past, machine=machine) as processes:
        return processes.run(sink, controls)

"""A run as processes: the channel server, and one process per node, on the machine that is given."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from channel_server.core import Past
from controller.execution.building import build_world, node_names
from controller.execution.children import CHANNEL_SERVER as CHANNEL_SERVER
from controller.execution.local_machine import LocalMachine
from controller.execution.machine import Machine, Process
from controller.execution.restarts import Supervisor
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
_POLL_MS = 100
_LAST_WORDS_POLLS = 20  # without telemetry, after which nothing is on its way any more from a server that left in order

Route = Callable[[str], str]


class NodeProcesses:
    """The processes of one run. Use as a context manager: on leaving, none of them is left.

    `machine`: where they are started, by default here. `route` maps the channel server's endpoint to the one that nodes
    are told (a proxy, say). `past`: what the run goes on from; nodes that were lost then are started if the plan says
    that they are restarted, or the machine has other places.
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
        names = node_names(plan, build_world(plan))
        self._names = [n for i, n in enumerate(names) if past is None or i in past.nodes or self._comes_back(n)]
        self._supervisor = Supervisor(plan.loss)
        self.nodes: dict[str, Process] = {}
        self.endpoint = ""
        self._route = route
        self._begun = False
        self._missed: set[str] = set()  # lost to the run, and not back yet
        self._slot = self._first = 0 if past is None else past.slot
        self._own: deque[Telemetry] = deque()  # what the launcher has to tell itself
        self._key = ""
        self._open = ExitStack()
        self._line, port = self._open.enter_context(self._machine.line())
        self._monitor = self._line.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._descriptor: int | None = None  # of the channel server's connection; strangers come and go by others
        self._broke = False
        self._quiet = 0  # so often nothing has come
        self._decoder: msgspec.msgpack.Decoder[Telemetry] = msgspec.msgpack.Decoder(Telemetry)
        try:
            self.channel = self._machine.start_channel(plan, port, past)
        except BaseException:
            self._hang_up()
            raise

    def receive(self) -> Telemetry | None:
        """The next telemetry, or None if there was none for a moment. Starts the nodes when the server listens, and
        again when they are lost and the plan says so."""
        if self._own:
            return self._own.popleft()
        if not self._line.poll(_POLL_MS):
            self._quiet += 1
            self._look_for_the_dead()
            return None
        self._quiet = 0
        telemetry = self._decoder.decode(self._heard())
        match telemetry:
            case Progress(slot):
                self._slot = slot
                self._begun = self._begun or slot > self._first
                self._look_for_the_dead()
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
        """Why the channel server will tell no more; "" while it may."""
        if not self._quiet:
            return ""
        exitcode, last_words = self.channel.exitcode, self._quiet > _LAST_WORDS_POLLS
        if last_words and not exitcode and self._has_broken():
            return "the line from the channel server broke"
        if exitcode or (last_words and exitcode is not None):
            return f"the channel server died ({self.channel.cause})"
        return ""

    def _heard(self) -> bytes:
        frame = self._line.recv(copy=False)
        if self._descriptor is None:
            self._has_broken()  # those who left before it came
            self._descriptor = int(frame.get(zmq.SRCFD))
        return bytes(frame.buffer)

    def _has_broken(self) -> bool:
        """Whether the channel server's connection has."""
        while self._monitor.poll(0):
            self._broke |= recv_monitor_message(self._monitor)["value"] == self._descriptor
        return self._broke

    def _follow(self, event: Event) -> None:
        if event.event == "lost":
            self._missed.add(event.node)
        elif event.event == "rejoined":
            self._missed.discard(event.node)
        if self._supervisor.is_given_up(event) and event.node in self.nodes:
            self.nodes[event.node].kill()

    def _look_for_the_dead(self) -> None:
        """Start again what is to be; a node that dies before the first slot would otherwise be waited for in vain."""
        for name in [name for name, process in self.nodes.items() if process.exitcode]:
            process = self.nodes[name]
            if process.taken_away and self._begun and name not in self._missed:
                continue  # until the channel server has noticed: the place is not free before
            if self._supervisor.may_restart(name, begun=self._begun):
                self._own.append(Event("restarted", self._slot, 0, name, process.cause))
                self._replace(name)
            elif process.taken_away and not _restarts(self.plan, name):
                self._replace(name)
            elif not self._begun:
                self._begun = True
                self._say(f"{name} died before the first slot ({process.cause})".encode())

    def _replace(self, name: str) -> None:
        self.nodes[name].close()
        self.start_node(name)

    def start_node(self, name: str) -> Process:
        """Start the process of one node; again, if the one before it was lost."""
        self.nodes[name] = self._machine.start_node(name, self.endpoint, self.plan.run_id, self._key)
        return self.nodes[name]

    def interrupt(self) -> bool:
        """Ask the channel server to stop after this slot; False while there is none."""
        return self._say(INTERRUPT)

    def pause(self) -> bool:
        """Ask the channel server to hold between two slots; False while there is none."""
        return self._say(PAUSE)

    def resume(self) -> bool:
        """Ask the channel server to go on; False while there is none."""
        return self._say(CONTINUE)

    def order(self, order: Order) -> bool:
        """Ask the channel server for something that it answers by telemetry; False while there is none."""
        return self._say(ORDER, msgspec.msgpack.encode(order))

    def __enter__(self) -> "NodeProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()
        processes = [self.channel, *self.nodes.values()]
        for process in processes:
            if process.waits:  # it shall not begin where another has just left
                process.kill()
        deadline = time.monotonic() + (EXIT_TIMEOUT_S if self.channel.exitcode == 0 else 2.0)
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in processes:
            if process.exitcode is None:
                process.kill()
                process.join()
            process.close()

    def _hang_up(self) -> None:
        self._line.disable_monitor()
        self._monitor.close()
        self._open.close()

    def _say(self, *wish: bytes) -> bool:
        try:
            self._line.send_multipart(wish, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _comes_back(self, node: str) -> bool:
        return _restarts(self.plan, node) or self._machine.has_other_places


def run_processes(
    plan: RunPlan,
    sink: Sink,
    interrupted: Callable[[], bool],
    paused: Callable[[], bool] = lambda: False,
    orders: Callable[[], Iterable[Order]] = tuple,
    *,
    past: Past | None = None,
    machine: Machine | None = None,
) -> Ended:
    """Play a run to its end, from the beginning or from its `past`; `interrupted` and `paused` are asked about ten
    times a second, and so is for `orders`."""
    roll_back = plan.loss.channel_server == "rollback"
    with NodeProcesses(plan, past=past, machine=machine) as processes:
        asked_at, heard, slot, pausing = 0.0, False, 0 if past is None else past.slot, False
        while True:
            telemetry = processes.receive()
            if telemetry is not None:
                sink(telemetry)
            if isinstance(telemetry, Progress):
                slot = telemetry.slot
            if isinstance(telemetry, Ended):
                return telemetry
            if reason := processes.silenced:
                return _broken_off(sink, slot, reason, roll_back=roll_back)
            for order in orders():
                if not processes.order(order):
                    break  # one that is not taken is offered again
            if paused() != pausing:
                said = processes.resume() if pausing else processes.pause()
                pausing = pausing != said
            if interrupted() and not heard:
                asked_at = asked_at or time.monotonic()
                heard = processes.interrupt()
            if asked_at and (time.monotonic() - asked_at > EXIT_TIMEOUT_S or processes.channel.waits):
                return _broken_off(sink, slot, "the channel server did not stop in time", state="STOPPED")


def _broken_off(sink: Sink, slots: int, reason: str, *, state: EndState = "FAILED", roll_back: bool = False) -> Ended:
    """The end of a run whose channel server cannot tell it any more."""
    ended = Ended(state, reason, slots, 0.0, 0, {}, {}, [], {}, roll_back=roll_back)
    sink(ended)
    return ended


def _restarts(plan: RunPlan, node: str) -> bool:
    return plan.loss.of(node) == "restart"

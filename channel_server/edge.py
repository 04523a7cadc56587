"""The channel server as a process: a core driven by a ROUTER socket, a clock for timeouts, and a telemetry socket.

The run's launcher (the controller) receives telemetry on the telemetry socket, a PAIR. It may send INTERRUPT, PAUSE,
CONTINUE, ORDER with an order, or the reason why the run must fail.
"""

import os
import time
import traceback
from collections.abc import Callable

import msgspec
import zmq

from channel_server.core import ChannelServer, Past, Send
from channel_server.frames import Frames, Outgoing
from channel_server.metronome import Metronome
from channel_server.seats import Peer
from channel_server.waiting import OVER, RUNNING, Awaited, Waiting
from channel_server.worlds.contract import World
from protocol.accounting.wire_book import WireBook
from protocol.determinism.fingerprint import fingerprint
from protocol.messages import telemetry
from protocol.messages.orders import Order
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import TELEMETRY_EVERY_S, Listening, Telemetry
from protocol.transports.curve import lock_client
from protocol.transports.keys import ClientKeys, ServerKeys
from protocol.transports.liveness import end_dead_connections
from protocol.transports.router import Router
from protocol.transports.running_time import RunningTime

POLL_INTERVAL_S = 0.05
_LINGER_MS = 5000  # for the last telemetry
_SPARE_CONNECTIONS = 1000  # besides the nodes': of nodes that replace others, and of unknown peers

_NO_SLOT_TIME = (Waiting.NODE_STATES, Waiting.RESUME, Waiting.LOST_NODES)


def serve(
    plan: RunPlan,
    world: World,
    *,
    endpoint: str,
    launcher: str,
    controller_gone: Callable[[], bool],
    past: Past | None = None,
    keys: ServerKeys | None = None,
    launcher_keys: ClientKeys | None = None,
    address: str = "",
) -> None:
    """Play one run for the nodes that connect to `endpoint`, and send its telemetry to `launcher`, to the end.

    `controller_gone`: True once the controller's process is gone; then the run fails and all nodes are dismissed.
    `keys`: what `endpoint` is locked with, and which nodes are admitted; None on this machine's own loopback.
    `launcher_keys`: what the telemetry socket is locked with, if the launcher locks it. `address`: the host by which
    nodes reach this one, if it is not the endpoint's.
    """
    context = zmq.Context()
    socket = context.socket(zmq.PAIR)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.LINGER, _LINGER_MS)
    end_dead_connections(socket)
    if launcher_keys is not None:
        lock_client(socket, launcher_keys)
    # No reconnection: what was on its way would be missing. The launcher is to see that the connection broke.
    socket.setsockopt(zmq.RECONNECT_IVL, -1)
    socket.connect(launcher)
    nodes = len(plan.nodes)
    with Router(context, endpoint, keys=keys, max_connections=nodes + _SPARE_CONNECTIONS, expected=nodes) as router:
        reachable = f"tcp://{address}:{router.endpoint.rpartition(':')[2]}" if address else router.endpoint
        listening = Listening(reachable, "" if keys is None else keys.public.decode())
        Edge(plan, world, router, socket, controller_gone, past).run(listening)
    socket.close()
    context.term()


class Edge:
    """The loop of `serve`."""

    def __init__(
        self,
        plan: RunPlan,
        world: World,
        router: Router,
        telemetry_socket: zmq.Socket[bytes],
        controller_gone: Callable[[], bool],
        past: Past | None = None,
    ) -> None:
        self._core = ChannelServer(plan, world, fingerprint())
        self._run = self._core.run
        wall_s, accounts = (0.0, []) if past is None else self._run.restore(past)
        self._wall = WallTime(wall_s)
        self._wire = WireBook(accounts, router.framing)
        self._frames = Frames(self._core, self._wire, router.objection)
        self._router = router
        self._telemetry = TelemetrySocket(telemetry_socket)
        self._controller_gone = controller_gone
        slot_ms = plan.clock.slot_ms
        self._metronome = None if slot_ms is None else Metronome(slot_ms)
        self._waiting = self._run.waiting
        self._since: dict[Awaited, float] = {}  # when each of the core's timeouts began
        self._time = RunningTime(counted_s=0.0)
        self._sent_telemetry_at = self._polled_at = self._time.now()

    def run(self, listening: Listening) -> None:
        """Until the run has ended. `listening`: where nodes connect to."""
        self._telemetry.send(listening)
        while self._run.waiting is not Waiting.NOTHING:
            try:
                if self._metronome is None:
                    self._take_one()
                else:
                    self._keep_time(self._metronome)
                if self._run.checkpoint_due:
                    self._send(self._run.checkpoint(wall_s=self._wall.so_far_s(), wire=self._wire.connections))
                now = self._time.now()
                if stopped_s := self._time.take_stop():
                    self._after_stop(stopped_s)
                if now - self._polled_at > POLL_INTERVAL_S:
                    self._poll(now)
            except Exception as error:  # the world or a scheme's data is at fault: the run ends with this reason
                lines = "".join(traceback.format_exception(error))
                self._send(self._run.fail(f"{type(error).__name__}: {error}", lines))
        self._send_end()

    # frames

    def _take_one(self) -> None:
        """Handle the next frame, if one comes within the router's timeout."""
        received = self._router.receive()
        if received is not None:
            self._take(*received)

    def _take_within(self, seconds: float) -> bool:
        """Handle the next frame, if one comes within this time; whether one came."""
        received = self._router.receive_within(min(seconds, POLL_INTERVAL_S))
        if received is None:
            return False
        self._take(*received)
        return True

    def _take(self, peer: Peer, frame: bytes | list[int]) -> None:
        if isinstance(frame, list):
            for length in frame:
                self._wire.up(peer, length, 0, 0)
            self._core.reject_frame(peer, "frame in several parts")
            return
        if not self._core.is_seated(peer):  # a Hello for a seat whose node has just died: free the seat first
            self._take_broken_connections()
        self._send_frames(self._frames.arrived(peer, frame))

    def _send(self, sends: list[Send]) -> None:
        self._send_frames(self._frames.encoded(sends) if sends else ())

    def _send_frames(self, outgoing: Outgoing) -> None:
        """Send what an event has led to; then do the idle work, as the nodes compute now."""
        waiting = self._run.waiting
        if waiting is not self._waiting:
            self._wall.note(self._waiting, waiting)
            self._waiting = waiting
        if outgoing:
            for peer, frame in outgoing:
                self._router.send(peer, frame)
            self._run.idle_work()

    # time

    def _keep_time(self, metronome: Metronome) -> None:
        """Handle the next frame of a paced run, or start the slot or pass the deadline that is due.

        Frames that came before a deadline are read before it passes, but for `overtime_s` at most: a flood of frames
        must not stop the clock.
        """
        run, now = self._run, self._time.now()
        if run.waiting is Waiting.SLOT_TIME:
            left_s = metronome.begin_of(run.slot, now) - now
            if left_s > 0:
                self._take_within(left_s)
            else:
                metronome.begin(run.slot, now)
                self._send(run.begin_slot())
        elif (part := run.deadline) is None:
            self._take_within(POLL_INTERVAL_S)
        else:
            left_s = metronome.deadline(part) - now
            took_one = left_s > -metronome.overtime_s and self._take_within(left_s)
            if not took_one and self._time.now() - now >= left_s:
                self._send(run.on_deadline())

    def _poll(self, now: float) -> None:
        """Handle broken connections, the launcher's messages and timeouts, and send telemetry."""
        self._polled_at = now
        self._take_broken_connections()
        self._count_rejected_connections()
        if self._metronome is not None and self._run.waiting in _NO_SLOT_TIME:
            self._metronome.rest()
        for message in self._telemetry.received():
            self._send(self._on_launcher_message(*message))
        if self._telemetry.broke or self._controller_gone():
            self._send(self._run.fail("the controller is gone"))
        self._check_timeouts(now)
        if now - self._sent_telemetry_at >= TELEMETRY_EVERY_S:
            self._sent_telemetry_at = now
            self._send_telemetry()

    def _after_stop(self, stopped_s: float) -> None:
        """This process did not run for a while, nor perhaps its nodes, which may continue later: all timeouts begin
        anew."""
        self._since.clear()
        self._run.state.events.add_stop(stopped_s)

    def _check_timeouts(self, now: float) -> None:
        timeouts = self._core.timeouts()
        self._since = {awaited: self._since.get(awaited, now) for awaited in timeouts}
        for awaited, timeout_s in timeouts.items():
            if now - self._since[awaited] > timeout_s:
                del self._since[awaited]
                sends = self._core.on_timeout(awaited)
                for peer, _ in sends:  # what was sent to a silent node before may not have arrived
                    self._wire.broke(peer)
                self._send(sends)

    # connections

    def _take_broken_connections(self) -> None:
        broken = self._router.broken()
        if broken:  # frames that these peers sent before their connections broke come first
            for received in self._router.pending():
                self._take(*received)
        for peer in broken:
            if self._run.waiting is not Waiting.GOODBYES and self._core.is_seated(peer):
                self._wire.broke(peer)
            self._send(self._core.gone(peer, "its connection broke"))

    def _count_rejected_connections(self) -> None:
        for reason, key in self._router.rejected():
            self._core.reject_connection(reason, key)

    def _on_launcher_message(self, message: bytes, order: bytes = b"") -> list[Send]:
        match message:
            case telemetry.ORDER:
                self._run.take_order(msgspec.msgpack.decode(order, type=Order))
                return []
            case telemetry.INTERRUPT:
                return self._run.interrupt()
            case telemetry.PAUSE:
                return self._run.pause()
            case telemetry.CONTINUE:
                return self._run.resume()
            case reason:
                return self._run.fail(reason.decode())

    # telemetry

    def _send_telemetry(self) -> None:
        for message in self._run.telemetry():
            self._telemetry.send(message)

    def _send_end(self) -> None:
        self._count_rejected_connections()
        if unread_connections := self._router.unread_connections():
            self._core.count_rejected("connection without a frame that can be read", unread_connections)
        self._send_telemetry()
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        times = None if self._metronome is None else (*self._metronome.spreads(), nice)
        self._telemetry.send(self._run.ended(wall_s=self._wall.so_far_s(), wire=self._wire.connections, times=times))


class WallTime:
    """The wall time of a run, from its first slot to the end of its last. `earlier_s`: before it was resumed."""

    def __init__(self, earlier_s: float) -> None:
        self._total_s = earlier_s
        self._began_at: float | None = None  # None while it is stopped

    def note(self, before: Waiting, after: Waiting) -> None:
        """The run waits for something else now: the time starts with the first slot and stops with the run."""
        if before is Waiting.NODES_TO_JOIN and after in RUNNING:
            self._began_at = time.monotonic()
        elif after in OVER:
            self._total_s, self._began_at = self.so_far_s(), None

    def so_far_s(self) -> float:
        """Up to now."""
        return self._total_s + (0.0 if self._began_at is None else time.monotonic() - self._began_at)


class TelemetrySocket:
    """The PAIR socket to the launcher. `broke`: whether telemetry could not be sent on it."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._encode = msgspec.msgpack.Encoder().encode
        self.broke = False

    def send(self, message: Telemetry) -> None:
        """Send without waiting."""
        try:
            self._socket.send(self._encode(message), zmq.NOBLOCK)
        except zmq.Again:  # a PAIR without its peer takes nothing
            self.broke = True

    def received(self) -> list[list[bytes]]:
        """The launcher's messages that have come, in their parts."""
        messages = []
        while self._socket.poll(0):
            messages.append(self._socket.recv_multipart())
        return messages

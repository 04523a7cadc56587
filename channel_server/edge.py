"""The channel server as a process: a core driven by a ROUTER socket, a clock for timeout, and a line to its owner.

The owner (the controller) hears telemetry on a PAIR socket; it may say INTERRUPT, PAUSE, CONTINUE, ORDER with an order,
or why the run cannot go on.
"""

import time
import traceback
from collections.abc import Callable

import msgspec
import zmq

from channel_server.core import ChannelServer, Past, Send
from channel_server.frames import Frames
from channel_server.metronome import Metronome
from channel_server.seats import Peer
from channel_server.worlds.contract import World
from protocol.accounting.wire_book import WireBook
from protocol.determinism.fingerprint import fingerprint
from protocol.messages import telemetry
from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.orders import Order
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import TELEMETRY_EVERY_S, Event, Listening, Paced, Progress, Telemetry
from protocol.transports.curve import lock_client
from protocol.transports.keys import ClientKeys, ServerKeys
from protocol.transports.router import Router

POLL_INTERVAL_S = 0.05
SEATING_TIMEOUT_S = 60.0
GOODBYE_TIMEOUT_S = 3.0


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
    """Play one run for the nodes that come to `endpoint`, and tell `owner` how it goes, to the end.

    `abandoned`: True once the owner is gone; then all nodes are sent home. `keys`: what `endpoint` is locked with, and
    which nodes may come. `owner_keys`: what the line to the owner is locked with. None on this machine's own loopback.
    `address`: the host by which others reach this one, if it is not the endpoint's.
    """
    context = zmq.Context()
    line = context.socket(zmq.PAIR)
    line.setsockopt(zmq.SNDHWM, 0)
    line.setsockopt(zmq.LINGER, 5000)
    if launcher_keys is not None:
        lock_client(line, launcher_keys)
    line.setsockopt(zmq.RECONNECT_IVL, -1)  # what was on its way would be missing: the owner shall see that it broke
    line.connect(launcher)
    with Router(context, endpoint, keys=keys) as router:
        told = f"tcp://{address}:{router.endpoint.rpartition(':')[2]}" if address else router.endpoint
        listening = Listening(told, "" if keys is None else keys.public.decode())
        Edge(plan, world, router, line, controller_gone, past).run(listening)
    line.close()
    context.term()


class Edge:
    """The loop of `serve`."""

    def __init__(
        self,
        plan: RunPlan,
        world: World,
        router: Router,
        line: zmq.Socket[bytes],
        controller_gone: Callable[[], bool],
        past: Past | None = None,
    ) -> None:
        self._core = ChannelServer(plan, world, fingerprint())
        self._wall_s, earlier = (0.0, []) if past is None else self._core.restore(past)
        self._wire = WireBook(earlier, router.framing)
        self._frames = Frames(self._core, self._wire)
        self._router = router
        self._line = line
        self._encode = msgspec.msgpack.Encoder().encode
        self._controller_gone = controller_gone
        self._unread = False
        self._loss = plan.loss
        slot_ms = plan.clock.slot_ms
        self._metronome = None if slot_ms is None else Metronome(slot_ms)
        self._owed: dict[tuple[int, int, int], float] = {}  # who owes the answer of which turn, and since when
        self._began_at = 0.0
        self._first_slot = 0
        self._awaiting: tuple[str, int, int] = ("", 0, 0)
        self._since = self._told_at = self._looked_at = time.monotonic()

    def run(self, listening: Listening) -> None:
        """Until the run has ended. `listening`: where nodes shall come to."""
        self._tell(listening)
        while self._core.stage != "ended":
            try:
                if self._metronome is None:
                    self._take_one()
                else:
                    self._keep_time(self._metronome)
                if self._core.saved:
                    self._send(self._core.checkpoint(wall_s=self._so_far_s(), wire=self._wire.connections))
                now = time.monotonic()
                if now - self._looked_at > POLL_INTERVAL_S:
                    self._poll_all(now)
            except Exception as error:  # the world or a scheme's data is at fault: the run ends, and says why
                self._log_traceback(error)
                self._send(self._core.fail(f"{type(error).__name__}: {error}"))
        self._report_end()

    def _take_one(self) -> None:
        """Handle the next frame, if one comes within a moment."""
        received = self._router.receive()
        if received is not None:
            self._take(*received)

    def _keep_time(self, metronome: Metronome) -> None:
        """Handle the next frame of a paced run, or what is due.

        Frames that came before a deadline are read before it passes, though not for ever.
        """
        core, now = self._core, time.monotonic()
        if core.between_slots:
            left_s = metronome.begin_of(core.slots.slot, now) - now
            if left_s > 0:
                self._listen(left_s)
            else:
                metronome.begin(core.slots.slot, now)
                self._advance_clock(core.begin_slot)
        elif (part := core.slots.deadline) is None:
            self._listen(POLL_INTERVAL_S)
        else:
            left_s = metronome.deadline(part) - now
            heard = left_s > -metronome.overtime_s and self._listen(left_s)
            if not heard and time.monotonic() - now >= left_s:
                self._advance_clock(core.deadline)

    def _listen(self, seconds: float) -> bool:
        """Handle the next frame, if one comes within this time; whether one came."""
        received = self._router.receive_within(min(seconds, POLL_INTERVAL_S))
        if received is None:
            return False
        self._take(*received)
        return True

    def _advance_clock(self, on: Callable[[], list[Send]]) -> None:
        """The clock moves the run."""
        before = self._core.stage
        self._send(on())
        if self._core.stage != before:
            self._note_stage(before)
        self._core.slots.idle_work()

    def _take(self, peer: Peer, frame: bytes | list[int]) -> None:
        if isinstance(frame, list):
            for length in frame:
                self._wire.up(peer, length, 0, 0)
            self._core.reject_frame(peer, "frame in several parts")
            return
        if not self._core.is_seated(peer):  # it may have come for a seat whose node has just died
            self._see_off_the_broken()
        before = self._core.stage
        outgoing = self._frames.arrived(peer, frame)
        if self._core.stage != before:
            self._note_stage(before)
        if outgoing:
            for to, answer in outgoing:
                self._router.send(to, answer)
            self._core.slots.idle_work()

    def _poll_all(self, now: float) -> None:
        """Broken connections, the owner's wishes, timeout, telemetry."""
        self._looked_at = now
        self._see_off_the_broken()
        self._count_the_refused()
        if self._metronome is not None and (self._core.held or self._core.rests):
            self._metronome.rest()
        while self._line.poll(0):
            self._send(self._granted(*self._line.recv_multipart()))
        if self._unread or self._controller_gone():
            self._send(self._core.fail("the controller is gone"))
        self._check_timeouts(now)
        if self._metronome is not None:
            self._watch_debtors(now)
        if now - self._told_at >= TELEMETRY_EVERY_S:
            self._told_at = now
            self._tell_all()

    def _see_off_the_broken(self) -> None:
        broken = self._router.broken()
        if broken:  # what they said before they left comes first
            for received in self._router.pending():
                self._take(*received)
        for peer in broken:
            if self._core.stage != "ending" and self._core.is_seated(peer):
                self._wire.broke(peer)
            self._send(self._core.gone(peer, "its connection broke"))

    def _count_the_refused(self) -> None:
        for reason, key in self._router.rejected():
            self._core.rejected(reason, key)

    def _granted(self, wish: bytes, order: bytes = b"") -> list[Send]:
        """What the owner's wish leads to."""
        match wish:
            case telemetry.ORDER:
                self._core.take_order(msgspec.msgpack.decode(order, type=Order))
                return []
            case telemetry.INTERRUPT:
                return self._core.interrupt()
            case telemetry.PAUSE:
                return self._core.pause()
            case telemetry.CONTINUE:
                return self._core.resume()
            case reason:
                return self._core.fail(reason.decode())

    def _check_timeouts(self, now: float) -> None:
        slots = self._core.slots
        awaiting = (self._core.stage, slots.slot, slots.turn)
        if awaiting != self._awaiting or self._core.rests:
            self._awaiting, self._since = awaiting, now
        timeout_s = self._timeout_s()
        if now - self._since > timeout_s:
            self._since = now
            self._dismiss(self._core.on_timeout(f"silent for {timeout_s:g} s"))

    def _watch_debtors(self, now: float) -> None:
        """Who owes an answer in a paced run is not awaited, yet lost when it is silent for too long."""
        known = {} if self._core.rests else self._owed  # no timeout runs out in the owner's pause
        self._owed = {owed: known.get(owed, now) for owed in self._core.slots.owed}
        for (node, _, _), since in self._owed.items():
            timeout_s = self._timeout_with(self._core.names[node])
            if now - since > timeout_s:
                self._dismiss(self._core.on_timeout_of([node], f"silent for {timeout_s:g} s"))

    def _dismiss(self, sends: list[Send]) -> None:
        """Say goodbye to nodes that are given up."""
        for peer, _ in sends:
            self._wire.broke(peer)
        self._send(sends)

    def _timeout_s(self) -> float:
        match self._core.stage:
            case "seating":
                return SEATING_TIMEOUT_S
            case "ending":
                return GOODBYE_TIMEOUT_S
            case "running" if self._core.waits_for_lost:
                return self._loss.pause_s
            case _:
                awaited = self._core.awaited
                timeout_s = self._timeout_with(awaited[0] if len(awaited) == 1 else "")
                begins = self._core.slots.slot == self._first_slot  # nodes may still be loading what they learn with
                return max(timeout_s, SEATING_TIMEOUT_S) if begins else timeout_s

    def _timeout_with(self, node: str) -> float:
        return self._loss.trainer_lost_after_s if node == TRAINER_NAME else self._loss.lost_after_s

    def _note_stage(self, before: str) -> None:
        """The clock of the run: from the first slot to the end of the last."""
        if self._core.stage == "running":
            self._began_at = time.monotonic() - self._wall_s
            self._first_slot = self._core.slots.slot
        elif before == "running":
            self._wall_s = self._so_far_s()

    def _so_far_s(self) -> float:
        return time.monotonic() - self._began_at

    def _send(self, sends: list[Send]) -> None:
        for peer, frame in self._frames.encoded(sends):
            self._router.send(peer, frame)

    def _tell(self, told: Telemetry) -> None:
        try:
            self._line.send(self._encode(told), zmq.NOBLOCK)
        except zmq.Again:
            self._unread = True  # the line broke

    def _tell_all(self) -> None:
        for told in self._core.slots.recorder.drain():
            self._tell(told)
        if update := self._core.slots.map_update():
            self._tell(update)
        self._tell(Progress(self._core.slots.slot))

    def _report_end(self) -> None:
        self._count_the_refused()
        if unread_connections := self._router.unread_connections():
            self._core.dropped["connection without a frame that can be read"] = unread_connections
        self._tell_all()
        self._tell(self._core.ended(wall_s=self._wall_s, wire=self._wire.connections, paced=self._paced()))

    def _paced(self) -> Paced | None:
        if self._metronome is None:
            return None
        length_s, lateness_s = self._metronome.length_s, self._metronome.lateness_s
        return self._core.slots.pace.told(length_s.spread(), lateness_s.spread())

    def _log_traceback(self, error: Exception) -> None:
        lines = "".join(traceback.format_exception(error))
        slots = self._core.slots
        slots.recorder.event(Event("warning", slots.slot, slots.turn, "channel server", lines))

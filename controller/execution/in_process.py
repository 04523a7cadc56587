"""All nodes of a run in this process, over the loopback transport."""

import time
from collections import deque

from agent_node.session import Session
from channel_server.core import ChannelServer, Past, Send
from channel_server.frames import Frames
from channel_server.run_progress import RunProgress
from channel_server.waiting import Waiting
from channel_server.worlds.contract import World
from controller.execution.building import build_world, policy_builder
from controller.execution.controls import NO_CONTROLS, RunControls
from protocol.determinism.fingerprint import fingerprint
from protocol.messages.codec import decode_for_node, encode
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import TELEMETRY_EVERY_S, Ended, Sink

_PAUSE_POLL_S = 0.05


class Loopback:
    """Queues instead of sockets: every message is still encoded and decoded.

    Advance with `step` until the run waits for NOTHING, and `checkpoint` when one is due. `sessions`: the nodes, by
    their transport's name. `wall_s`: of the run that is resumed, up to its checkpoint.
    """

    def __init__(self, plan: RunPlan, world: World, past: Past | None = None) -> None:
        self.core = ChannelServer(plan, world, fingerprint())
        self.run = self.core.run
        self.wall_s = 0.0 if past is None else self.run.restore(past)[0]
        self.sessions: dict[bytes, Session] = {}
        self._plan = plan
        self._names = plan.nodes if past is None else [self.run.names[node] for node in past.nodes]
        self._frames = Frames(self.core, None)
        self._down: deque[tuple[bytes, bytes]] = deque()

    @property
    def in_flight(self) -> list[tuple[bytes, bytes]]:
        """The frames to nodes that are not delivered yet, each with its receiver."""
        return list(self._down)

    def seat_all(self) -> None:
        """Let every node of the plan join."""
        for name in self._names:
            self.join(name.encode(), name)

    def join(self, peer: bytes, name: str) -> None:
        """Add a node, which sends its Hello."""
        self.sessions[peer] = Session(self._plan.run_id, name, policy_builder(name))
        self.deliver(peer, encode(self.sessions[peer].hello()))

    def leave(self, peer: bytes, reason: str) -> None:
        """Remove a node; the frames in flight to it are lost."""
        del self.sessions[peer]
        self.send(self.core.gone(peer, reason))

    def step(self) -> bool:
        """Deliver one frame to a node and its answers to the server; False if there is none."""
        if not self._down:
            return False
        peer, frame = self._down.popleft()
        if session := self.sessions.get(peer):
            for answer in session.handle(decode_for_node(frame)):
                self.deliver(peer, encode(answer))
        return True

    def play_round(self) -> int:
        """Deliver the frames that are in flight now, mostly those of a turn; their number."""
        frames = len(self._down)
        for _ in range(frames):
            self.step()
        return frames

    def send(self, sends: list[Send]) -> None:
        """Queue what the core sends."""
        self._down.extend(self._frames.encoded(sends))

    def deliver(self, peer: bytes, frame: bytes) -> None:
        """Deliver a frame to the server."""
        self._down.extend(self._frames.arrived(peer, frame))


def run_in_process(
    plan: RunPlan, sink: Sink, controls: RunControls = NO_CONTROLS, *, past: Past | None = None
) -> Ended:
    """Execute a run until it ends, from the beginning or from its `past`.

    `controls`: interrupts and pauses are polled after the messages of a turn, orders several times a second.
    """
    loopback = Loopback(plan, build_world(plan), past)
    run = loopback.run
    loopback.seat_all()
    reported_at = time.monotonic()
    started_at = reported_at - loopback.wall_s
    pausing = False
    while run.waiting is not Waiting.NOTHING:
        try:
            if run.checkpoint_due:
                loopback.send(run.checkpoint(wall_s=time.monotonic() - started_at, wire=[]))
            if controls.paused() != pausing:
                pausing = not pausing
                _pause_or_resume(loopback, controls, pausing=pausing)
            _play_or_sleep(loopback)
        except Exception as error:  # of the world or a scheme: the run fails with this reason
            loopback.send(run.fail(f"{type(error).__name__}: {error}"))
        now = time.monotonic()
        if now - reported_at >= TELEMETRY_EVERY_S:
            reported_at = now
            _take_orders(run, controls)
            _send_telemetry(run, sink)
        if controls.interrupted():
            loopback.send(run.interrupt())
    ended = run.ended(wall_s=time.monotonic() - started_at, wire=[])
    _send_telemetry(run, sink)
    sink(ended)
    return ended


def _pause_or_resume(loopback: Loopback, controls: RunControls, *, pausing: bool) -> None:
    _take_orders(loopback.run, controls)  # orders given before the pause take effect before it
    loopback.send(loopback.run.pause() if pausing else loopback.run.resume())


def _play_or_sleep(loopback: Loopback) -> None:
    run = loopback.run
    if run.waiting is Waiting.RESUME:
        time.sleep(_PAUSE_POLL_S)
    elif not loopback.play_round():
        raise RuntimeError(f"no message is in flight, yet {', '.join(run.awaited)} did not answer")


def _take_orders(run: RunProgress, controls: RunControls) -> None:
    for order in controls.orders():
        run.take_order(order)


def _send_telemetry(run: RunProgress, sink: Sink) -> None:
    for telemetry in run.telemetry():
        sink(telemetry)

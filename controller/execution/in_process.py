"""All nodes of a run in this process, over the loopback transport."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from agent_node.session import Session
from channel_server.core import ChannelServer, Past, Send
from channel_server.frames import Frames
from channel_server.worlds.contract import World
from controller.execution.building import build_world, node_names, policy_builder
from protocol.determinism.fingerprint import fingerprint
from protocol.messages.codec import decode_for_node, encode
from protocol.messages.orders import Order
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import TELEMETRY_EVERY_S, Ended, Progress, Sink

_POLL_INTERVAL_S = 0.05  # while paused


class Loopback:
    """Queues in place of wires: every message is still encoded and decoded.

    Advance with `step` until the core's stage is "ended", and `checkpoint` when it has `saved`. `sessions`: the nodes,
    by their transport's name. `wall_s`: of the run that is resumed, up to its checkpoint.
    """

    def __init__(self, plan: RunPlan, world: World, past: Past | None = None) -> None:
        self.core = ChannelServer(plan, world, fingerprint())
        self.wall_s = 0.0 if past is None else self.core.restore(past)[0]
        self.sessions: dict[bytes, Session] = {}
        self._plan = plan
        self._names = node_names(plan, world) if past is None else [self.core.names[node] for node in past.nodes]
        self._frames = Frames(self.core, None)
        self._down: deque[tuple[bytes, bytes]] = deque()

    @property
    def on_their_way(self) -> list[tuple[bytes, bytes]]:
        """Frames to nodes that have not been delivered yet."""
        return list(self._down)

    def seat_all(self) -> None:
        """Every node says Hello."""
        for name in self._names:
            self.join(name.encode(), name)

    def join(self, peer: bytes, name: str) -> None:
        """A new node asks for a place."""
        self.sessions[peer] = Session(self._plan.run_id, name, policy_builder(name))
        self.deliver(peer, encode(self.sessions[peer].hello()))

    def leave(self, peer: bytes, reason: str) -> None:
        """A node is gone, and with it what was on its way to it."""
        del self.sessions[peer]
        self.send(self.core.gone(peer, reason))

    def step(self) -> bool:
        """Deliver one frame to a node and its answers to the server; False if nothing is on its way."""
        if not self._down:
            return False
        peer, frame = self._down.popleft()
        if session := self.sessions.get(peer):
            for answer in session.handle(decode_for_node(frame)):
                self.deliver(peer, encode(answer))
        return True

    def send(self, sends: list[Send]) -> None:
        """What the core wants sent."""
        self._down.extend(self._frames.encoded(sends))

    def deliver(self, peer: bytes, frame: bytes) -> None:
        """A frame reaches the server."""
        self._down.extend(self._frames.arrived(peer, frame))


def run_in_process(
    plan: RunPlan,
    sink: Sink,
    interrupted: Callable[[], bool],
    paused: Callable[[], bool] = lambda: False,
    orders: Callable[[], Iterable[Order]] = tuple,
    *,
    past: Past | None = None,
) -> Ended:
    """Play a run to its end, from the beginning or from its `past`; `interrupted` and `paused` are asked between
    messages, for `orders` several times a second."""
    loopback = Loopback(plan, build_world(plan), past)
    core = loopback.core
    loopback.seat_all()
    told = time.monotonic()
    began = told - loopback.wall_s
    pausing = False
    while core.stage != "ended":
        try:
            if core.saved:
                loopback.send(core.checkpoint(wall_s=time.monotonic() - began, wire=[]))
            if paused() != pausing:
                _take(core, orders())  # what was asked for before
                pausing = not pausing
                loopback.send(core.pause() if pausing else core.resume())
            if core.rests:
                time.sleep(_POLL_INTERVAL_S)
            elif not loopback.step():
                raise RuntimeError(f"nothing is on its way, yet {', '.join(core.awaited)} did not answer")
        except Exception as error:  # the world or a scheme's data is at fault: the run ends, and says why
            loopback.send(core.fail(f"{type(error).__name__}: {error}"))
        now = time.monotonic()
        if now - told >= TELEMETRY_EVERY_S:
            told = now
            _take(core, orders())
            _tell(core, sink)
        if interrupted():
            loopback.send(core.interrupt())
    wall_s = time.monotonic() - began
    _tell(core, sink)
    ended = core.ended(wall_s=wall_s, wire=[])
    sink(ended)
    return ended


def _take(core: ChannelServer, orders: Iterable[Order]) -> None:
    for order in orders:
        core.take_order(order)


def _tell(core: ChannelServer, sink: Sink) -> None:
    for telemetry in core.slots.recorder.drain():
        sink(telemetry)
    if update := core.slots.map_update():
        sink(update)
    sink(Progress(core.slots.slot))

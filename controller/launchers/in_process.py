"""All nodes of a run in this process, over the loopback transport."""

import time
from collections import deque
from collections.abc import Callable

from agent_node.core import agent_policy
from agent_node.session import Session
from channel_server.core import ChannelServer, Send
from channel_server.frames import Frames, Outgoing
from channel_server.worlds.contract import World
from controller.launchers.building import build_world, node_names
from controller.trainer import trainer_policy
from protocol.codec import decode_for_node, encode
from protocol.fingerprint import fingerprint
from protocol.plan import RunPlan
from protocol.telemetry import Ended, Progress, Sink

TELEMETRY_EVERY_S = 0.25


class Loopback:
    """Queues in place of wires: every message is still encoded and decoded.

    `sessions` by peer; a peer's name is its node's. Advance with `step` until the core's stage is "ended".
    """

    def __init__(self, plan: RunPlan, world: World) -> None:
        self.core = ChannelServer(plan, world, fingerprint())
        self._frames = Frames(self.core, None)
        self._down: deque[tuple[bytes, bytes]] = deque()
        self.sessions: dict[bytes, Session] = {}
        for name in node_names(plan, world):
            build = trainer_policy if name == "trainer" else agent_policy
            self.sessions[name.encode()] = Session(plan.run_id, name, build)

    def seat_all(self) -> None:
        """Every node says Hello."""
        for peer, session in self.sessions.items():
            self._to_server(peer, encode(session.hello()))

    def step(self) -> bool:
        """Deliver one frame to a node and its answers to the server; False if nothing is on its way."""
        if not self._down:
            return False
        peer, frame = self._down.popleft()
        for answer in self.sessions[peer].handle(decode_for_node(frame)):
            self._to_server(peer, encode(answer))
        return True

    def send(self, sends: list[Send]) -> None:
        """What the core wants sent."""
        self._queue(self._frames.encoded(sends))

    def _to_server(self, peer: bytes, frame: bytes) -> None:
        self._queue(self._frames.arrived(peer, frame))

    def _queue(self, outgoing: Outgoing) -> None:
        self._down.extend(outgoing)


def run_in_process(plan: RunPlan, sink: Sink, interrupted: Callable[[], bool]) -> Ended:
    """Play a run to its end; `interrupted` is asked between messages."""
    loopback = Loopback(plan, build_world(plan))
    core = loopback.core
    loopback.seat_all()
    began = told = time.monotonic()
    while core.stage != "ended":
        try:
            if not loopback.step():
                raise RuntimeError(f"nothing is on its way, yet {', '.join(core.awaited)} did not answer")
        except Exception as error:  # the world or a scheme's data is at fault: the run ends, and says why
            loopback.send(core.fail(f"{type(error).__name__}: {error}"))
        now = time.monotonic()
        if now - told >= TELEMETRY_EVERY_S:
            told = now
            _tell(core, sink)
        if interrupted():
            loopback.send(core.interrupt())
    wall_s = time.monotonic() - began
    _tell(core, sink)
    ended = core.ended(wall_s=wall_s, wire=[])
    sink(ended)
    return ended


def _tell(core: ChannelServer, sink: Sink) -> None:
    for telemetry in core.slots.recorder.drain():
        sink(telemetry)
    sink(Progress(core.slots.slot))

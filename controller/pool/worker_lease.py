"""One place of a worker, leased to a run: the line to its run process, and the process that was started for it."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import zmq

from channel_server.core import Past
from controller.execution.children import bound, channel_process, node_process
from controller.execution.local_machine import ForkedProcess, LocalMachine, keys_for
from protocol.messages.codec import MAX_FRAME_BYTES, BadFrame
from protocol.messages.pool import (
    SIGN_OF_LIFE_S,
    Alive,
    Assignment,
    Attach,
    Exited,
    FromRunProcess,
    Kill,
    Lease,
    Refusal,
    Release,
    StartChannel,
    StartNode,
    StateChunk,
    decode_from_run_process,
    encode,
)
from protocol.transports.keys import ClientKeys, ServerKeys
from protocol.transports.line import Line

RUN_PROCESS_TIMEOUT_S = 30.0  # it may be busy with a checkpoint
_CONNECT_TIMEOUT_S = 10.0
_MAX_PAST_BYTES = 2**33


class Air(NamedTuple):
    """How a channel server is reached: the endpoint that it binds, the host it tells if that is another."""

    endpoint: str
    address: str


class WorkerLease:
    """Attend to it often. `air`: asked where a channel server shall listen. `keys`: the worker's, if it has some."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        run_process_host: str,
        lease: Lease,
        come: Attach,
        machine: LocalMachine,
        air: Callable[[], Air],
        keys: ClientKeys | None,
        *,
        now: float,
    ) -> None:
        self.held = Assignment(lease.run_id)
        self.over = ""  # why the place is free again
        self._host = run_process_host
        self._endpoint = f"tcp://{run_process_host}:{lease.port}"
        self._come = come
        self._machine = machine
        self._air = air
        self._keys = keys
        self._line = Line(context, self._endpoint, keys=keys, max_bytes=MAX_FRAME_BYTES)
        self._has_come = False
        self._process: ForkedProcess | None = None
        self._past = bytearray()
        self._heard_at = self._told_at = now

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        return self._line.socket

    def attend(self, now: float) -> None:
        """Hear the run process, look after the child, give a sign of life."""
        self._line.look()
        if self._line.connected and not self._has_come:
            self._has_come = self._line.say(encode(self._come))
        for frame in self._line.heard():
            self._heard_at = now
            self._take(frame)
        if self._process is not None and self._process.exitcode is not None:
            self._bury()
        if now - self._told_at >= SIGN_OF_LIFE_S and self._has_come:
            self._told_at = now
            self._line.say(encode(Alive()))
        self._watch_run_process(now)

    def end(self) -> None:
        """Nothing of it is left."""
        if self._process is not None:
            self._process.kill()
            self._bury()
        self._line.close()

    def _watch_run_process(self, now: float) -> None:
        silent_s = now - self._heard_at
        if self._line.breaks:
            self.over = self.over or "the run's run process is gone"
        elif not self._has_come and (self._line.failures or silent_s > _CONNECT_TIMEOUT_S):
            self.over = (
                f"the run's run process cannot be reached at {self._endpoint}: open its port, see --run-process-ports"
            )
        elif silent_s > RUN_PROCESS_TIMEOUT_S:
            self.over = f"the run's run process has been silent for {RUN_PROCESS_TIMEOUT_S:g} s"

    def _take(self, frame: bytes) -> None:
        try:
            self._obey(decode_from_run_process(frame))
        except BadFrame as bad:
            self.over = f"the run's run process said what is not understood: {bad}"
        except OSError as error:  # of the network, or too many processes
            self.over = f"what the run process asks for cannot be started: {error}"

    def _obey(self, message: FromRunProcess) -> None:
        match message:
            case StateChunk(data) if len(self._past) + len(data) <= _MAX_PAST_BYTES:
                self._past += data
            case StartChannel() if self._come.role == "channel" and self._process is None:
                self._start_channel(message)
            case StartNode(endpoint, run_id, name, key) if self._come.role == "agent" and self._process is None:
                self._start(name, node_process, endpoint, run_id, name, keys_for(self._keys, key))
            case Kill():
                if self._process is not None:
                    self._process.kill()
            case Release():
                self.over = "released"
            case Refusal(reason):
                self.over = f"refused: {reason}"
            case Alive():
                pass
            case _:
                self.over = f"the run's run process asks for what this worker does not do: {type(message).__name__}"

    def _start_channel(self, told: StartChannel) -> None:
        past = msgspec.msgpack.decode(self._past, type=Past) if self._past else None
        self._past.clear()
        plan, launcher = msgspec.msgpack.encode(told.plan), f"tcp://{self._host}:{told.port}"
        keys = None if self._keys is None else _fresh(told.allowed)
        self._start("channel server", channel_process, plan, launcher, past, *self._air(), keys, self._keys)

    def _start(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        self._process = self._machine.start(bound, target, *arguments)
        self.held = Assignment(self.held.run_id, name)

    def _bury(self) -> None:
        """The child has ended, or has been killed."""
        process, self._process = self._process, None
        if process is not None:
            process.join()
            self._line.say(encode(Exited(process.exitcode or 0)))
            process.close()
            self.held = Assignment(self.held.run_id)


def _fresh(allowed: list[str]) -> ServerKeys:
    """A channel server's own, for one run: the controller's secret stays with the controller."""
    public, secret = zmq.curve_keypair()
    return ServerKeys(secret, public, frozenset(key.encode() for key in allowed))

"""One leased unit of a worker's capacity: the connection to the run process, and the process started for it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import zmq
from msgspec.structs import replace

from channel_server.core import Past
from controller.execution.children import channel_process, node_process, run_tied_to_parent
from controller.execution.local_machine import ForkedProcess, LocalMachine, keys_for
from controller.pool.timeouts import (
    RUN_PROCESS_CONNECT_TIMEOUT_S,
    RUN_PROCESS_RECONNECT_TIMEOUT_S,
    RUN_PROCESS_TIMEOUT_S,
)
from protocol.messages.codec import MAX_FRAME_BYTES, BadFrame
from protocol.messages.pool import (
    HEARTBEAT_INTERVAL_S,
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
from protocol.transports.dealer import ReconnectingDealer
from protocol.transports.keys import AllowedKey, ClientKeys, ServerKeys

_MAX_STATE_BYTES = 2**33


class ChannelAddress(NamedTuple):
    """Where a channel server listens: the endpoint that it binds, and the host that it announces if that is another."""

    endpoint: str
    address: str


class WorkerLease:
    """Poll it often; end it once `over` says why the lease is over. `connected`: whether it is, and has sent Attach.

    What it runs goes on while a broken connection is made again. `channel_address` returns where a channel server is to
    listen. `keys`: the worker's, if it has some. `poller`: wakes the worker for the run process's messages.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        run_process_host: str,
        lease: Lease,
        attach: Attach,
        machine: LocalMachine,
        channel_address: Callable[[], ChannelAddress],
        keys: ClientKeys | None,
        poller: zmq.Poller,
        *,
        now: float,
    ) -> None:
        self.assignment = Assignment(lease.run_id)
        self.over = ""
        self._host = run_process_host
        self._endpoint = f"tcp://{run_process_host}:{lease.port}"
        self._attach = attach
        self._machine = machine
        self._channel_address = channel_address
        self._keys = keys
        self._run_process = ReconnectingDealer(context, self._endpoint, keys=keys, max_bytes=MAX_FRAME_BYTES)
        self._poller = poller
        self._poller.register(self._run_process.socket, zmq.POLLIN)
        self.connected = False
        self._broken_at: float | None = None
        self._process: ForkedProcess | None = None
        self._started = 0  # processes
        self._exitcode: int | None = None  # of the last of them
        self._state = bytearray()  # of a channel server that is resumed; arrives in chunks
        self._received_at = self._sent_at = now

    def poll(self, now: float) -> None:
        """Receive messages, reap the child process, and send a heartbeat."""
        self._run_process.monitor.poll()
        if self._run_process.monitor.connected and not self.connected:
            self._introduce()
        for frame in self._run_process.pending():
            self._received_at = now
            self._receive(frame)
        if self._run_process.monitor.breaks and not self.over:  # what came before the break has been read
            self._connect_again(now)
        if self._process is not None and self._process.exitcode is not None:
            self._reap()
        if now - self._sent_at >= HEARTBEAT_INTERVAL_S and self.connected:
            self._sent_at = now
            self._run_process.send(encode(Alive()))
        self._check_run_process(now)

    def end(self) -> None:
        """Kill the child process and close the connection."""
        if self._process is not None:
            self._process.kill()
            self._reap()
        self._poller.unregister(self._run_process.socket)
        self._run_process.close()

    def _connect_again(self, now: float) -> None:
        """The connection broke. The state of a channel server may have come in part: it is sent anew."""
        self._poller.unregister(self._run_process.socket)
        self._run_process.renew()
        self._poller.register(self._run_process.socket, zmq.POLLIN)
        self._state.clear()
        self.connected = False
        if self._broken_at is None:
            self._broken_at = now

    def _introduce(self) -> None:
        attach = self._attach
        if self.assignment.attached:
            attach = replace(attach, started=self._started, exitcode=self._exitcode)
        if not self._run_process.monitor.breaks and self._run_process.send(encode(attach)):
            self.connected, self._broken_at = True, None
            self.assignment = replace(self.assignment, attached=True)

    def _check_run_process(self, now: float) -> None:
        silent_s = now - self._received_at
        if self._broken_at is not None and now - self._broken_at > RUN_PROCESS_RECONNECT_TIMEOUT_S:
            self.over = self.over or "the run process is gone"
        elif not self.assignment.attached and (
            self._run_process.monitor.failures or silent_s > RUN_PROCESS_CONNECT_TIMEOUT_S
        ):
            self.over = f"the run process cannot be reached at {self._endpoint}: open its port, see --run-process-ports"
        elif silent_s > RUN_PROCESS_TIMEOUT_S:
            self.over = f"the run process has been silent for {RUN_PROCESS_TIMEOUT_S:g} s"

    def _receive(self, frame: bytes) -> None:
        try:
            self._handle(decode_from_run_process(frame))
        except BadFrame as bad:
            self.over = f"the run process sent an invalid frame: {bad}"
        except OSError as error:  # the network, or too many processes
            self.over = f"the requested process cannot be started: {error}"

    def _handle(self, message: FromRunProcess) -> None:
        match message:
            case StateChunk(data) if len(self._state) + len(data) <= _MAX_STATE_BYTES:
                self._state += data
            case StartChannel() if self._attach.role == "channel" and self._process is None:
                self._start_channel(message)
            case StartNode(endpoint, run_id, name, key) if self._attach.role == "agent" and self._process is None:
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
                self.over = f"the run process sent {type(message).__name__}, which this worker cannot do"

    def _start_channel(self, message: StartChannel) -> None:
        past = msgspec.msgpack.decode(self._state, type=Past) if self._state else None
        self._state.clear()
        plan, line = msgspec.msgpack.encode(message.plan), message.line
        launcher = f"tcp://{self._host}:{line.port}"
        launcher_keys = ClientKeys(*(key.encode() for key in (line.secret, line.public, line.server)))
        keys = None if self._keys is None else _new_server_keys(message.allowed)
        where = (launcher, launcher_keys, past, *self._channel_address())
        self._start("channel server", channel_process, plan, *where, keys)

    def _start(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        self._process = self._machine.start(run_tied_to_parent, target, *arguments)
        self._started, self._exitcode = self._started + 1, None
        self.assignment = replace(self.assignment, node=name)

    def _reap(self) -> None:
        """Report the exit of the child process to the run process, and release it."""
        process, self._process = self._process, None
        if process is not None:
            process.join()
            self._exitcode = process.exitcode or 0
            if self.connected:
                self._run_process.send(encode(Exited(self._exitcode)))
            process.close()
            self.assignment = replace(self.assignment, node="")


def _new_server_keys(allowed: Mapping[str, str]) -> ServerKeys:
    """A key pair for one run's channel server: the controller's secret key stays with the controller."""
    public, secret = zmq.curve_keypair()
    return ServerKeys(secret, public, {key.encode(): AllowedKey(key.encode(), node) for key, node in allowed.items()})

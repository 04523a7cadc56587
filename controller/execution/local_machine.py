"""Processes of this machine, forked from a preloaded parent."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType

import msgspec
import zmq

from channel_server.core import Past
from controller.execution.children import channel_process, node_process
from controller.execution.machine import LineAddress
from protocol.messages.plan import RunPlan
from protocol.transports.curve import allow_list, lock_server
from protocol.transports.keys import AllowedKey, ClientKeys, ServerKeys
from protocol.transports.liveness import end_dead_connections


class ForkedProcess:
    """A child of the preloaded parent."""

    pending = worker_lost = worker_away = False

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def exitcode(self) -> int | None:
        return self._process.exitcode

    @property
    def cause(self) -> str:
        return cause(self.exitcode)

    def kill(self) -> None:
        self._process.kill()

    def join(self, timeout: float | None = None) -> None:
        self._process.join(timeout)

    def close(self) -> None:
        self._process.close()


class LocalMachine:
    """This machine. Use it from one thread: a child inherits the signal mask, which changes while it starts.

    `keys`: of the nodes here, when the channel server encrypts its connections.
    """

    can_reschedule = False

    def __init__(self, keys: ClientKeys | None = None) -> None:
        self._context = preloaded()
        self._keys = keys

    def line(self) -> "AbstractContextManager[tuple[zmq.Socket[bytes], LineAddress]]":
        """A PAIR socket on a free port of the loopback interface, and its address."""
        return locked_line(lambda socket: socket.bind("tcp://127.0.0.1:*"))

    def start_channel(self, plan: RunPlan, line: LineAddress, past: Past | None) -> ForkedProcess:
        """Start the channel server, which sends its telemetry to a line of this machine."""
        launcher = f"tcp://127.0.0.1:{line.port}"
        return self.start(channel_process, msgspec.msgpack.encode(plan), launcher, line.keys, past)

    def start_node(self, name: str, endpoint: str, run_id: str, key: str = "") -> ForkedProcess:
        """Start one node."""
        return self.start(node_process, endpoint, run_id, name, keys_for(self._keys, key))

    def start(self, target: Callable[..., None], *arguments: object) -> ForkedProcess:
        """Start a process that calls `target`."""
        return ForkedProcess(start_process(self._context, target, arguments))


@contextmanager
def locked_line(bind: Callable[[zmq.Socket[bytes]], object]) -> Iterator[tuple[zmq.Socket[bytes], LineAddress]]:
    """The launcher's end of a line to the channel server, and its address. `bind` binds the socket to a TCP port.

    A PAIR takes the first who connects. The line has keys of its own, so that this is the channel server, also on a
    loopback interface whose ports any process of the machine may try.
    """
    (public, secret), (server_public, server_secret) = zmq.curve_keypair(), zmq.curve_keypair()
    server = ServerKeys(server_secret, server_public, {public: AllowedKey(public)})
    with zmq.Context() as context, allow_list(context, server), context.socket(zmq.PAIR) as socket:
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.LINGER, 0)
        end_dead_connections(socket)
        lock_server(socket, server)
        bind(socket)
        port = int(socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        yield socket, LineAddress(port, ClientKeys(secret, public, server_public))


def keys_for(own: ClientKeys | None, server: str) -> ClientKeys | None:
    """A node's own keys with the public key of its channel server; None where connections are not encrypted."""
    return None if own is None or not server else replace(own, server=server.encode())


def preloaded() -> ForkServerContext:
    """The forkserver that all processes of a run are forked from, with everything loaded that they share."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["controller.execution.preload"])
    return context


def start_process(
    context: ForkServerContext, target: Callable[..., None], arguments: tuple[object, ...]
) -> ForkServerProcess:
    """Start a process that ignores Ctrl-C, and that is killed when this one exits normally."""
    process = context.Process(target=target, args=arguments, daemon=True)
    resource_tracker.ensure_running()  # started later, it would unblock the signals that are blocked below
    with _signals_blocked(), _blank_main():
        process.start()
    return process


def cause(exitcode: int | None) -> str:
    """Why a process died: `signal 9` or `exit code 1`."""
    exitcode = exitcode or 0
    return f"signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal, but only the launcher acts on it. Children inherit the mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _blank_main() -> Iterator[None]:
    """Keep children from importing this process's main module, and with it the CLI, again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main

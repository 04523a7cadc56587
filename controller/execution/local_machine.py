"""Processes of this machine, forked from a preloaded parent."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType

import msgspec
import zmq

from channel_server.core import Past
from controller.execution.children import channel_process, node_process
from protocol.messages.plan import RunPlan
from protocol.transports.keys import ClientKeys


class ForkedProcess:
    """A child of the preloaded parent."""

    waits = taken_away = False

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
    """This machine. Use from one thread: children inherit what is blocked meanwhile.

    `keys`: those of nodes here whose channel server is locked.
    """

    has_other_places = False

    def __init__(self, keys: ClientKeys | None = None) -> None:
        self._context = preloaded()
        self._keys = keys

    @contextmanager
    def line(self) -> "Iterator[tuple[zmq.Socket[bytes], int]]":
        """A free port that only this machine reaches."""
        with zmq.Context() as context, pair(context) as socket:
            yield socket, socket.bind_to_random_port("tcp://127.0.0.1")

    def start_channel(self, plan: RunPlan, port: int, past: Past | None) -> ForkedProcess:
        """The channel server, which tells how the run goes to a port of this machine."""
        return self.start(channel_process, msgspec.msgpack.encode(plan), f"tcp://127.0.0.1:{port}", past)

    def start_node(self, name: str, endpoint: str, run_id: str, key: str = "") -> ForkedProcess:
        """One node."""
        return self.start(node_process, endpoint, run_id, name, keys_for(self._keys, key))

    def start(self, target: Callable[..., None], *arguments: object) -> ForkedProcess:
        """Any process."""
        return ForkedProcess(start_process(self._context, target, arguments))


def pair(context: "zmq.Context[zmq.Socket[bytes]]") -> "zmq.Socket[bytes]":
    """The owner's end of a line to the channel server, not bound yet."""
    socket = context.socket(zmq.PAIR)
    socket.setsockopt(zmq.RCVHWM, 0)
    socket.setsockopt(zmq.LINGER, 0)
    return socket


def keys_for(own: ClientKeys | None, server: str) -> ClientKeys | None:
    """A node's own keys, with the public one of the channel server that it comes to; None for one without keys."""
    return None if own is None or not server else replace(own, server=server.encode())


def preloaded() -> ForkServerContext:
    """The parent of all processes of a run, with everything loaded that they share."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["controller.execution.preload"])
    return context


def start_process(
    context: ForkServerContext, target: Callable[..., None], arguments: tuple[object, ...]
) -> ForkServerProcess:
    """A process that is deaf to Ctrl-C and does not outlive this one's good end."""
    process = context.Process(target=target, args=arguments, daemon=True)
    resource_tracker.ensure_running()  # it would unblock signals again when it starts
    with _signals_blocked(), _blank_main():
        process.start()
    return process


def cause(exitcode: int | None) -> str:
    """What a process died of, in words."""
    exitcode = exitcode or 0
    return f"signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal, but only the owner of the run acts on it. Masks are inherited."""
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

"""Where the processes of a run are started: what a launcher asks of this machine, or of workers elsewhere."""

from contextlib import AbstractContextManager
from typing import Protocol

import zmq

from channel_server.core import Past
from protocol.messages.plan import RunPlan


class Process(Protocol):
    """A process of a run, wherever it is.

    `exitcode`: negative for a signal, None while it lives or is still to come; `cause`: what it died of, in words.
    `waits`: it is still to come, when there is room for it.
    `taken_away`: it is gone with what it ran on, which says nothing against starting it again elsewhere.
    """

    @property
    def pid(self) -> int | None: ...
    @property
    def exitcode(self) -> int | None: ...
    @property
    def cause(self) -> str: ...
    @property
    def waits(self) -> bool: ...
    @property
    def taken_away(self) -> bool: ...
    def kill(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...
    def close(self) -> None: ...


class Machine(Protocol):
    """Starts processes. `line`: a PAIR socket that the channel server comes to, at a port that `start_channel` is told.
    `key`: the channel server's public one, if it is locked. `has_other_places`: a node that was lost may come back
    elsewhere, though its plan does not say that it is restarted.
    """

    @property
    def has_other_places(self) -> bool: ...
    def line(self) -> AbstractContextManager["tuple[zmq.Socket[bytes], int]"]: ...
    def start_channel(self, plan: RunPlan, port: int, past: Past | None) -> Process: ...
    def start_node(self, name: str, endpoint: str, run_id: str, key: str = "") -> Process: ...

"""Where the processes of a run are started: the interface to this machine, and to leased workers elsewhere."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from channel_server.core import Past
from protocol.messages.plan import RunPlan

if TYPE_CHECKING:
    import zmq


class Process(Protocol):
    """A process of a run, wherever it is.

    `exitcode`: negative for a signal, None while it runs or has not started; `cause`: the signal or exit code it died
    of. `waits`: it has not started, since no worker is free. `taken_away`: it was lost together with its worker, so it
    may be started again elsewhere.
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
    """Starts processes. `line`: a PAIR socket and its port, which the channel server connects to. `key`: the channel
    server's public key, if it encrypts its connections. `has_other_places`: a lost node may come back elsewhere, even
    if the plan does not restart it.
    """

    @property
    def has_other_places(self) -> bool: ...
    def line(self) -> AbstractContextManager["tuple[zmq.Socket[bytes], int]"]: ...
    def start_channel(self, plan: RunPlan, port: int, past: Past | None) -> Process: ...
    def start_node(self, name: str, endpoint: str, run_id: str, key: str = "") -> Process: ...

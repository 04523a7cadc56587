"""Where the processes of a run are started: the interface to this machine, and to leased workers elsewhere."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from channel_server.core import Past
from protocol.messages.plan import RunPlan
from protocol.transports.keys import ClientKeys

if TYPE_CHECKING:
    import zmq


class LineAddress(NamedTuple):
    """Where a run's channel server connects to its launcher: the port, and the keys that only it has."""

    port: int
    keys: ClientKeys


class Process(Protocol):
    """A process of a run, wherever it is.

    `exitcode`: negative for a signal, None while it runs or is pending; `cause`: the signal or exit code it died of.
    `pending`: it has not started, because no worker is free. `worker_lost`: it was lost together with its worker, so it
    may be started again elsewhere. `worker_away`: its worker has no connection at present, and may come back with it.
    """

    @property
    def pid(self) -> int | None: ...
    @property
    def exitcode(self) -> int | None: ...
    @property
    def cause(self) -> str: ...
    @property
    def pending(self) -> bool: ...
    @property
    def worker_lost(self) -> bool: ...
    @property
    def worker_away(self) -> bool: ...
    def kill(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...
    def close(self) -> None: ...


class Machine(Protocol):
    """Starts processes. `line`: a PAIR socket and its address, for the channel server. `key`: the channel server's
    public key, if it encrypts its connections. `can_reschedule`: a lost node may be started again on another worker,
    even if the plan does not restart it.
    """

    @property
    def can_reschedule(self) -> bool: ...
    def line(self) -> AbstractContextManager["tuple[zmq.Socket[bytes], LineAddress]"]: ...
    def start_channel(self, plan: RunPlan, line: LineAddress, past: Past | None) -> Process: ...
    def start_node(self, name: str, endpoint: str, run_id: str, key: str = "") -> Process: ...

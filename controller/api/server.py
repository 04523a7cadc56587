"""The controller as a process: its store, its runs' owner, its REST interface on a socket."""

import asyncio
import logging
import os
import resource
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from controller.api.app import create_app
from controller.api.auth import check_lock
from controller.api.timeouts import patient
from controller.api.tokens import token_of
from controller.config.errors import ConfigError
from controller.pool.listener import PoolLine
from controller.service.limits import REQUEST_TIMEOUT_S
from controller.service.run_manager import RunManager
from controller.service.store import Store

_GRACE_S = 3
_WAITING_BYTES = 1 << 18  # in the kernel, for one connection
_OTHER_CONNECTIONS = 256  # than readers'
_OTHER_FILES = (
    _OTHER_CONNECTIONS + 256
)  # than readers' connections: requests, the database, run processes, what is read


def serve(
    *,
    host: str,
    port: int,
    at_once: int,
    max_queued: int,
    data: Path,
    resume_lost: bool,
    stop_timeout_s: float,
    timeout_s: float,
    max_readers: int,
    token_file: Path | None,
    token_made: Callable[[str], None],
    ready: Callable[[str], None],
    pool: tuple[str, str, Path | None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is told the URL. Runs that are at work go on without the service. `pool`:
    where workers report, the ports of run processes' lines and the folder of keys, if workers may come at all.

    From the environment: AIRTOLL_TOKEN, who may come in (it wins over `token_file`, which is made if it is missing, and
    then `token_made` is told); AIRTOLL_DB, the store's URL, by default SQLite in `data`.
    ConfigError for an address that cannot be listened on, or may not be without a token, and for more readers than
    this process may have connections.
    """
    token = token_of(token_file, os.environ.get("AIRTOLL_TOKEN", ""), token_made)
    check_lock(host, token)
    _make_room(max_readers)
    data.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    url = os.environ.get("AIRTOLL_DB") or f"sqlite:///{data.absolute()}/airtoll.db"
    with closing(listen(host, port, timeout_s=timeout_s)) as listening, closing(Store(url)) as store:
        manager = RunManager(
            data,
            store,
            at_once=at_once,
            max_queued=max_queued,
            resume_lost=resume_lost,
            stop_timeout_s=stop_timeout_s,
            pool=PoolLine(*pool) if pool is not None else None,
        )
        app = create_app(manager, token, max_readers=max_readers, timeout_s=timeout_s)
        config = uvicorn.Config(
            app,
            http=patient(timeout_s, max_readers + _OTHER_CONNECTIONS),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_S,
            lifespan="on",
        )
        name = f"[{host}]" if ":" in host else host
        _Server(config, app, lambda: ready(f"http://{name}:{listening.getsockname()[1]}")).run([listening])


class _Server(uvicorn.Server):
    """Says when it is ready, and sends those who look on home before it waits for all others."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._fastapi = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._loop = asyncio.get_running_loop()
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._fastapi.state.services.watches.close)


def listen(host: str, port: int, *, timeout_s: float = REQUEST_TIMEOUT_S) -> socket.socket:
    """A socket whose connections are cut off, and what waits for them forgotten, when their other end takes nothing for
    so long. ConfigError for an address that cannot be listened on."""
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        cure = "give another --host or --port"
        raise ConfigError(f"--port: {host}:{port} cannot be listened on: {error.strerror}; {cure}") from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * timeout_s))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WAITING_BYTES)
    return listening


def _make_room(readers: int) -> None:
    """As many open files as so many readers need. ConfigError if this process may not have them."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = readers + _OTHER_FILES
    if most != resource.RLIM_INFINITY and wanted > most:
        cure = f"give at most {most - _OTHER_FILES}, or raise the limit (ulimit -n {wanted})"
        raise ConfigError(f"--readers: {readers} need {wanted} open files, and {most} are allowed; {cure}")
    if wanted > now:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))

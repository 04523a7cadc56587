"""The controller as a process: its store, its runs, and its REST interface on a socket."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import closing
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from controller.api.app import create_app
from controller.api.timeouts import timeout_protocol
from controller.api.tokens import require_token, token_of
from controller.config.errors import ConfigError
from controller.pool.listener import PoolListener
from controller.run_folder.files import is_transient
from controller.service.data_folder import require_writable
from controller.service.limits import REQUEST_TIMEOUT_S
from controller.service.run_manager import RunManager
from controller.service.settings import ServiceSettings
from controller.service.store import Store
from protocol.transports.descriptors import raise_limit

_LOG = logging.getLogger("airtoll")
_SHUTDOWN_TIMEOUT_S = 3
_SEND_BUFFER_BYTES = 1 << 18  # in the kernel, per connection: limits what a client that reads nothing can occupy
_BACKLOG = 128  # also how many connections are accepted at once, before one too many is closed
_OTHER_CONNECTIONS = 256  # besides event streams
_OTHER_FILES = _OTHER_CONNECTIONS + 256  # besides event streams: the database, run processes, files that are read


def serve(
    settings: ServiceSettings, *, on_ready: Callable[[str], None], on_token_created: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM. Active runs continue without the service.

    `on_ready` is called with the URL, `on_token_created` with a new token. Environment: AIRTOLL_TOKEN overrides the
    token file; AIRTOLL_DB is the URL of the store, by default SQLite in the data folder.
    ConfigError for an address that cannot be listened on, or not without a token, and for more event streams than this
    process may have connections.
    """
    # taken out of the environment, which every process inherits that this one starts
    given, database = (os.environ.pop(name, "") for name in ("AIRTOLL_TOKEN", "AIRTOLL_DB"))
    token = token_of(settings.token_file, given, on_token_created)
    require_token(settings.host, token)
    _raise_file_limit(settings.max_readers)
    require_writable(settings.data)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    database = database or f"sqlite:///{settings.data.absolute()}/airtoll.db"
    listening = listen(settings.host, settings.port, timeout_s=settings.request_timeout_s)
    with closing(listening), closing(Store(database)) as store:
        pool = None
        if settings.pool is not None:
            other_files = settings.max_readers + _OTHER_FILES
            pool = PoolListener(
                settings.pool.endpoint, settings.pool.run_process_ports, settings.pool.keys, other_files=other_files
            )
        app = create_app(RunManager(settings, store, pool), token)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{listening.getsockname()[1]}"
        _Server(settings, app, lambda: on_ready(url)).run([listening])


class _Server(uvicorn.Server):
    """Reports when it is ready, and ends event streams before it waits for all other connections."""

    def __init__(self, settings: ServiceSettings, app: FastAPI, on_ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            backlog=_BACKLOG,
            http=timeout_protocol(settings.request_timeout_s, settings.max_readers + _OTHER_CONNECTIONS),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
            lifespan="on",
        )
        super().__init__(config)
        self._fastapi = app
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._loop = asyncio.get_running_loop()
            self._loop.set_exception_handler(_log_exception)
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._fastapi.state.services.streams.close)


def _log_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody handled; what may pass, such as a connection without a descriptor for it, without a traceback."""
    if is_transient(error := context.get("exception")):
        _LOG.warning("%s: %s", context["message"], error)
    else:
        loop.default_exception_handler(context)


def listen(host: str, port: int, *, timeout_s: float = REQUEST_TIMEOUT_S) -> socket.socket:
    """A listening socket whose connections break when their client reads nothing for `timeout_s`. ConfigError for an
    address that cannot be listened on."""
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        fix = "give another --host or --port"
        raise ConfigError(f"--port: {host}:{port} cannot be listened on: {error.strerror}; {fix}") from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * timeout_s))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    return listening


def _raise_file_limit(readers: int) -> None:
    """Raise this process's limit on open files for this many event streams. ConfigError above the hard limit."""
    needed = readers + _OTHER_FILES
    if (allowed := raise_limit(needed)) < needed:
        fix = f"give at most {allowed - _OTHER_FILES}, or raise the limit (ulimit -n {needed})"
        raise ConfigError(f"--readers: {readers} need {needed} open files, and {allowed} are allowed; {fix}")

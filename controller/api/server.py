"""The controller as a process: its store, its runs' owner, its REST interface on a socket."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from controller.api.app import create_app
from controller.api.locks import check_lock
from controller.api.patience import patient
from controller.faults import ConfigError
from controller.service.owner import Owner
from controller.service.store import Store

_GRACE_S = 3


def serve(
    *,
    host: str,
    port: int,
    at_once: int,
    longest_queue: int,
    data: Path,
    resume_lost: bool,
    grace_s: float,
    patience_s: float,
    ready: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is told the URL. Runs that are at work go on without the service.

    From the environment: AIRTOLL_TOKEN, who may come in; AIRTOLL_DB, the store's URL, by default SQLite in `data`.
    ConfigError for an address that cannot be listened on, or may not be without a token.
    """
    token = os.environ.get("AIRTOLL_TOKEN", "")
    check_lock(host, token)
    data.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    url = os.environ.get("AIRTOLL_DB") or f"sqlite:///{data.absolute()}/airtoll.db"
    with closing(_listen(host, port)) as listening, closing(Store(url)) as store:
        owner = Owner(
            data, store, at_once=at_once, longest_queue=longest_queue, resume_lost=resume_lost, grace_s=grace_s
        )
        app = create_app(owner, token, patience_s=patience_s)
        config = uvicorn.Config(
            app,
            http=patient(patience_s),
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
        self._loop.call_soon_threadsafe(self._fastapi.state.desk.watches.close)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        cure = "give another --host or --port"
        raise ConfigError(f"--port: {host}:{port} cannot be listened on: {error.strerror}; {cure}") from error

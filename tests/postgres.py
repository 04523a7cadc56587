"""A PostgreSQL server of the tests' own: on a Unix socket in a folder of its own, by no network, as a user that may.

It needs Debian's package `postgresql`, or any other whose programs pg_config or PATH names.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import psycopg

REQUIRED = os.environ.get("TEST_POSTGRES") == "required"
_STARTS_WITHIN_S = 60.0
_INSTALLED = Path("/usr/lib/postgresql")  # Debian's, a folder per version
_SETTINGS = (
    *("listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=200"),
    "timezone=Pacific/Chatham",  # a quarter of an hour off every other: who forgets a zone is found out
)


class NoServerError(Exception):
    """No server can be started here; says why."""


class PostgresServer:
    """A server that is at work, and can be killed and started again."""

    def __init__(self, programs: Path, folder: Path, user: dict[str, Any]) -> None:
        self._folder = folder
        self._user = user
        self._command = [str(programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
        self._command += [word for setting in _SETTINGS for word in ("-c", setting)]
        self._numbers = count()
        self.start()

    def start(self) -> None:
        """Start it; it answers when this is done."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder, **self._user)
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NoServerError((self._folder / "log").read_text("utf-8"))
            os.sched_yield()

    def stop(self) -> None:
        """End it at once, and every connection with it."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def set_read_only(self, *, read_only: bool) -> None:
        """Let every transaction be read-only that does not ask for more, or no longer."""
        with self._connect() as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {read_only}".encode())
            connection.execute("SELECT pg_reload_conf()")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all its processes in their tracks: connections stand, and nothing answers."""
        server = psutil.Process(self._process.pid)
        frozen = [server, *server.children(recursive=True)]
        for process in frozen:
            process.suspend()
        try:
            yield
        finally:
            for process in frozen:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def cut_connections(self) -> None:
        """End every connection but the one that asks for it."""
        with self._connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )

    def database(self) -> str:
        """The URL of a new database."""
        name = f"runs_{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql+psycopg://airtoll@/{name}?host={self._folder}"

    def _connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(host=str(self._folder), user="airtoll", dbname="postgres", autocommit=True)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A fresh server, gone at the end with all it had. NoServerError where there can be none."""
    programs, user = _programs(), _somebody()
    folder = Path(tempfile.mkdtemp(prefix="airtoll-pg-", dir="/tmp"))  # a socket's path must be short
    try:
        if user:
            os.chown(folder, user["user"], user["group"])
        made = subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "airtoll", "-A", "trust", "-E", "UTF8", "--no-sync"],
            env=os.environ | {"LC_ALL": "C"},
            capture_output=True,
            text=True,
            cwd=folder,
            **user,
        )
        if made.returncode:
            raise NoServerError(f"initdb: {made.stdout}{made.stderr}")
        server = PostgresServer(programs, folder, user)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """Where initdb and postgres lie."""
    told = [path for path in (_told_by_pg_config(), shutil.which("initdb")) if path]
    versions = sorted(_INSTALLED.glob("*/bin"), key=lambda path: int(path.parent.name))
    for folder in (*(Path(path).parent for path in told), *reversed(versions)):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoServerError("no PostgreSQL server is installed; apt-get install postgresql")


def _told_by_pg_config() -> str:
    """A path in the folder of programs; of a client's package, which may have no server, too."""
    program = shutil.which("pg_config")
    if program is None:
        return ""
    told = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=True)
    return f"{told.stdout.strip()}/initdb"


def _somebody() -> dict[str, Any]:
    """Who the server runs as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            known = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}
    raise NoServerError("PostgreSQL does not run as root, and there is no user postgres or nobody")

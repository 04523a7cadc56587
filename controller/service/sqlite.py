"""Connections to SQLite that do not outlive a time in which its file could only be read.

SQLite opens a file that it may not write for reading, without an error, and the connection stays so for good.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DisconnectionError

from controller.service.limits import STORE_TIMEOUT_S

_READ_ONLY = "read-only"  # in a connection's record: whether it was opened while its file could not be written


def prepare(connection: sqlite3.Connection, record: Any) -> None:
    """Allow readers while one process writes; a second writer waits."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={int(STORE_TIMEOUT_S * 1000)}"):
        cursor.execute(f"PRAGMA {pragma}")
    record.info[_READ_ONLY] = not _is_writable(connection)
    cursor.close()


def check(connection: sqlite3.Connection, record: Any, _proxy: Any) -> None:
    """DisconnectionError, for which the pool opens another, for a connection that could only be read before."""
    if record.info[_READ_ONLY] and _is_writable(connection):
        raise DisconnectionError("its file can be written now, and this connection cannot")


def is_read_only(error: BaseException) -> bool:
    """Whether a statement failed because its connection only reads."""
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_READONLY")


def _is_writable(connection: sqlite3.Connection) -> bool:
    _, _, path = connection.execute("PRAGMA database_list").fetchone()
    return not path or os.access(Path(path), os.W_OK, effective_ids=True)

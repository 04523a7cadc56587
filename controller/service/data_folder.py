"""The folder of --data: locked by one service at a time, and identified to its index by a random id."""

import fcntl
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from controller.config.errors import ConfigError

_LOCK = "service.lock"


def require_writable(path: Path) -> None:
    """Create the folder if it is missing. ConfigError for one that cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / _LOCK).open("a+b").close()
    except OSError as error:
        raise ConfigError(f"--data: {path} cannot be written: {error.strerror}; give another folder") from error


class DataFolder:
    """A data folder that this service has locked until `close` or its death. ConfigError while another service has."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        require_writable(self.path)
        self._lock = (self.path / _LOCK).open("a+b")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise ConfigError(f"--data: {path} is in use by another controller; give another folder") from error
        self.id = _id(self._lock)

    def close(self) -> None:
        """Unlock the folder."""
        self._lock.close()


def _id(lock: BinaryIO) -> str:
    """The folder's id, drawn by the first service that uses it; it survives a move of the folder."""
    lock.seek(0)
    known = lock.read().decode()
    if not known:
        known = secrets.token_hex(16)
        lock.write(known.encode())
        lock.flush()
        os.fsync(lock.fileno())
    return known

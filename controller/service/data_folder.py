"""The folder of --data: one service at a time has it, and its index knows it by a number of its own."""

import fcntl
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from controller.config.errors import ConfigError

_LOCK = "service.lock"


class DataFolder:
    """A data folder that is this service's until `close`, or its death. ConfigError while another service has it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = (self.path / _LOCK).open("a+b")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            cure = "give another folder"
            raise ConfigError(f"--data: {path} belongs to a controller that is at work; {cure}") from error
        self.id = _number(self._lock)

    def close(self) -> None:
        """Another service may have it."""
        self._lock.close()


def _number(lock: BinaryIO) -> str:
    """The folder's own number, drawn by the first service that has it: it is the same after a move."""
    lock.seek(0)
    known = lock.read().decode()
    if not known:
        known = secrets.token_hex(16)
        lock.write(known.encode())
        lock.flush()
        os.fsync(lock.fileno())
    return known

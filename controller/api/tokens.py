"""The key to the controller: given by the environment, or lying in a file that is made at the first start."""

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from controller.config.errors import ConfigError

_RANDOM_BYTES = 32
_MIN_CHARS = 16  # characters, of a token that somebody wrote by hand


def token_of(file: Path | None, given: str, made: Callable[[str], None]) -> str:
    """The token that is `given`; if none is, the one in `file`, which is made if it is missing; "" without both.

    `made` is told a token that was made, once. ConfigError for a file that others can read, or that has no token.
    """
    if given or file is None:
        return given
    if _make(file):
        made(token := _read(file))
        return token
    return _read(file)


def _make(file: Path) -> bool:
    """Whether the file was missing and is there now: whole from its first moment, and by one maker of many."""
    if file.exists():
        return False
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".token-") as aside:  # mkstemp's mode is 0600
            aside.write(secrets.token_urlsafe(_RANDOM_BYTES) + "\n")
            aside.flush()
            os.fsync(aside.fileno())
            return _named(aside.name, file)
    except OSError as error:
        raise ConfigError(f"--token-file: {file} cannot be made: {error.strerror}; name another place") from error


def _named(aside: str, file: Path) -> bool:
    """Whether what was written aside got its name; False if another has it by now."""
    try:
        os.link(aside, file)
    except FileExistsError:
        return False
    return True


def _read(file: Path) -> str:
    try:
        mode = file.stat().st_mode
        token = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file: {file} cannot be read: {error}; delete it, and another is made") from error
    if mode & 0o077:
        raise ConfigError(f"--token-file: others can read {file}: chmod 600 {file}")
    if len(token) < _MIN_CHARS or not token.isascii() or not token.isprintable():
        cure = "delete it, and one is made"
        raise ConfigError(f"--token-file: {file} has no token of {_MIN_CHARS} or more plain characters; {cure}")
    return token

"""The controller's token: from the environment, or from a file that is created at the first start."""

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from controller.config.errors import ConfigError, invalid
from controller.run_folder.files import sync
from protocol.transports.loopback import is_loopback

_RANDOM_BYTES = 32
_MIN_CHARS = 16  # of a token that a person wrote
_SUGGESTION = "take one from `openssl rand -hex 32`"


def token_of(file: Path | None, given: str, on_created: Callable[[str], None]) -> str:
    """The `given` token; without one, the token in `file`, which is created if it is missing; "" without both.

    `on_created` is called with a new token. ConfigError for a file that others can read, or that contains no token, and
    for a given one that no header can carry.
    """
    if given and not _is_plain(given):
        raise ConfigError(
            f"AIRTOLL_TOKEN: only printable ASCII is allowed, without a space at either end; {_SUGGESTION}"
        )
    if given or file is None:
        return given
    created = _create(file)
    token = _read(file)
    if created:
        on_created(token)
    return token


def require_token(host: str, token: str) -> None:
    """ConfigError for a host that other machines reach, without a token or with one that they may guess."""
    if is_loopback(host):
        return
    if not token:
        fix = "without a token only this machine may connect: set AIRTOLL_TOKEN, or listen on 127.0.0.1"
        raise ConfigError(invalid("--host", host, fix))
    if len(token) < _MIN_CHARS:
        fix = f"other machines could guess the token: give {_MIN_CHARS} or more characters; {_SUGGESTION}"
        raise ConfigError(invalid("--host", host, fix))


def _is_plain(token: str) -> bool:
    """Whether it has the characters that arrive unchanged in a header."""
    return token.isascii() and token.isprintable() and token == token.strip()


def _create(file: Path) -> bool:
    """Create the file atomically if it is missing; whether this process, and no concurrent one, created it."""
    if file.exists():
        return False
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".token-") as draft:  # mkstemp's mode is 0600
            draft.write(secrets.token_urlsafe(_RANDOM_BYTES) + "\n")
            draft.flush()
            os.fsync(draft.fileno())
            try:
                os.link(draft.name, file)
            except FileExistsError:
                return False
            sync(file.parent)
            return True
    except OSError as error:
        raise ConfigError(f"--token-file: {file} cannot be created: {error.strerror}; give another path") from error


def _read(file: Path) -> str:
    try:
        mode = file.stat().st_mode
        token = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--token-file: {file} cannot be read: {error}; delete it, and a new one is created"
        ) from error
    if mode & 0o077:
        raise ConfigError(f"--token-file: others can read {file}: run chmod 600 {file}")
    if len(token) < _MIN_CHARS or not _is_plain(token):
        fix = "delete it, and one is created"
        raise ConfigError(f"--token-file: {file} contains no token of {_MIN_CHARS} or more plain characters; {fix}")
    return token

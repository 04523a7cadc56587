"""The controller's token: from the environment, or from a file that is created at the first start."""

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from controller.config.errors import ConfigError
from controller.run_folder.files import sync

_RANDOM_BYTES = 32
_MIN_CHARS = 16  # of a token that a person wrote


def token_of(file: Path | None, given: str, on_created: Callable[[str], None]) -> str:
    """The `given` token; without one, the token in `file`, which is created if it is missing; "" without both.

    `on_created` is called with a new token. ConfigError for a file that others can read, or that contains no token.
    """
    if given or file is None:
        return given
    created = _create(file)
    token = _read(file)
    if created:
        on_created(token)
    return token


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
    if len(token) < _MIN_CHARS or not token.isascii() or not token.isprintable():
        fix = "delete it, and one is created"
        raise ConfigError(f"--token-file: {file} contains no token of {_MIN_CHARS} or more plain characters; {fix}")
    return token

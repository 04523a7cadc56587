"""Files that others read while they are written: replaced as a whole, or growing by whole lines."""

import csv
import errno
import os
from collections.abc import Iterable
from pathlib import Path

CHUNK_BYTES = 1 << 16
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # error numbers
# Errors of this machine, not of a run: another attempt may succeed.
_TRANSIENT = DISK_FULL | {errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}


class DamagedFileError(ValueError):
    """A file of a run that is missing or not what was written; the message names the file and the damage."""


def is_transient(error: BaseException | None) -> bool:
    """Whether another attempt may succeed: the disk is full, say, or there are too many open files."""
    return isinstance(error, OSError) and error.errno in _TRANSIENT


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write the file as a whole or not at all: a reader finds the old content or the new one.

    `durable`: so does a reader after a power cut. Without it the file may be empty then.
    """
    draft = path.with_name(f".{path.name}.tmp")
    try:
        draft.write_bytes(data)
        if durable:
            sync(draft)  # before the rename: the file's name must not outlive its content
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)  # on a full disk a partial draft would keep the space that is left
        raise
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_if_exists(path: Path) -> bytes:
    """The file's bytes; none for one that does not exist. It may vanish at any time: a run deletes files, too."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def whole_lines(path: Path) -> list[str]:
    """The complete lines of a file that may be growing; none if it does not exist yet."""
    data = read_if_exists(path)
    return lines_of(data[: data.rfind(b"\n") + 1])


def lines_of(data: bytes, errors: str = "strict") -> list[str]:
    """The lines of a text. Only a line feed ends one: str.splitlines would also split at U+2028, U+0085 and others."""
    return data.decode(errors=errors).removesuffix("\n").split("\n") if data else []


def csv_rows(path: Path, lines: Iterable[str] | None = None) -> list[dict[str, str]]:
    """The complete rows of a CSV file by column; or `lines` of it, which do not include the header."""
    if lines is None:
        return list(csv.DictReader(whole_lines(path)))
    with path.open(encoding="utf-8") as stream:
        columns = next(csv.reader([stream.readline()]))
    return list(csv.DictReader(lines, columns))


def read_chunk(path: Path, start: int, end: int | None = None) -> bytes:
    """Complete lines from the byte `start` on, at most CHUNK_BYTES; of a line that is longer, its first CHUNK_BYTES."""
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            data = stream.read(CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - start))
    except FileNotFoundError:
        return b""
    whole = data.rfind(b"\n") + 1
    return data[:whole] if whole or len(data) < CHUNK_BYTES else data


def last_line_end(path: Path) -> int:
    """The byte after the last complete line; 0 if the file does not exist yet."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            start = stream.seek(max(0, size - CHUNK_BYTES))
            return start + stream.read(size - start).rfind(b"\n") + 1
    except FileNotFoundError:
        return 0


def ends_line(path: Path, byte: int) -> bool:
    """Whether a line ends right before `byte`."""
    try:
        with path.open("rb") as stream:
            if byte > stream.seek(0, 2):  # the kernel allows no position beyond the largest possible file
                return False
            stream.seek(byte - 1)
            return stream.read(1) == b"\n"
    except FileNotFoundError:
        return False

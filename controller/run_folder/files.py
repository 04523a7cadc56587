"""Files that others read while they are written: replaced as a whole, or growing by whole lines."""

import csv
from collections.abc import Iterable
from pathlib import Path

CHUNK_BYTES = 1 << 16


def replace_file(path: Path, data: bytes) -> None:
    """Write the file as a whole or not at all: a reader finds the old content or the new one."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_bytes(data)
    draft.replace(path)


def whole_lines(path: Path) -> list[str]:
    """The complete lines of a file that may be growing; none if it does not exist yet."""
    if not path.exists():
        return []
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1].decode().splitlines()


def csv_rows(path: Path, lines: Iterable[str] | None = None) -> list[dict[str, str]]:
    """The complete rows of a CSV file by column; or `lines` of it, which do not include the header."""
    if lines is None:
        return list(csv.DictReader(whole_lines(path)))
    with path.open(encoding="utf-8") as stream:
        columns = next(csv.reader([stream.readline()]))
    return list(csv.DictReader(lines, columns))


def read_chunk(path: Path, start: int, end: int | None = None) -> bytes:
    """Complete lines from the byte `start` on, at most CHUNK_BYTES; of a line that is longer, its first CHUNK_BYTES."""
    if not path.exists():
        return b""
    with path.open("rb") as stream:
        stream.seek(start)
        data = stream.read(CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - start))
    whole = data.rfind(b"\n") + 1
    return data[:whole] if whole or len(data) < CHUNK_BYTES else data


def last_line_end(path: Path) -> int:
    """The byte after the last complete line; 0 if the file does not exist yet."""
    if not path.exists():
        return 0
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        start = stream.seek(max(0, size - CHUNK_BYTES))
        return start + stream.read(size - start).rfind(b"\n") + 1


def ends_line(path: Path, byte: int) -> bool:
    """Whether a line ends right before `byte`."""
    if not path.exists():
        return False
    with path.open("rb") as stream:
        if byte > stream.seek(0, 2):  # the kernel allows no position beyond the largest possible file
            return False
        stream.seek(byte - 1)
        return stream.read(1) == b"\n"

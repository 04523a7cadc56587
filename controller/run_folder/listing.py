"""Which files of a run's folder others may list and read: those of `layout`, and the logs and status of its process.

Not among them are links, drafts (their names begin with a dot), and what processes leave for each other.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from controller.run_folder.orders import ORDERS
from controller.run_folder.status import LOCK

_INTERNAL = (LOCK, ORDERS)


def published(folder: Path) -> dict[str, os.stat_result]:
    """The files of a run by name, whose folder may change at any time: a file that has just vanished is left out."""
    return dict(sorted(_found(folder)))


def open_published(folder: Path, name: str) -> BinaryIO | None:
    """One of these files; None if it is not among them, or not any more."""
    if name not in published(folder):
        return None
    try:
        return (folder / name).open("rb")
    except FileNotFoundError:
        return None


def _found(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for parent, folders, names in os.walk(folder):  # passes over folders that vanish
        folders[:] = filter(_is_published, folders)
        for name in filter(_is_published, names):
            path = Path(parent, name)
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield path.relative_to(folder).as_posix(), found


def _is_published(name: str) -> bool:
    return not name.startswith(".") and name not in _INTERNAL

"""A run's toll, from its air book: per kind, per node, per class of link."""

from collections import defaultdict
from collections.abc import Callable
from enum import Enum

from controller.run_folder.reader import RunFolder
from protocol.accounting.air_book import AirRow, Toll, toll_by_kind
from protocol.messages.kinds import LinkClass


class By(Enum):
    """What the toll is summed over."""

    KIND = "kind"
    NODE = "node"
    LINK = "link"


def toll_by(folder: RunFolder, by: By) -> dict[str, Toll]:
    """The toll of all phases, only what occurred. ValueError for a damaged air book."""
    match by:
        case By.KIND:
            return toll_by_kind(folder.air_rows())
        case By.NODE:
            names = folder.names
            return _summed(folder, lambda row: row.source, lambda node: names[node])
        case By.LINK:
            return _summed(folder, lambda row: row.link, lambda link: LinkClass(link).name.lower())


def _summed(folder: RunFolder, key: Callable[[AirRow], int], name: Callable[[int], str]) -> dict[str, Toll]:
    tolls: dict[int, Toll] = defaultdict(Toll)
    for row in folder.air_rows():
        tolls[key(row)].add(row)
    return {name(index): tolls[index] for index in sorted(tolls)}

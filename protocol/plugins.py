"""Worlds, schemes and studies without slots of other installed packages, which declare them as entry points.

    [project.entry-points."airtoll.schemes"]
    "doe2027/sleepy" = "my_package.sleepy:SCHEME"

    [project.entry-points."airtoll.worlds"]
    pond = "my_package.pond:WORLD"

    [project.entry-points."airtoll.studies"]
    "doe2027/matching" = "my_package.matching:STUDY"

A package is imported only when one of its entries is asked for by a name that it declares.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

Group = Literal["airtoll.schemes", "airtoll.worlds", "airtoll.studies"]


def installed(group: Group) -> dict[str, EntryPoint]:
    """The entries that installed packages declare, by name, sorted."""
    return {entry.name: entry for entry in sorted(entry_points(group=group), key=lambda entry: entry.name)}


@cache  # every node of a run asks for its scheme, and finding the entries reads the folders of all packages
def load(group: Group, name: str) -> Any:
    """The object that an installed package declares under this name. ValueError, with a suggested fix, if none does or
    if it cannot be imported."""
    entry = installed(group).get(name)
    what = group.removeprefix("airtoll.")
    what = "study" if what == "studies" else what.removesuffix("s")
    if entry is None:
        raise ValueError(f"no {what} {name!r} is installed here: install the package that has it in this environment")
    try:
        return entry.load()
    except Exception as error:  # anything may happen in a foreign module
        package = entry.dist.name if entry.dist else entry.value
        raise ValueError(f"{what} {name!r} of {package} cannot be loaded: {type(error).__name__}: {error}") from error

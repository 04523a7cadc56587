"""The contract of a study without slots: solvers compared on random instances, imitation, and the like.

Each is a module `schemes/<folder>/<name>.py` that offers `STUDY = OfflineStudy(...)`, or an entry point of the group
`airtoll.studies` of another installed package. `airtoll study` runs and draws it: docs/studies.md.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from protocol import plugins
from schemes.contract import NoParams

Clock = Callable[[], float]  # s, monotonic
Rows = Iterable[Mapping[str, float | str]]


@dataclass(frozen=True, kw_only=True, eq=False)
class OfflineStudy:
    """What is computed, and its columns.

    `name`: folder/module. `rows(params, rng, clock)` computes the rows for one seed: chance and time are arguments, so
    that equal seeds give equal rows but for measured times. `numbers`: the unit of each column of numbers. `labels`:
    the values of each column of text, which plots take as axes. Every row has all labels; a number may be left out.
    ValueError, with a suggested fix, for parameters that are impossible together.
    """

    name: str
    summary: str
    citation: str
    numbers: Mapping[str, str]
    rows: Callable[[Any, np.random.Generator, Clock], Rows]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    params: type = NoParams


def load(name: str) -> OfflineStudy:
    """The study of this name: of this package, or of another one that is installed. ValueError if there is none."""
    folder, _, module = name.partition("/")
    if not (folder.isidentifier() and module.isidentifier()):
        raise ValueError(f"{name!r} is not a study's name; expected folder/module, such as offline/assignment")
    if find_spec(f"schemes.{folder}") is not None and find_spec(f"schemes.{folder}.{module}") is not None:
        study: OfflineStudy = import_module(f"schemes.{folder}.{module}").STUDY
        return study
    other = plugins.load("airtoll.studies", name)
    if not isinstance(other, OfflineStudy) or other.name != name:
        raise ValueError(f"the entry point {name!r} must be an OfflineStudy of this name")
    return other

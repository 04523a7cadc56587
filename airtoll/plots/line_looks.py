"""Colours, markers and dashes of lines: a scheme has the same in all figures of a study, and as far as possible in all
studies."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from airtoll.plots.plot_style import COLOURS
from controller.studies.cells import StudyCell
from controller.studies.study_file import SCHEME, Study

_MARKERS, _DASHES = "osD^vPX", ("-", "--", "-.", ":")  # dashes so that two equal lines are both visible


class LineLook(NamedTuple):
    """How one line is drawn."""

    colour: str
    marker: str
    dash: str


def look_of(number: int) -> LineLook:
    """The look of the line of this number, where lines have an order rather than names. Seven have other colours."""
    colour, turn = number % len(COLOURS), number // len(COLOURS)
    return LineLook(COLOURS[colour], _MARKERS[(colour + turn) % len(_MARKERS)], _DASHES[(colour + turn) % len(_DASHES)])


def looks_by_name(keys: Mapping[str, str], colours: Mapping[str, str]) -> dict[str, LineLook]:
    """The look of each label. `keys`: the name that a label's look follows from, by label; `colours`: fixed ones.

    Each name has an order of preference among the colours, by a hash (rendezvous hashing): it takes the first that no
    name before it in the alphabet has taken. So a name keeps its colour unless another one that prefers it is there.
    """
    taken: dict[str, LineLook] = {}
    free = list(range(len(COLOURS)))
    for turn, (label, key) in enumerate(sorted(keys.items(), key=lambda pair: pair[1])):
        if not free:  # more names than colours: again from the first, with other dashes
            free = [number + len(COLOURS) * (turn // len(COLOURS)) for number in range(len(COLOURS))]
        number = min(free, key=lambda choice: _rank(key, choice % len(COLOURS)))
        free.remove(number)
        taken[label] = look_of(number)
    return {label: look._replace(colour=colours.get(label, look.colour)) for label, look in taken.items()}


def scheme_looks(study: Study, cells: Sequence[StudyCell]) -> dict[str, dict[str, LineLook]]:
    """The looks of the labels of each axis that names schemes, over all sweeps of a study."""
    found = {}
    for axis in study.axes:
        names: dict[str, set[str]] = {}
        for cell in cells:
            if axis in cell.labels:
                names.setdefault(cell.labels[axis], set()).add(cell.run.plan.scheme)
        is_scheme = axis in (SCHEME, f"{SCHEME}.name") or len({min(each) for each in names.values()}) > 1
        if is_scheme and all(len(each) == 1 for each in names.values()):
            keys = _keys({label: min(each) for label, each in names.items()})
            found[axis] = looks_by_name(keys, study.look.colours)
    return found


def label_looks(labels: Mapping[str, Iterable[str]], colours: Mapping[str, str]) -> dict[str, dict[str, LineLook]]:
    """The looks of the labels of axes whose labels are names, such as solvers."""
    return {axis: looks_by_name({label: label for label in own}, colours) for axis, own in labels.items()}


def _keys(schemes: Mapping[str, str]) -> dict[str, str]:
    """A scheme's first label has its name, whatever it is called here; its variants also have their labels."""
    first: dict[str, str] = {}
    for label, scheme in schemes.items():
        first.setdefault(scheme, label)
    return {label: scheme if first[scheme] == label else f"{scheme} {label}" for label, scheme in schemes.items()}


def _rank(key: str, number: int) -> bytes:
    return blake2b(f"{key} {COLOURS[number]}".encode(), digest_size=8).digest()

"""Who tells how much, and when: bytes by kind of note over time, and by node."""

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from airtoll.plots.plot_style import COLOURS, GREY, legend_right, light_grid, run_figure, shade_phases
from controller.run_folder.reader import RunFolder
from protocol.accounting.air_book import toll_by_kind
from protocol.messages.kinds import Kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

_MAX_BINS = 80
_MAX_NAMES = 40  # more nodes are told by every so many names
_KIND_COLOURS = {kind.name.lower(): colour for kind, colour in zip(Kind, (*COLOURS, GREY), strict=True)}


class Told(NamedTuple):
    """Bytes of notes per slot and kind. `edges` [bins + 1] in slots; `over_time` [bins]; `by_node` [nodes]."""

    edges: npt.NDArray[np.int64]
    over_time: dict[str, Floats]
    by_node: dict[str, Floats]
    totals: dict[str, int]


def toll_chart(folder: RunFolder) -> "Figure":
    """Bytes per slot, stacked by kind: over time, and below by the node that told them.

    ValueError for a run in which nothing was told.
    """
    told = told_bytes(folder)
    if not told.totals:
        raise ValueError(f"{folder.path}: nothing was told in this run, there is no toll to plot")
    meta = folder.meta
    figure = run_figure(meta, 800)
    over_time, by_node = figure.subplots(2, height_ratios=(3, 2))
    _draw_over_time(over_time, told)
    shade_phases(over_time, meta, named=True)
    _draw_by_node(by_node, told, folder.names)
    figure.align_ylabels([over_time, by_node])
    return figure


def told_bytes(folder: RunFolder) -> Told:
    """Bytes as encoded once, resends included, from the air book; the closing turn counts as part of the last slot."""
    slots, nodes = _played(folder), len(folder.names)
    width = -(-slots // _MAX_BINS)
    edges = np.append(np.arange(0, slots, width), slots)
    over_time: dict[str, Floats] = defaultdict(lambda: np.zeros(len(edges) - 1))
    by_node: dict[str, Floats] = defaultdict(lambda: np.zeros(nodes))
    for row in folder.air_rows():
        if row.attempt:  # a correction is no transmission
            kind = row.kind.name.lower()
            over_time[kind][min(row.slot, slots - 1) // width] += row.note_bytes
            by_node[kind][row.source] += row.note_bytes
    totals = {kind: toll.note_bytes for kind, toll in toll_by_kind(folder.air_rows()).items()}
    lengths = np.diff(edges)
    return Told(
        edges,
        {kind: over_time[kind] / lengths for kind in totals},
        {kind: by_node[kind] / slots for kind in totals},
        totals,
    )


def _played(folder: RunFolder) -> int:
    """Slots of the run; of one that was cut off, those that are in its trace."""
    told = folder.meta.slots or 0
    traced = folder.trace_rows()["slot"]
    return told or (int(traced[-1]) + 1 if len(traced) else 1)


def _draw_over_time(axes: "Axes", told: Told) -> None:
    below = np.zeros(len(told.edges) - 1)
    all_bytes = max(1, sum(told.totals.values()))
    for kind, per_slot in told.over_time.items():
        label = f"{kind}: {_readable(told.totals[kind])}, {told.totals[kind] / all_bytes:.1%}"
        colour = _KIND_COLOURS[kind]
        axes.stairs(below + per_slot, told.edges, baseline=below, fill=True, color=colour, label=label)
        below = below + per_slot
    axes.set_ylabel("told by all nodes\n[bytes/slot]")
    axes.set_xlabel("slot")
    axes.set_ylim(0, 1.05 * max(1e-9, below.max()))
    _finish(axes)
    legend_right(axes, title="kind of note: bytes told", alignment="left", reverse=True)


def _draw_by_node(axes: "Axes", told: Told, names: list[str]) -> None:
    """Only nodes that told something."""
    speakers = np.flatnonzero(sum(told.by_node.values()))
    below, places = np.zeros(len(speakers)), np.arange(len(speakers))
    for kind, per_slot in told.by_node.items():
        axes.bar(places, per_slot[speakers], bottom=below, width=0.8, color=_KIND_COLOURS[kind], label=kind)
        below = below + per_slot[speakers]
    every = -(-len(speakers) // _MAX_NAMES)
    labels = [names[node] for node in speakers[::every]]
    axes.set_xticks(places[::every], labels, rotation=90 if len(labels) > 12 else 0)
    axes.set_xlim(-0.6, len(speakers) - 0.4)
    axes.set_ylim(0, 1.05 * max(1e-9, below.max(initial=0)))
    axes.set_xlabel("node that told")
    axes.set_ylabel("told by the node\n[bytes/slot]")
    _finish(axes)


def _finish(axes: "Axes") -> None:
    from matplotlib.ticker import EngFormatter

    axes.yaxis.set_major_formatter(EngFormatter())
    light_grid(axes)


def _readable(count: int) -> str:
    """12.3 kB"""
    from matplotlib.ticker import EngFormatter

    return EngFormatter(unit="B", places=1 if count >= 1000 else 0)(count)

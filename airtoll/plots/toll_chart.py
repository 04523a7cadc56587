"""The toll of a run as a chart: note bytes by kind, over time and by sending node."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from airtoll.plots.plot_style import COLOURS, GREY, legend_right, light_grid, run_figure, shade_phases
from controller.run_folder.reader import RunFolder
from protocol.accounting.toll import Toll
from protocol.messages.kinds import Kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

_MAX_SPANS = 80
_MAX_NAMES = 40  # with more nodes only every so many names are written
_KIND_COLOURS = {kind.name.lower(): colour for kind, colour in zip(Kind, (*COLOURS, GREY), strict=True)}


class TollRates(NamedTuple):
    """Note bytes per slot, by kind. `edges` [spans + 1] in slots; `over_time` [spans]; `by_node` [nodes]."""

    edges: npt.NDArray[np.int64]
    over_time: dict[str, Floats]
    by_node: dict[str, Floats]
    totals: dict[str, Toll]


def toll_chart(folder: RunFolder) -> "Figure":
    """Bytes per slot, stacked by kind: over time, and below by the node that sent them.

    ValueError for a run in which no notes were sent.
    """
    rates = toll_rates(folder)
    if not rates.totals:
        raise ValueError(f"{folder.path}: no notes were sent in this run, there is no toll to plot")
    meta = folder.meta
    figure = run_figure(meta, 800)
    over_time, by_node = figure.subplots(2, height_ratios=(3, 2))
    _draw_over_time(over_time, rates)
    shade_phases(over_time, meta, named=True)
    _draw_by_node(by_node, rates, folder.names)
    figure.align_ylabels([over_time, by_node])
    return figure


def toll_rates(folder: RunFolder) -> TollRates:
    """Bytes of all attempts, from the toll's windows. Between two windows without notes lies a span of zeros."""
    table, names = folder.toll, folder.names
    totals, spans = table.by("kind"), table.spans("kind", _MAX_SPANS)
    slots = max(1, folder.meta.slots or table.slots)  # a run that was killed: as far as its toll reaches
    bounds = {0, slots, *(first for first, _, _ in spans), *(last + 1 for _, last, _ in spans)}
    edges = np.array(sorted(bounds), np.int64)
    over_time = {kind: np.zeros(len(edges) - 1) for kind in totals}
    for first, last, tolls in spans:
        for kind, toll in tolls.items():
            over_time[kind][np.searchsorted(edges, first)] += toll.note_bytes / (last + 1 - first)
    by_node = {kind: np.zeros(len(names)) for kind in totals}
    index = {name: node for node, name in enumerate(names)}
    for row in table.rows:
        by_node[row.kind][index[row.node]] += row.toll.note_bytes / slots
    return TollRates(edges, over_time, by_node, totals)


def _draw_over_time(axes: "Axes", rates: TollRates) -> None:
    below = np.zeros(len(rates.edges) - 1)
    all_bits = max(1, sum(toll.payload_bits for toll in rates.totals.values()))
    for kind, per_slot in rates.over_time.items():
        toll = rates.totals[kind]
        label = f"{kind}: {_readable(toll.note_bytes)}, {toll.payload_bits / all_bits:.1%}"
        colour = _KIND_COLOURS[kind]
        axes.stairs(below + per_slot, rates.edges, baseline=below, fill=True, color=colour, label=label)
        below = below + per_slot
    axes.set_ylabel("sent by all nodes\n[bytes/slot]")
    axes.set_xlabel("slot")
    axes.set_ylim(0, 1.05 * max(1e-9, below.max()))
    _finish(axes)
    legend_right(axes, title="kind: note bytes, share of bits", alignment="left", reverse=True)


def _draw_by_node(axes: "Axes", rates: TollRates, names: list[str]) -> None:
    """Only nodes that sent something."""
    senders = np.flatnonzero(sum(rates.by_node.values()))
    below, places = np.zeros(len(senders)), np.arange(len(senders))
    for kind, per_slot in rates.by_node.items():
        axes.bar(places, per_slot[senders], bottom=below, width=0.8, color=_KIND_COLOURS[kind], label=kind)
        below = below + per_slot[senders]
    every = -(-len(senders) // _MAX_NAMES)
    labels = [names[node] for node in senders[::every]]
    axes.set_xticks(places[::every], labels, rotation=90 if len(labels) > 12 else 0)
    axes.set_xlim(-0.6, len(senders) - 0.4)
    axes.set_ylim(0, 1.05 * max(1e-9, below.max(initial=0)))
    axes.set_xlabel("sending node")
    axes.set_ylabel("sent by the node\n[bytes/slot]")
    _finish(axes)


def _finish(axes: "Axes") -> None:
    from matplotlib.ticker import EngFormatter

    axes.yaxis.set_major_formatter(EngFormatter())
    light_grid(axes)


def _readable(count: int) -> str:
    """12.3 kB"""
    from matplotlib.ticker import EngFormatter

    return EngFormatter(unit="B", places=1 if count >= 1000 else 0)(count)

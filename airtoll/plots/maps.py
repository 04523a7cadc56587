"""The map of a run: where its nodes are, and which resources they used in the last slot; one drawing per world."""

from collections.abc import Callable
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from airtoll.analysis.mean_queues import mean_queues
from airtoll.plots.plot_style import COLOURS, GREY, TEN_COLOURS, legend_right, run_figure
from controller.config.catalogue import world_named
from controller.run_folder.reader import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = npt.NDArray[np.float64]  # [n, 2]

_HEIGHT_PX = 900
_RESOURCE_MARKERS = "osDv^Ph<"  # resource k has colour k of ten; after ten resources the next marker
_MAX_LISTED = 24  # resources in a legend
_LINE_CHARS = 24  # of legend texts
_NO_QUEUES = "mean queues of devices are unknown: run with record: {values: true}"
_NO_ACTIONS = "the last slot's actions are unknown: no map.json; repeat the run"


class MapData(NamedTuple):
    """What a map is drawn from, of the run's first replica. `rendered`: what the world rendered last (World.render),
    empty before the first slot."""

    folder: RunFolder
    world: Any
    rendered: dict[str, Any]


def draw_map(folder: RunFolder) -> "Figure":
    """The run's map. ValueError for a world without a map."""
    meta = folder.meta
    if meta.world not in _DRAWINGS:
        raise ValueError(f"the world {meta.world!r} has no map; worlds with a map: {', '.join(_DRAWINGS)}")
    world = world_of(folder)
    slot, rendered = folder.map["slot"], folder.map["map"]
    figure = run_figure(meta, _HEIGHT_PX, subject="" if slot is None else f", slot {slot}")
    axes = figure.subplots()
    axes.set_aspect("equal")
    _DRAWINGS[meta.world](axes, MapData(folder, world, rendered))
    if not rendered:
        axes.text(0.5, -0.1, _NO_ACTIONS, transform=axes.transAxes, ha="center", color="#B00000")
    return figure


def has_map(folder: RunFolder) -> bool:
    """Whether the run's world has a map."""
    return folder.meta.world in _DRAWINGS


def world_of(folder: RunFolder) -> Any:
    """The run's world, built from the folder."""
    meta = folder.meta
    entry = world_named(meta.world)
    params: Any = msgspec.convert(folder.world_params, entry.params)
    return entry.build(params, seed=meta.seed, replicas=meta.replicas)


# -------------------------------------------------------------------------------- d2d_underlay


def _draw_cell(axes: "Axes", data: MapData) -> None:
    """After li2020 fig. 5: BS, CUEs and pairs; users of the same RB have the same colour and marker."""
    world = data.world
    geometry = world.geometry
    cue_m, tx_m, rx_m = geometry.cue_m[0], geometry.tx_m[0], geometry.rx_m[0]
    rbs: list[int] | None = data.rendered.get("rb")
    _draw_bounds(axes, world.params.radius_m)
    _draw_reuse(axes, cue_m, tx_m, rbs)
    _draw_cues(axes, cue_m)
    _draw_pairs(axes, tx_m, rx_m, rbs)
    axes.scatter([0], [0], s=320, marker="*", color="black", zorder=5, label="BS")
    axes.set_xlabel("east of the BS [m]")
    axes.set_ylabel("north of the BS [m]")
    _cell_legend(axes, len(cue_m), rbs)


def _draw_bounds(axes: "Axes", radius_m: float) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), radius_m, fill=False, color=GREY, linewidth=1))
    axes.set_xlim(-1.06 * radius_m, 1.06 * radius_m)
    axes.set_ylim(-1.06 * radius_m, 1.06 * radius_m)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_reuse(axes: "Axes", cue_m: Points, tx_m: Points, rbs: list[int] | None) -> None:
    """A line from each transmitter to the CUE that it interferes with."""
    for tx, rb in zip(tx_m, rbs or [], strict=False):
        if rb >= 0:
            axes.plot(
                *np.array([tx, cue_m[rb]]).T, color=_colour(rb), linewidth=0.9, linestyle=":", alpha=0.7, zorder=1
            )


def _draw_cues(axes: "Axes", cue_m: Points) -> None:
    for rb, (x, y) in enumerate(cue_m):
        axes.scatter(
            [x], [y], s=260, marker=_marker(rb), facecolor="white", edgecolor=_colour(rb), linewidth=2, zorder=3
        )
        axes.text(x, y, str(rb), ha="center", va="center_baseline", fontsize=9, zorder=4)


def _draw_pairs(axes: "Axes", tx_m: Points, rx_m: Points, rbs: list[int] | None) -> None:
    away = (tx_m - rx_m) / np.maximum(np.hypot(*(tx_m - rx_m).T), 1e-9)[:, None]
    for pair, (tx, rx) in enumerate(zip(tx_m, rx_m, strict=True)):
        rb = rbs[pair] if rbs is not None else -1
        colour, marker = (_colour(rb), _marker(rb)) if rb >= 0 else (GREY, "x")
        axes.plot(*np.array([tx, rx]).T, color=colour, linewidth=2, zorder=2)
        axes.scatter([tx[0]], [tx[1]], s=48, marker=marker, color=colour, zorder=3)
        axes.scatter([rx[0]], [rx[1]], s=26, marker="o", facecolor="white", edgecolor=colour, linewidth=1.5, zorder=3)
        axes.annotate(str(pair), tx, 10 * away[pair], textcoords="offset points", ha="center", va="center", fontsize=8)


def _cell_legend(axes: "Axes", count: int, rbs: list[int] | None) -> None:
    empty: list[float] = []
    axes.scatter(empty, empty, s=160, marker="o", facecolor="white", edgecolor="black", label="CUE with its RB")
    axes.plot(empty, empty, "-o", color="black", markersize=7, label="pair: transmitter ...")
    axes.scatter(empty, empty, s=26, marker="o", facecolor="white", edgecolor="black", label="... and receiver")
    axes.plot(empty, empty, ":", color="black", label="reuses the CUE's RB")
    if rbs is not None and count <= _MAX_LISTED:
        for rb in range(count):
            label = f"RB {rb}: {_users(rbs, rb)}"
            axes.scatter(empty, empty, s=48, marker=_marker(rb), color=_colour(rb), label=label)
    if rbs is None or -1 in rbs:
        label = "RB unknown" if rbs is None else f"silent: {_users(rbs, -1)}"
        axes.scatter(empty, empty, s=48, marker="x", color=GREY, label=label)
    legend_right(axes, fontsize=10, labelspacing=0.7)


def _users(rbs: list[int], rb: int) -> str:
    """`pairs 3, 4, 5`, wrapped so that the legend leaves room for the cell."""
    pairs = [str(pair) for pair, used in enumerate(rbs) if used == rb]
    return fill(f"pair{'s' * (len(pairs) > 1)} {', '.join(pairs)}", _LINE_CHARS) if pairs else "no pair"


# -------------------------------------------------------------------------------- conflict_graph


def _draw_graph(axes: "Axes", data: MapData) -> None:
    """Devices on a circle, agent by agent, with their scheduled subbands; arrows point from interferer to victim."""
    graph = data.world.graph
    agents, devices = _on_circles([len(own) for own in graph.serves])
    queues = mean_queues(data.folder, data.world)
    _draw_conflicts(axes, devices, graph.spoils)
    _draw_agents(axes, graph, agents, devices)
    _draw_devices(axes, graph.devices, devices, queues)
    _draw_subbands(axes, devices, data.rendered.get("active", []))
    axes.set_xlim(-1.3, 1.3)
    axes.set_ylim(-1.3, 1.3)
    axes.set_axis_off()
    _graph_legend(axes, data, queues is not None)


def _on_circles(counts: list[int]) -> tuple[Points, Points]:
    """Agents on an inner circle [agents, 2] and devices on the outer [devices, 2], a gap between agents."""
    total, gap = sum(counts) + len(counts) * 0.6, 0.6
    starts = np.cumsum([0, *(count + gap for count in counts[:-1])])
    positions = [start + i for start, count in zip(starts, counts, strict=True) for i in range(count)]
    middles = [start + (count - 1) / 2 for start, count in zip(starts, counts, strict=True)]

    def circle(at: list[float], radius: float) -> Points:
        angle = np.pi / 2 - 2 * np.pi * np.array(at) / total
        return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    return circle(middles, 0.52), circle(positions, 1.0)


def _draw_conflicts(axes: "Axes", devices: Points, spoils: npt.NDArray[np.bool_]) -> None:
    """One arrow per conflict; one arrow with two heads where devices interfere with each other."""
    from matplotlib.patches import FancyArrowPatch

    for i, n in np.argwhere(spoils):
        mutual = bool(spoils[n, i])
        if mutual and i > n:
            continue
        style, colour = ("<|-|>", "#555555") if mutual else ("-|>", COLOURS[1])
        ends = (tuple(devices[i]), tuple(devices[n]))
        arrow = FancyArrowPatch(
            *ends,
            arrowstyle=style,
            mutation_scale=13,
            shrinkA=19,
            shrinkB=19,
            color=colour,
            linewidth=1.1,
            connectionstyle="arc3,rad=0.12",
            zorder=1,
        )
        axes.add_patch(arrow)


def _draw_agents(axes: "Axes", graph: Any, agents: Points, devices: Points) -> None:
    for name, own, at in zip(graph.agents, graph.own, agents, strict=True):
        for device in devices[own]:
            axes.plot(*np.array([at, device]).T, color=COLOURS[5], linewidth=5, alpha=0.35, zorder=0)
        axes.text(at[0], at[1], name, ha="center", va="center", fontsize=11, bbox=_BOX, zorder=4)


def _draw_devices(axes: "Axes", ids: tuple[int, ...], devices: Points, queues: Points | None) -> None:
    about = {"c": queues, "cmap": "cividis_r", "vmin": 0} if queues is not None else {"color": "white"}
    dots = axes.scatter(devices[:, 0], devices[:, 1], s=760, edgecolor="black", linewidth=1.2, zorder=3, **about)
    for index, (x, y) in enumerate(devices):
        dark = queues is not None and queues[index] > queues.max() / 2
        axes.text(x, y, str(ids[index]), ha="center", va="center", color="white" if dark else "black", zorder=4)
    if queues is not None:
        bar = axes.figure.colorbar(dots, ax=axes, location="bottom", shrink=0.5, pad=0.02)
        bar.set_label("mean queue at the end of a slot [tasks]")


def _draw_subbands(axes: "Axes", devices: Points, active: list[list[int]]) -> None:
    """Outside each device one marker per subband that it was scheduled on."""
    for device, subbands in zip(devices, active, strict=False):
        for nth, subband in enumerate(subbands):
            x, y = device * (1.14 + 0.07 * nth)
            axes.scatter([x], [y], s=80, marker=_marker(subband), color=_colour(subband), zorder=3)


def _graph_legend(axes: "Axes", data: MapData, has_queues: bool) -> None:
    empty: list[float] = []
    axes.plot(empty, empty, color=COLOURS[5], linewidth=5, alpha=0.35, label="agent serves device")
    axes.plot(empty, empty, color="#555555", label="interference both ways")
    axes.plot(empty, empty, color=COLOURS[1], label="interference one way")
    if data.rendered:
        for subband in range(data.folder.meta.world_params["subbands"]):
            label = f"scheduled on subband {subband}"
            axes.scatter(empty, empty, s=80, marker=_marker(subband), color=_colour(subband), label=label)
    if not has_queues:
        axes.plot(empty, empty, " ", label=f"\n{fill(_NO_QUEUES, _LINE_CHARS)}")
    legend_right(axes, fontsize=10, labelspacing=0.7)


_BOX = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": COLOURS[5], "linewidth": 2}


def _colour(resource: int) -> str:
    return TEN_COLOURS[resource % len(TEN_COLOURS)]


def _marker(resource: int) -> str:
    return _RESOURCE_MARKERS[resource // len(TEN_COLOURS) % len(_RESOURCE_MARKERS)]


_DRAWINGS: dict[str, Callable[["Axes", MapData], None]] = {"conflict_graph": _draw_graph, "d2d_underlay": _draw_cell}

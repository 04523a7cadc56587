"""Where everybody is, and who used what in the last slot: one drawing per world, of its first replica."""

from collections.abc import Callable
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from airtoll.analysis.mean_queues import mean_queues
from airtoll.plots.plot_style import COLOURS, GREY, TEN_COLOURS, legend_beside, sheet
from controller.execution.building import build_world
from controller.run_folder.folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = npt.NDArray[np.float64]  # [n, 2]

_HEIGHT_PX = 900
_MARKERS = "osDv^Ph<"  # resource k has colour k of ten, and the next marker where they begin anew
_MAX_LISTED = 24  # resources in a legend
_LINE = 24  # notes
_NO_QUEUES = "the devices' mean queues are not known: run with record: {values: true}"
_NO_PICTURE = "what was done in the last slot is not known: no map.json; play the run again"


class Known(NamedTuple):
    """What a drawing is made from. `shown`: what the world showed last, empty before the first slot."""

    folder: RunFolder
    world: Any
    shown: dict[str, Any]


def map_of(folder: RunFolder) -> "Figure":
    """The run's map. ValueError for a world that none is drawn of."""
    config = folder.config
    if config.world.name not in _DRAWINGS:
        raise ValueError(
            f"no map is drawn of the world {config.world.name!r}; there are maps of {', '.join(_DRAWINGS)}"
        )
    world: Any = build_world(config.plan("map"))
    found = folder.map
    slot, shown = found["slot"], found["map"]
    figure = sheet(config, _HEIGHT_PX, subject="" if slot is None else f", slot {slot}")
    axes = figure.subplots()
    axes.set_aspect("equal")
    _DRAWINGS[config.world.name](axes, Known(folder, world, shown))
    if not shown:
        axes.text(0.5, -0.1, _NO_PICTURE, transform=axes.transAxes, ha="center", color="#B00000")
    return figure


def has_map(folder: RunFolder) -> bool:
    """Whether a map is drawn of the run's world."""
    return folder.config.world.name in _DRAWINGS


# -------------------------------------------------------------------------------- d2d_underlay


def _draw_cell(axes: "Axes", known: Known) -> None:
    """After li2020 fig. 5: BS, CUEs, pairs; what is on the same RB has the same colour and marker."""
    world = known.world
    geometry = world.geometry
    cue_m, tx_m, rx_m = geometry.cue_m[0], geometry.tx_m[0], geometry.rx_m[0]
    rbs: list[int] | None = known.shown.get("rb")
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
    """Each transmitter and the CUE it disturbs."""
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
        label = "RB not known" if rbs is None else f"silent: {_users(rbs, -1)}"
        axes.scatter(empty, empty, s=48, marker="x", color=GREY, label=label)
    legend_beside(axes, fontsize=10, labelspacing=0.7)


def _users(rbs: list[int], rb: int) -> str:
    """`pairs 3, 4, 5`, in lines that leave room for the cell."""
    pairs = [str(pair) for pair, used in enumerate(rbs) if used == rb]
    return fill(f"pair{'s' * (len(pairs) > 1)} {', '.join(pairs)}", _LINE) if pairs else "no pair"


# -------------------------------------------------------------------------------- conflict_graph


def _draw_graph(axes: "Axes", known: Known) -> None:
    """Devices on a circle, agent by agent, with the subbands they were given; arrows point at whom a device spoils."""
    graph = known.world.graph
    agents, devices = _on_circles([len(own) for own in graph.serves])
    queues = mean_queues(known.folder, known.world)
    _draw_conflicts(axes, devices, graph.spoils)
    _draw_agents(axes, graph, agents, devices)
    _draw_devices(axes, graph.devices, devices, queues)
    _draw_subbands(axes, devices, known.shown.get("active", []))
    axes.set_xlim(-1.3, 1.3)
    axes.set_ylim(-1.3, 1.3)
    axes.set_axis_off()
    _graph_legend(axes, known, queues is not None)


def _on_circles(counts: list[int]) -> tuple[Points, Points]:
    """Agents on an inner circle [agents, 2] and devices on the outer [devices, 2], a gap between agents."""
    total, gap = sum(counts) + len(counts) * 0.6, 0.6
    starts = np.cumsum([0, *(count + gap for count in counts[:-1])])
    places = [start + i for start, count in zip(starts, counts, strict=True) for i in range(count)]
    middles = [start + (count - 1) / 2 for start, count in zip(starts, counts, strict=True)]

    def circle(at: list[float], radius: float) -> Points:
        angle = np.pi / 2 - 2 * np.pi * np.array(at) / total
        return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    return circle(middles, 0.52), circle(places, 1.0)


def _draw_conflicts(axes: "Axes", devices: Points, spoils: npt.NDArray[np.bool_]) -> None:
    """One arrow per direction; a single one with two heads where both spoil each other."""
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
    for place, (x, y) in enumerate(devices):
        dark = queues is not None and queues[place] > queues.max() / 2
        axes.text(x, y, str(ids[place]), ha="center", va="center", color="white" if dark else "black", zorder=4)
    if queues is not None:
        bar = axes.figure.colorbar(dots, ax=axes, location="bottom", shrink=0.5, pad=0.02)
        bar.set_label("mean queue at the end of a slot [tasks]")


def _draw_subbands(axes: "Axes", devices: Points, active: list[list[int]]) -> None:
    """Outside each device a mark per subband that it was scheduled on."""
    for device, subbands in zip(devices, active, strict=False):
        for nth, subband in enumerate(subbands):
            x, y = device * (1.14 + 0.07 * nth)
            axes.scatter([x], [y], s=80, marker=_marker(subband), color=_colour(subband), zorder=3)


def _graph_legend(axes: "Axes", known: Known, has_queues: bool) -> None:
    empty: list[float] = []
    axes.plot(empty, empty, color=COLOURS[5], linewidth=5, alpha=0.35, label="agent serves device")
    axes.plot(empty, empty, color="#555555", label="both spoil each other")
    axes.plot(empty, empty, color=COLOURS[1], label="spoils the one it points at")
    if known.shown:
        for subband in range(known.folder.config.world.model_dump()["subbands"]):
            label = f"scheduled on subband {subband}"
            axes.scatter(empty, empty, s=80, marker=_marker(subband), color=_colour(subband), label=label)
    if not has_queues:
        axes.plot(empty, empty, " ", label=f"\n{fill(_NO_QUEUES, _LINE)}")
    legend_beside(axes, fontsize=10, labelspacing=0.7)


_BOX = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": COLOURS[5], "linewidth": 2}


def _colour(resource: int) -> str:
    return TEN_COLOURS[resource % len(TEN_COLOURS)]


def _marker(resource: int) -> str:
    return _MARKERS[resource // len(TEN_COLOURS) % len(_MARKERS)]


_DRAWINGS: dict[str, Callable[["Axes", Known], None]] = {"conflict_graph": _draw_graph, "d2d_underlay": _draw_cell}

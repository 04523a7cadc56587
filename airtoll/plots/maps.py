"""The map of a run: the last drawing of its world (protocol.messages.drawing), in matplotlib."""

from textwrap import fill
from typing import TYPE_CHECKING, Any

import msgspec

from airtoll.plots.plot_style import COLOURS, GREY, TEN_COLOURS, legend_right, run_figure
from controller.config.catalogue import world_named
from controller.run_folder.reader import RunFolder
from protocol.messages.drawing import Bar, Circle, Drawing, Label, LegendEntry, Line, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT_PX = 900
_AXES_PT = 440  # the width of the axes, of which the sizes of marks are thousandths
_RESOURCE_MARKERS = "osDv^Ph<"  # resource k has colour k of ten; after ten resources the next marker
_SHAPES = {"dot": "o", "ring": "o", "star": "*"}
_STYLES = {"solid": "-", "dotted": ":", "dashed": (0, (6, 3)), "wide": "-"}
_TONES = {"quiet": "#555555", "accent": COLOURS[5], "warning": COLOURS[1]}
_WARNING, _BAR = "#B00000", "#9FCDEC"
_BAR_SIZE = 12, 50  # width and height, in thousandths of the drawing's width
_LEGEND_CHARS = 28
_NO_SLOT = "the last slot's actions are unknown: no map.json; repeat the run"
_BOX = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": COLOURS[5], "linewidth": 2}


def draw_map(folder: RunFolder) -> "Figure":
    """The run's map. ValueError for a world without one."""
    slot, stored = folder.map["slot"], folder.map["map"]
    drawing = msgspec.convert(stored, Drawing) if stored else first_drawing(folder)
    figure = run_figure(folder.meta, _HEIGHT_PX, subject="" if slot is None else f", slot {slot}")
    axes = figure.subplots()
    draw(axes, drawing)
    if not stored:
        axes.text(0.5, -0.1, _NO_SLOT, transform=axes.transAxes, ha="center", color=_WARNING)
    return figure


def has_map(folder: RunFolder) -> bool:
    """Whether the run's world can be drawn."""
    return bool(folder.map["map"]) or hasattr(world_of(folder), "render")


def first_drawing(folder: RunFolder) -> Drawing:
    """The world before its first slot, for a run that left no map. ValueError for a world that cannot be drawn."""
    world = world_of(folder)
    if not hasattr(world, "render"):
        raise ValueError(f"the world {folder.meta.world!r} has no map: it has no `render`")
    drawing: Drawing = world.render(world.reset())
    return drawing


def world_of(folder: RunFolder) -> Any:
    """The run's world, built from the folder."""
    meta = folder.meta
    entry = world_named(meta.world)
    params: Any = msgspec.convert(folder.world_params, entry.params)
    return entry.build(params, seed=meta.seed, replicas=meta.replicas)


def draw(axes: "Axes", drawing: Drawing) -> None:
    """A drawing into axes of its extent; with a scale if its positions have a unit."""
    axes.set_aspect("equal")
    axes.set_xlim(drawing.left, drawing.right)
    axes.set_ylim(drawing.bottom, drawing.top)
    if drawing.unit:
        axes.set_xlabel(f"[{drawing.unit}]")
        axes.set_ylabel(f"[{drawing.unit}]")
        axes.spines[["top", "right"]].set_visible(False)
    else:
        axes.set_axis_off()
    for circle in drawing.circles:
        _draw_circle(axes, circle)
    for line in drawing.lines:
        _draw_line(axes, line, drawing.right - drawing.left)
    for point in drawing.points:
        _draw_point(axes, point)
    for bar in drawing.bars:
        _draw_bar(axes, bar, (drawing.right - drawing.left) / 1000)
    for label in drawing.labels:
        _draw_label(axes, label)
    _draw_legend(axes, drawing.legend)


def _draw_circle(axes: "Axes", circle: Circle) -> None:
    from matplotlib import patches

    axes.add_patch(patches.Circle((circle.x, circle.y), circle.radius, fill=False, color=GREY, linewidth=1))


def _draw_line(axes: "Axes", line: Line, width: float) -> None:
    from matplotlib.patches import FancyArrowPatch

    points_per_unit = _AXES_PT / width
    style: Any = _STYLES[line.style]
    arrow = FancyArrowPatch(
        (line.x1, line.y1),
        (line.x2, line.y2),
        arrowstyle={"none": "-", "end": "-|>", "both": "<|-|>"}[line.heads],
        mutation_scale=13,
        shrinkA=line.gap * points_per_unit,
        shrinkB=line.gap * points_per_unit,
        color=_line_colour(line),
        linestyle=style,
        alpha=0.35 if line.style == "wide" else 1,
        linewidth=_line_width(line),
        connectionstyle=f"arc3,rad={-line.bend}",
        zorder=0 if line.style == "wide" else 1,
    )
    axes.add_patch(arrow)


def _draw_point(axes: "Axes", point: Point) -> None:
    axes.scatter([point.x], [point.y], zorder=3, **_mark(point))
    if point.alarm:
        size = _area(1.5 * point.size)
        axes.scatter([point.x], [point.y], s=size, facecolor="none", edgecolor=_WARNING, linewidth=1.5, linestyle="--")
    if point.label:
        axes.text(point.x, point.y, point.label, ha="center", va="center_baseline", fontsize=9, zorder=4)


def _draw_bar(axes: "Axes", bar: Bar, unit: float) -> None:
    from matplotlib.patches import Rectangle

    width, height = (size * unit for size in _BAR_SIZE)
    foot = bar.x - width / 2, bar.y
    axes.add_patch(Rectangle(foot, width, height, facecolor="white", edgecolor="black", linewidth=0.8, zorder=4))
    axes.add_patch(Rectangle(foot, width, bar.share * height, facecolor=_BAR, zorder=4))
    _write(axes, bar.x, bar.y - 0.3 * height, bar.label)


def _draw_label(axes: "Axes", label: Label) -> None:
    if label.boxed:
        axes.text(label.x, label.y, label.text, ha="center", va="center", fontsize=11, bbox=_BOX, zorder=5)
    else:
        _write(axes, label.x, label.y, label.text)


def _write(axes: "Axes", x: float, y: float, text: str) -> None:
    """A small text that stays readable over lines."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground="white")]
    axes.text(x, y, text, ha="center", va="center", fontsize=8, path_effects=halo, zorder=5)


def _draw_legend(axes: "Axes", entries: tuple[LegendEntry, ...]) -> None:
    empty: list[float] = []
    for entry in entries:
        text = fill(entry.text, _LEGEND_CHARS)
        if entry.point is not None:
            mark = _mark(entry.point)
            if entry.point.alarm:
                mark |= {"edgecolor": _WARNING, "linestyle": "--"}
            axes.scatter(empty, empty, label=text, **mark)
        elif entry.line is not None:
            style: Any = _STYLES[entry.line.style]
            colour, width = _line_colour(entry.line), _line_width(entry.line)
            alpha = 0.35 if entry.line.style == "wide" else 1
            axes.plot(empty, empty, color=colour, linestyle=style, linewidth=width, alpha=alpha, label=text)
        else:
            axes.plot(empty, empty, "s" if entry.bar else " ", color=_BAR, markeredgecolor="black", label=text)
    if entries:
        legend_right(axes, fontsize=10, labelspacing=0.7)


def _mark(point: Point) -> dict[str, Any]:
    """How `scatter` draws a point."""
    colour = "black" if point.resource is None else _colour(point.resource)
    if point.shape == "marker" and point.resource is not None and point.resource < 0:
        return {"s": _area(point.size), "marker": "x", "color": colour}
    shape = _marker(point.resource or 0) if point.shape == "marker" else _SHAPES[point.shape]
    outlined = point.hollow or point.shape == "ring"
    face = {"facecolor": "white" if outlined else colour, "edgecolor": _WARNING if point.hollow else colour}
    return {"s": _area(point.size), "marker": shape, "linewidth": 1.6 if outlined else 0.5, **face}


def _line_colour(line: Line) -> str:
    return _TONES[line.tone] if line.resource is None else _colour(line.resource)


def _line_width(line: Line) -> float:
    if line.style == "wide":
        return 5
    return 0.9 if line.style == "dotted" else 1.1 if line.resource is None else 2


def _area(radius: float) -> float:
    """Of a mark, in square points."""
    return float((2 * radius * _AXES_PT / 1000) ** 2)


def _colour(resource: int) -> str:
    return GREY if resource < 0 else TEN_COLOURS[resource % len(TEN_COLOURS)]


def _marker(resource: int) -> str:
    return _RESOURCE_MARKERS[resource // len(TEN_COLOURS) % len(_RESOURCE_MARKERS)]

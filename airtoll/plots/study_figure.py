"""One figure of a study: lines of means over seeds, in panels, with the words of its caption.

Only functions that draw import matplotlib: it takes longer to import than a short run.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from airtoll.analysis.confidence import LEVEL, Mean, mean_of
from airtoll.plots.line_looks import LineLook, look_of
from airtoll.plots.plot_style import legend_right, light_grid, new_figure, paper_figure
from controller.studies.plot_spec import PlotSpec, numbers_of
from controller.studies.study_file import Study, Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, str]
Label = Callable[[str], str]  # of a column: its name with its unit
Marks = Literal["band", "dots", "path"]  # where x is a numeric axis, a categorical axis, a measured quantity
Looks = Mapping[str, Mapping[str, LineLook]]  # of labels, by axis

_PANELS_PER_ROW, _ROW_PX, _MARGINS_PX = 3, 460, 110
_MAX_MARKED = 30  # a line of at most so many points has a marker on each
_BAND = 0.18  # opacity
_SPREAD = 0.5  # share of a category's width over which its lines are spread
_LEGEND_COLUMNS = {"one column": 3, "two columns": 5}


class Point(NamedTuple):
    """`x`: a number, or the position of a category."""

    x: float
    y: Mean


class Drawn(NamedTuple):
    """A figure and the lines of its caption."""

    figure: "Figure"
    caption: list[str]


class _Scales(NamedTuple):
    """Where logarithmic axes begin to be linear, so that 0 is on them; None for axes that are not, or have no 0."""

    x: float | None
    y: float | None


def draw(
    study: Study, sweep: Sweep, plot: PlotSpec, rows: Sequence[Row], *, label: Label, looks: Looks | None = None
) -> Drawn | None:
    """One plot of the sweep's rows; None when it has none to show. `looks`: of lines that have names."""
    shown = relative(sweep, plot, [row for row in rows if row.get(plot.y) and _has(row, plot.fixed_labels)])
    if not shown:
        return None
    panels = _labels(sweep, plot.panels, shown)
    width, columns = plot.width or study.look.width, min(len(panels), _PANELS_PER_ROW)
    height = -(-len(panels) // columns)  # in panels
    x_label, y_label = plot.x_label or label(plot.x), plot.y_label or _y_label(plot, label)
    title = plot.title or f"{study.name}: {' '.join(y_label.split())} against {x_label}"
    is_screen = width == "screen"
    figure = new_figure(title, _MARGINS_PX + _ROW_PX * height) if is_screen else paper_figure(width, height, columns)
    grid = list(figure.subplots(height, columns, sharex=True, sharey=True, squeeze=False).flat)
    scales, counts = _scales(sweep, plot, shown), set[int]()
    for axes, panel in zip(grid, panels, strict=False):
        _scale(axes, sweep, plot, scales)
        counts |= _draw_panel(axes, sweep, plot, _with(shown, plot.panels, panel), looks or {})
        if plot.panels:
            axes.set_title(f"{plot.panels} = {panel}", **({"fontsize": 11} if is_screen else {}))
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[::columns]:
        axes.set_ylabel(y_label)
    held = [_named(plot.fixed_labels)] if plot.fixed_labels else []
    below = "; ".join([*held, _interval(counts, _marks(sweep, plot)), *_linear(scales)])
    figure.supxlabel("\n".join([x_label, below]) if is_screen else x_label, **({"fontsize": 10} if is_screen else {}))
    if plot.lines:
        _legend(figure, grid[columns - 1], plot.lines, width)
    return Drawn(figure, [f"{title}{_by(plot)}.", f"{below}.", _over_seeds(study, shown)])


def _legend(figure: "Figure", axes: "Axes", title: str, width: str) -> None:
    """On the right of a screen's figure; above a paper's, which has no room to spare."""
    if width == "screen":
        legend_right(axes, title=title, alignment="left")
        return
    handles, labels = axes.get_legend_handles_labels()
    rows = -(-len(labels) // _LEGEND_COLUMNS[width])
    figure.legend(handles, labels, loc="outside upper center", ncols=-(-len(labels) // rows), frameon=False)


def _by(plot: PlotSpec) -> str:
    return (f"; lines: {plot.lines}" if plot.lines else "") + (f"; panels: {plot.panels}" if plot.panels else "")


def _over_seeds(study: Study, rows: Sequence[Row]) -> str:
    found = list(dict.fromkeys(row["seed"] for row in rows))
    missing = len(study.seeds) - len(found)
    partial = f"; PARTIAL: the other {missing} of the study's seeds have no results" if missing > 0 else ""
    return f"seeds: {', '.join(found)}{partial}"


def _scales(sweep: Sweep, plot: PlotSpec, rows: Sequence[Row]) -> _Scales:
    across = sweep.axis(plot.x)
    xs = (numbers_of(list(across.values)) or []) if across else [float(row.get(plot.x) or 0) for row in rows]
    ys = [float(row[plot.y]) for row in rows]
    log = plot.log or ""
    return _Scales(_linear_below(xs) if "x" in log else None, _linear_below(ys) if "y" in log else None)


def _linear_below(values: Sequence[float]) -> float | None:
    """The power of ten below all values that are not 0; None where no value is 0 or negative."""
    sizes = [abs(value) for value in values if value]
    return 10.0 ** math.floor(math.log10(min(sizes))) if sizes and min(values) <= 0 else None


def _linear(scales: _Scales) -> list[str]:
    return [
        f"the logarithmic {axis} axis is linear below {below:g}, so that 0 is on it"
        for axis, below in scales._asdict().items()
        if below is not None
    ]


def points(sweep: Sweep, plot: PlotSpec, rows: Iterable[Row]) -> list[Point]:
    """One point per value of the axis `x`; where `x` is measured, one per combination of the axes, sorted by x."""
    across = sweep.axis(plot.x)
    by = [plot.x] if across else [axis.name for axis in sweep.axes]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[axis] for axis in by), []).append(row)
    positions = _positions(list(across.values)) if across else {}
    found = [
        Point(
            positions[labels[0]] if across else mean_of([float(row.get(plot.x) or 0) for row in group]).value,
            mean_of([float(row[plot.y]) for row in group]),
        )
        for labels, group in groups.items()
    ]
    return sorted(found)


def relative(sweep: Sweep, plot: PlotSpec, rows: Sequence[Row]) -> list[Row]:
    """The rows with y divided by the reference's y of the same seed, so that the interval does not include what the
    seeds share. Rows without a reference are left out."""
    if not plot.reference_labels:
        return list(rows)
    matched = ["seed", *(axis.name for axis in sweep.axes if axis.name not in plot.reference_labels)]

    def key(row: Row) -> tuple[str, ...]:
        return tuple(row[column] for column in matched)

    references = {key(row): float(row[plot.y]) for row in rows if _has(row, plot.reference_labels)}
    found = [row for row in rows if references.get(key(row))]
    return [{**row, plot.y: repr(float(row[plot.y]) / references[key(row)])} for row in found]


def _y_label(plot: PlotSpec, label: Label) -> str:
    return f"{plot.y}, relative to\n{_named(plot.reference_labels)}" if plot.reference_labels else label(plot.y)


def _has(row: Row, labels: Mapping[str, str]) -> bool:
    return all(row[axis] == label for axis, label in labels.items())


def _named(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{axis} = {label}" for axis, label in labels.items())


def _draw_panel(axes: "Axes", sweep: Sweep, plot: PlotSpec, rows: Sequence[Row], looks: Looks) -> set[int]:
    """Draw one line per label, or one point per label of an x that names schemes; the numbers of seeds that points
    have."""
    marks, by = _marks(sweep, plot), plot.lines or (plot.x if plot.x in looks else None)
    lines, known = _labels(sweep, by, rows), sweep.axis(by) if by else None
    order = list(known.values) if known else [""]
    counts: set[int] = set()
    for number, line in enumerate(lines):
        drawn = points(sweep, plot, _with(rows, by, line))
        spreads = marks == "dots" and by == plot.lines
        shift = _SPREAD * ((number + 0.5) / len(lines) - 0.5) if spreads else 0.0
        look = looks.get(by or "", {}).get(line) or look_of(order.index(line))
        _draw_line(axes, [point._replace(x=point.x + shift) for point in drawn], look, line, marks)
        counts |= {point.y.seeds for point in drawn}
    light_grid(axes)
    return counts


def _marks(sweep: Sweep, plot: PlotSpec) -> Marks:
    """A band connects values of a numeric axis; between categories there is nothing to connect."""
    across = sweep.axis(plot.x)
    if across is None:
        return "path"
    return "dots" if numbers_of(list(across.values)) is None else "band"


def _scale(axes: "Axes", sweep: Sweep, plot: PlotSpec, scales: _Scales) -> None:
    from matplotlib.ticker import LogFormatter, NullLocator

    across = sweep.axis(plot.x)
    if scales.y is not None:
        axes.set_yscale("symlog", linthresh=scales.y, linscale=0.5)
    elif "y" in (plot.log or ""):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
        axes.grid(axis="y", which="minor", color="#EEEEEE", linewidth=0.6)
    if scales.x is not None:
        axes.set_xscale("symlog", linthresh=scales.x, linscale=0.5)
    elif "x" in (plot.log or ""):
        axes.set_xscale("log")
    if across and (plot.log in ("x", "xy") or _marks(sweep, plot) == "dots"):
        axes.set_xticks(list(_positions(list(across.values)).values()), list(across.values))
        axes.xaxis.set_minor_locator(NullLocator())
    if across and _marks(sweep, plot) == "dots":
        axes.set_xlim(-0.5, len(across.values) - 0.5)


def _draw_line(axes: "Axes", drawn: Sequence[Point], look: LineLook, label: str, marks: Marks) -> None:
    colour, style = look.colour, look.dash
    marker = look.marker if len(drawn) <= _MAX_MARKED else None
    xs, ys, half = [p.x for p in drawn], [p.y.value for p in drawn], [p.y.half for p in drawn]
    if marks == "band":
        low, high = ([y + sign * h for y, h in zip(ys, half, strict=True)] for sign in (-1, 1))
        axes.fill_between(xs, low, high, color=colour, alpha=_BAND, linewidth=0)
        axes.plot(xs, ys, color=colour, marker=marker, linestyle=style, label=label)
    else:
        line = "none" if marks == "dots" else style
        axes.errorbar(xs, ys, yerr=half, color=colour, marker=look.marker, linestyle=line, capsize=3, label=label)


def _interval(counts: set[int], marks: Marks) -> str:
    """What points and intervals are."""
    if max(counts) == 1:
        return "one seed, so the spread is unknown"
    seeds = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
    shown = "band" if marks == "band" else "bars"
    return f"mean over {seeds} seeds; {shown}: {LEVEL:.0%} confidence interval of the mean (Student t)"


def _labels(sweep: Sweep, axis: str | None, rows: Sequence[Row]) -> list[str]:
    """The axis's labels that rows have, in the axis's order; one empty label without an axis."""
    found = sweep.axis(axis) if axis else None
    return [label for label in found.values if any(row[found.name] == label for row in rows)] if found else [""]


def _with(rows: Iterable[Row], axis: str | None, label: str) -> list[Row]:
    return [row for row in rows if axis is None or row[axis] == label]


def _positions(labels: list[str]) -> dict[str, float]:
    return dict(zip(labels, numbers_of(labels) or map(float, range(len(labels))), strict=True))

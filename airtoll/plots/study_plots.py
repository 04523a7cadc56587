"""The plots of a study: means over seeds against an axis, with their confidence intervals.

Only functions that draw import matplotlib: it takes longer to import than a short run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from airtoll.analysis.confidence import LEVEL, Mean, mean_of
from airtoll.plots.plot_style import COLOURS, legend_right, light_grid, new_figure
from controller.config.catalogue import scheme_named, world_named
from controller.config.errors import ConfigError
from controller.config.run_config import RunConfig
from controller.studies.cells import StudyCell
from controller.studies.measures import TOLLS, WALL, units_of
from controller.studies.offline import OfflineFile
from controller.studies.plot_spec import PlotSpec, numbers_of
from controller.studies.study_file import Study, Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, str]
Label = Callable[[str], str]  # of a column: its name with its unit
Marks = Literal["band", "dots", "path"]  # where x is a numeric axis, a categorical axis, a measured quantity

_PANELS_PER_ROW, _ROW_PX, _MARGINS_PX = 3, 460, 110
_LINE_MARKERS = "osD^vP"
_LINE_STYLES = ("-", "--", "-.", ":")  # so that two equal lines are both visible
_BAND = 0.18  # opacity
_OVERHEAD = {"training": "training overhead", "eval": "execution overhead"}  # parts in the names of TOLLS
_SPREAD = 0.5  # share of a category's width over which its lines are spread


class Point(NamedTuple):
    """`x`: a number, or the position of a category."""

    x: float
    y: Mean


def save(study: Study, cells: Sequence[StudyCell], rows: Sequence[Row], out: Path) -> Iterator[Path]:
    """Draw every plot of the study that has rows; the paths, each once it is written. ConfigError when one cannot be
    written."""
    units = units_of(cells)
    for sweep in study.sweeps:
        own = [row for row in rows if row["sweep"] == sweep.name and row["state"] == "SUCCEEDED"]
        config = next(cell.run.config for cell in cells if cell.sweep == sweep.name)
        for plot in sweep.plots:
            path = out / sweep.file_of(plot)
            if figure := draw(study, sweep, plot, own, label=Labels(config, units)):
                _write(figure, path)
                yield path


def save_offline(file: OfflineFile, rows: Sequence[Row], out: Path) -> Iterator[Path]:
    """Draw every plot of a study without slots that has rows; the paths. ConfigError when one cannot be written."""
    [sweep] = file.drawn.sweeps
    for plot in sweep.plots:
        path = out / sweep.file_of(plot)
        if figure := draw(file.drawn, sweep, plot, rows, label=offline_label(file)):
            _write(figure, path)
            yield path


def offline_label(file: OfflineFile) -> Label:
    """Names the numbers of a study without slots with their units."""
    return lambda name: _with_unit(name, file.study.numbers)


def _with_unit(name: str, units: Mapping[str, str]) -> str:
    unit = units.get(name, "1")
    return name if unit == "1" else f"{name} [{unit}]"


class Labels:
    """The labels of plots' axes, units included."""

    def __init__(self, config: RunConfig, units: Mapping[str, str]) -> None:
        world, scheme = world_named(config.world.name), scheme_named(config.scheme.name)
        self._units = dict(units) | {WALL: "s"}
        for where, params in (("world", world.params), ("scheme", scheme.params)):
            self._units |= {f"{where}.{f.name}": str(f.metadata.get("unit") or "1") for f in fields(params)}

    def __call__(self, name: str) -> str:
        """`delay_slots [slots]`, `execution overhead, all kinds [bits/slot/node]`."""
        if name in TOLLS:
            part, kind, unit, *_ = name.split("_")
            return f"{_OVERHEAD[part]}, {'all kinds' if kind == 'all' else kind} [{unit}/slot/node]"
        return _with_unit(name, self._units)


def draw(study: Study, sweep: Sweep, plot: PlotSpec, rows: Sequence[Row], *, label: Label) -> "Figure | None":
    """One plot of the sweep's rows; None when it has none to show."""
    shown = relative(sweep, plot, [row for row in rows if row.get(plot.y) and _has(row, plot.fixed_labels)])
    if not shown:
        return None
    panels = _labels(sweep, plot.panels, shown)
    columns = min(len(panels), _PANELS_PER_ROW)
    height = -(-len(panels) // columns)  # in panels
    x_label, y_label = plot.x_label or label(plot.x), plot.y_label or _y_label(plot, label)
    figure = new_figure(
        plot.title or f"{study.name}: {' '.join(y_label.split())} against {x_label}",
        _MARGINS_PX + _ROW_PX * height,
    )
    grid = list(figure.subplots(height, columns, sharex=True, sharey=True, squeeze=False).flat)
    counts: set[int] = set()
    for axes, panel in zip(grid, panels, strict=False):
        counts |= _draw_panel(axes, sweep, plot, _with(shown, plot.panels, panel))
        if plot.panels:
            axes.set_title(f"{plot.panels} = {panel}", fontsize=11)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[::columns]:
        axes.set_ylabel(y_label)
    if plot.lines:
        legend_right(grid[columns - 1], title=plot.lines, alignment="left")
    fixed = [_named(plot.fixed_labels)] if plot.fixed_labels else []
    figure.supxlabel("\n".join([x_label, "; ".join([*fixed, _caption(counts, _marks(sweep, plot))])]), fontsize=10)
    return figure


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


def _draw_panel(axes: "Axes", sweep: Sweep, plot: PlotSpec, rows: Sequence[Row]) -> set[int]:
    """Draw one line per label; the numbers of seeds that points have."""
    marks, lines = _marks(sweep, plot), _labels(sweep, plot.lines, rows)
    _scale(axes, sweep, plot)
    counts: set[int] = set()
    for number, line in enumerate(lines):
        drawn = points(sweep, plot, _with(rows, plot.lines, line))
        shift = _SPREAD * ((number + 0.5) / len(lines) - 0.5) if marks == "dots" else 0.0
        _draw_line(axes, [point._replace(x=point.x + shift) for point in drawn], number, line, marks)
        counts |= {point.y.seeds for point in drawn}
    light_grid(axes)
    return counts


def _marks(sweep: Sweep, plot: PlotSpec) -> Marks:
    """A band connects values of a numeric axis; between categories there is nothing to connect."""
    across = sweep.axis(plot.x)
    if across is None:
        return "path"
    return "dots" if numbers_of(list(across.values)) is None else "band"


def _scale(axes: "Axes", sweep: Sweep, plot: PlotSpec) -> None:
    from matplotlib.ticker import LogFormatter, NullLocator

    across = sweep.axis(plot.x)
    if "y" in (plot.log or ""):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
        axes.grid(axis="y", which="minor", color="#EEEEEE", linewidth=0.6)
    if "x" in (plot.log or ""):
        axes.set_xscale("log")
    if across and (plot.log in ("x", "xy") or _marks(sweep, plot) == "dots"):
        axes.set_xticks(list(_positions(list(across.values)).values()), list(across.values))
        axes.xaxis.set_minor_locator(NullLocator())
    if across and _marks(sweep, plot) == "dots":
        axes.set_xlim(-0.5, len(across.values) - 0.5)


def _draw_line(axes: "Axes", drawn: Sequence[Point], number: int, label: str, marks: Marks) -> None:
    colour, marker = COLOURS[number % len(COLOURS)], _LINE_MARKERS[number % len(_LINE_MARKERS)]
    style = _LINE_STYLES[number % len(_LINE_STYLES)]
    xs, ys, half = [p.x for p in drawn], [p.y.value for p in drawn], [p.y.half for p in drawn]
    if marks == "band":
        low, high = ([y + sign * h for y, h in zip(ys, half, strict=True)] for sign in (-1, 1))
        axes.fill_between(xs, low, high, color=colour, alpha=_BAND, linewidth=0)
        axes.plot(xs, ys, color=colour, marker=marker, linestyle=style, linewidth=2, label=label)
    else:
        line = "none" if marks == "dots" else style
        axes.errorbar(xs, ys, yerr=half, color=colour, marker=marker, linestyle=line, capsize=4, label=label)


def _caption(counts: set[int], marks: Marks) -> str:
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


def _write(figure: "Figure", path: Path) -> None:
    try:
        figure.savefig(path)
    except OSError as error:
        raise ConfigError(f"--out: {path} cannot be written: {error.strerror}; give another folder") from error

"""Metrics and training scalars over slots: the values faint, their moving mean bold."""

from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from airtoll.plots.plot_style import COLOURS, legend_right, light_grid, run_figure, shade_phases
from controller.config.schedule import PhaseSpan, span_at, spans
from controller.run_folder.reader import RunFolder, Scalar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

# Metrics that share a panel, by pattern. A world has some of them.
_PANELS = ("reward_total", "*outage", "delay_slots", "*_rate_bps_hz", "queue_tasks")
_MAX_METRIC_PANELS, _MAX_SCALAR_PANELS = 3, 4
_COUNTERS = ("updates", "policy_version")  # not drawn: they only grow
_PANEL_PX, _MARGINS_PX = 190, 110
_FAINT = 0.35  # opacity
_MAX_MARKED = 12  # a line of at most so many points has a marker on each
_MEANS_PER_RUN = 16  # a moving mean spans about 1/16 of the run


class Curve(NamedTuple):
    """A ratio over slots: `sums` / `counts` [points] at `slots` [points], in the phases `spans` [points]."""

    name: str
    slots: Floats
    sums: Floats
    counts: Floats
    spans: list[PhaseSpan]

    @property
    def values(self) -> Floats:
        """[points]; nan where nothing was counted."""
        return _ratio(self.sums, self.counts)

    @property
    def width(self) -> int:
        """Points in a moving mean: an odd number, so that the mean is drawn at the middle one."""
        return len(self.slots) // _MEANS_PER_RUN // 2 * 2 + 1

    def moving_mean(self) -> Floats:
        """Sums over counts of the points around each, [points]; none reaches over the end of a phase."""
        mean = np.empty(len(self.slots))
        for span in dict.fromkeys(self.spans):
            of_phase = np.array([other == span for other in self.spans])
            sums, counts = (_around(part[of_phase], self.width) for part in (self.sums, self.counts))
            mean[of_phase] = _ratio(sums, counts)
        return mean


class Panel(NamedTuple):
    """Curves on one scale. `label`: of the y-axis; `points`: what a point is, in the legend of a kind's first panel."""

    label: str
    curves: list[Curve]
    points: str = ""


def draw_curves(folder: RunFolder) -> "Figure":
    """Reward, outages or delays, rates or queues; below them the scalars that nodes reported, such as losses.

    ValueError for a run without a complete window.
    """
    meta, metrics = folder.meta, _metric_panels(folder)
    if not metrics:
        raise ValueError(f"{folder.path} has no metrics: the run stopped before its first window was full")
    panels = metrics + _scalar_panels(folder)
    figure = run_figure(meta, _MARGINS_PX + _PANEL_PX * len(panels))
    stack = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(stack, panels, strict=True):
        _draw(axes, panel)
        shade_phases(axes, meta, named=axes is stack[0])
    stack[-1].set_xlabel("slot")
    figure.align_ylabels(stack)
    return figure


def metric_curves(folder: RunFolder) -> dict[str, Curve]:
    """Every metric per window, at the window's middle, by name."""
    windows = folder.windows()
    slots = np.array([(window.first + window.last + 1) / 2 for window in windows])
    over = spans(folder.meta.schedule)
    return {
        name: Curve(
            name,
            slots,
            np.array([window.sums[name] for window in windows]),
            np.array([window.counts[name] for window in windows]),
            [span_at(window.first, over) for window in windows],
        )
        for name in (windows[0].sums if windows else ())
    }


def scalar_curves(folder: RunFolder) -> dict[str, Curve]:
    """Every scalar that nodes reported, per slot, by name; the mean over nodes where several reported the same one."""
    by_name: dict[str, list[Scalar]] = defaultdict(list)
    for scalar in folder.scalars():
        by_name[scalar.name].append(scalar)
    over = spans(folder.meta.schedule)
    return {name: _mean_over_nodes(name, scalars, over) for name, scalars in by_name.items()}


def _mean_over_nodes(name: str, scalars: Sequence[Scalar], over: Sequence[PhaseSpan]) -> Curve:
    slots = sorted({scalar.slot for scalar in scalars})
    index = {slot: i for i, slot in enumerate(slots)}
    sums, counts = np.zeros(len(slots)), np.zeros(len(slots))
    for scalar in scalars:
        sums[index[scalar.slot]] += scalar.value
        counts[index[scalar.slot]] += 1
    return Curve(name, np.array(slots, float), sums, counts, [span_at(slot, over) for slot in slots])


def _metric_panels(folder: RunFolder) -> list[Panel]:
    """Those of `_PANELS` that the world has; the first metrics of a world that has none of them."""
    meta, curves = folder.meta, metric_curves(folder)
    chosen = [[name for name in curves if fnmatch(name, pattern)] for pattern in _PANELS]
    groups = [group for group in chosen if group] or [[name] for name in curves]
    panels = [_panel(group, curves, meta.units) for group in groups[:_MAX_METRIC_PANELS]]
    return _described_once(panels, f"windows of {meta.window_slots} slots")


def _scalar_panels(folder: RunFolder) -> list[Panel]:
    """A panel for each: losses have scales of their own."""
    curves = scalar_curves(folder)
    names = [name for name in curves if name not in _COUNTERS]
    return _described_once(
        [_panel([name], curves, {}) for name in names[:_MAX_SCALAR_PANELS]], "reports of the trainer"
    )


def _panel(names: Sequence[str], curves: dict[str, Curve], units: dict[str, str]) -> Panel:
    unit = units.get(names[0], "1")
    name = names[0] if len(names) == 1 else _shared_name(names)
    return Panel(name if unit == "1" else f"{name}\n[{unit}]", [curves[name] for name in names])


def _described_once(panels: list[Panel], points: str) -> list[Panel]:
    return [panel._replace(points="" if number else points) for number, panel in enumerate(panels)]


def _shared_name(names: Sequence[str]) -> str:
    """The common ending of names: `outage` of `cellular_outage` and `d2d_outage`."""
    words = [name.split("_")[::-1] for name in names]
    shared = [same[0] for same in zip(*words, strict=False) if len(set(same)) == 1]
    return "_".join(reversed(shared)) or names[0]


def _draw(axes: "Axes", panel: Panel) -> None:
    several = len(panel.curves) > 1
    for curve, colour in zip(panel.curves, COLOURS, strict=False):
        if curve.width > 1:
            axes.plot(curve.slots, curve.values, color=colour, alpha=_FAINT, linewidth=1)
        marker = "o" if len(curve.slots) <= _MAX_MARKED else None
        label = curve.name if several else None
        axes.plot(curve.slots, curve.moving_mean(), marker=marker, color=colour, linewidth=2, label=label)
    if panel.points:
        _describe_points(axes, panel)
    axes.set_ylabel(panel.label)
    light_grid(axes)
    if several or panel.points:
        legend_right(axes, fontsize=10)


def _describe_points(axes: "Axes", panel: Panel) -> None:
    """Legend entries for the faint and the bold line; a moving mean of one point is the point itself."""
    width, empty = panel.curves[0].width, list[float]()
    if width > 1:
        axes.plot(empty, empty, color="black", alpha=_FAINT, linewidth=1, label=panel.points)
    bold = f"moving mean of {width}" if width > 1 else panel.points
    axes.plot(empty, empty, color="black", linewidth=2, label=bold)


def _around(values: Floats, width: int) -> Floats:
    """Sums over the `width` points around each, [points]; over fewer at the ends."""
    totals: Floats = np.concatenate([[0.0], np.cumsum(values)])
    first = np.arange(len(values)) - (width - 1) // 2
    around: Floats = totals[np.clip(first + width, 0, len(values))] - totals[np.clip(first, 0, len(values))]
    return around


def _ratio(sums: Floats, counts: Floats) -> Floats:
    ratio: Floats = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts != 0)
    return ratio

"""Metrics and figures of learning against slots: what was counted faint, its moving mean over it."""

from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatch
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from airtoll.plots.plot_style import COLOURS, legend_beside, quieten, shade_phases, sheet
from controller.config.schedule import Span, phase_at, spans
from controller.run_folder.folder import RunFolder, Scalar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

_PANELS = ("reward_total", "*outage", "delay_slots", "*_rate_bps_hz", "queue_tasks")  # metrics of a panel, if there are
_MAX_METRIC_PANELS, _MAX_SCALAR_PANELS = 3, 4
_NOT_DRAWN = ("updates", "policy_version")  # they count, they do not tell how it goes
_PANEL_PX, _REST_PX = 190, 110
_FAINT = 0.35
_FEW = 12  # so few points are marked one by one
_MEANS_IN_RUN = 16  # a moving mean spans about this part of the run


class Series(NamedTuple):
    """A ratio over slots: `sums` / `counts` [points] at `slots`; `phases` by point."""

    name: str
    slots: Floats
    sums: Floats
    counts: Floats
    phases: list[str]

    @property
    def values(self) -> Floats:
        """[points]; nan where nothing was counted."""
        return _ratio(self.sums, self.counts)

    @property
    def width(self) -> int:
        """Points in a moving mean: odd, so that it lies in their middle."""
        return len(self.slots) // _MEANS_IN_RUN // 2 * 2 + 1

    def moving_mean(self) -> Floats:
        """Sums over counts of the points around each, none of another phase, [points]."""
        mean = np.empty(len(self.slots))
        for phase in dict.fromkeys(self.phases):
            of_phase = np.array([p == phase for p in self.phases])
            sums, counts = (_around(part[of_phase], self.width) for part in (self.sums, self.counts))
            mean[of_phase] = _ratio(sums, counts)
        return mean


class Panel(NamedTuple):
    """What shares a scale. `label` for the y-axis; `points`: what they are, said once for all panels of a kind."""

    label: str
    series: list[Series]
    points: str = ""


def curves(folder: RunFolder) -> "Figure":
    """Reward, outages or delays, rates or queues; below them losses and the like, where nodes reported some.

    ValueError when no window was finished.
    """
    config, metrics = folder.config, _metric_panels(folder)
    if not metrics:
        raise ValueError(f"{folder.path} has no metrics: the run stopped before its first window was full")
    panels = metrics + _scalar_panels(folder)
    figure = sheet(config, _REST_PX + _PANEL_PX * len(panels))
    stack = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(stack, panels, strict=True):
        _draw(axes, panel)
        shade_phases(axes, config, named=axes is stack[0])
    stack[-1].set_xlabel("slot")
    figure.align_ylabels(stack)
    return figure


def metric_series(folder: RunFolder) -> dict[str, Series]:
    """Every metric by window, at the window's middle."""
    rows = folder.windows()
    slots = np.array([(float(row["first"]) + float(row["last"]) + 1) / 2 for row in rows])
    phases = [row["phase"] for row in rows]

    def column(name: str) -> Floats:
        return np.array([float(row[name]) for row in rows])

    names = [key.removesuffix("_sum") for key in (rows[0] if rows else ()) if key.endswith("_sum")]
    return {name: Series(name, slots, column(f"{name}_sum"), column(f"{name}_count"), phases) for name in names}


def scalar_series(folder: RunFolder) -> dict[str, Series]:
    """Every figure that nodes reported, by slot; the mean where several nodes reported the same one."""
    by_name: dict[str, list[Scalar]] = defaultdict(list)
    for scalar in folder.scalars():
        by_name[scalar.name].append(scalar)
    over = spans(folder.config.schedule)
    return {name: _joined(name, told, over) for name, told in by_name.items()}


def _joined(name: str, told: Sequence[Scalar], over: Sequence[Span]) -> Series:
    slots = sorted({scalar.slot for scalar in told})
    index = {slot: i for i, slot in enumerate(slots)}
    sums, counts = np.zeros(len(slots)), np.zeros(len(slots))
    for scalar in told:
        sums[index[scalar.slot]] += scalar.value
        counts[index[scalar.slot]] += 1
    return Series(name, np.array(slots, float), sums, counts, [phase_at(slot, over) for slot in slots])


def _metric_panels(folder: RunFolder) -> list[Panel]:
    """Those of `_PANELS` that the world has; of a world that has none of them its first metrics."""
    config, series = folder.config, metric_series(folder)
    chosen = [[name for name in series if fnmatch(name, pattern)] for pattern in _PANELS]
    groups = [group for group in chosen if group] or [[name] for name in series]
    panels = [_panel(group, series, config.units) for group in groups[:_MAX_METRIC_PANELS]]
    return _said_once(panels, f"windows of {config.record.window_slots} slots")


def _scalar_panels(folder: RunFolder) -> list[Panel]:
    """A panel for each: losses have scales of their own."""
    series = scalar_series(folder)
    names = [name for name in series if name not in _NOT_DRAWN]
    return _said_once([_panel([name], series, {}) for name in names[:_MAX_SCALAR_PANELS]], "reports of learning")


def _panel(names: Sequence[str], series: dict[str, Series], units: dict[str, str]) -> Panel:
    unit = units.get(names[0], "1")
    name = names[0] if len(names) == 1 else _shared_name(names)
    return Panel(name if unit == "1" else f"{name}\n[{unit}]", [series[name] for name in names])


def _said_once(panels: list[Panel], points: str) -> list[Panel]:
    return [panel._replace(points="" if number else points) for number, panel in enumerate(panels)]


def _shared_name(names: Sequence[str]) -> str:
    """What names of one kind end in: `outage` of `cellular_outage` and `d2d_outage`."""
    words = [name.split("_")[::-1] for name in names]
    shared = [same[0] for same in zip(*words, strict=False) if len(set(same)) == 1]
    return "_".join(reversed(shared)) or names[0]


def _draw(axes: "Axes", panel: Panel) -> None:
    several = len(panel.series) > 1
    for series, colour in zip(panel.series, COLOURS, strict=False):
        if series.width > 1:
            axes.plot(series.slots, series.values, color=colour, alpha=_FAINT, linewidth=1)
        marker = "o" if len(series.slots) <= _FEW else None
        label = series.name if several else None
        axes.plot(series.slots, series.moving_mean(), marker=marker, color=colour, linewidth=2, label=label)
    if panel.points:
        _explain(axes, panel)
    axes.set_ylabel(panel.label)
    quieten(axes)
    if several or panel.points:
        legend_beside(axes, fontsize=10)


def _explain(axes: "Axes", panel: Panel) -> None:
    """What is faint and what is bold; a mean of one is what it is of."""
    width, empty = panel.series[0].width, list[float]()
    if width > 1:
        axes.plot(empty, empty, color="black", alpha=_FAINT, linewidth=1, label=panel.points)
    bold = f"moving mean of {width}" if width > 1 else panel.points
    axes.plot(empty, empty, color="black", linewidth=2, label=bold)


def _around(values: Floats, width: int) -> Floats:
    """Sums over `width` points around each; over fewer at the ends."""
    totals: Floats = np.concatenate([[0.0], np.cumsum(values)])
    first = np.arange(len(values)) - (width - 1) // 2
    around: Floats = totals[np.clip(first + width, 0, len(values))] - totals[np.clip(first, 0, len(values))]
    return around


def _ratio(sums: Floats, counts: Floats) -> Floats:
    ratio: Floats = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts != 0)
    return ratio

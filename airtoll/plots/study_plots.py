"""The plots of a study: means over seeds against an axis, with their confidence intervals, each with a caption.

Only functions that draw import matplotlib: it takes longer to import than a short run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airtoll.plots.line_looks import LineLook, label_looks, scheme_looks
from airtoll.plots.plot_style import text_for
from airtoll.plots.study_figure import Label, Row, draw
from controller.config.catalogue import scheme_named, world_named
from controller.config.errors import ConfigError
from controller.config.layers import Layer
from controller.config.run_config import RunConfig
from controller.run_folder.files import replace_file
from controller.studies.budget import BudgetCheck
from controller.studies.cells import StudyCell
from controller.studies.curves import LearningCurves
from controller.studies.measures import TOLLS, WALL, units_of
from controller.studies.offline import OfflineFile
from controller.studies.plot_spec import CurveSpec, PlotSpec
from controller.studies.study_file import Axis, Study, Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OVERHEAD = {"training": "training overhead", "eval": "execution overhead"}  # parts in the names of TOLLS
_CURVE_LABELS = {"trained_slots": "slots of training", "slot": "slot"}


@dataclass(frozen=True)
class About:
    """What figures of a study are drawn from, and what their captions say: the budget and the command."""

    cells: Sequence[StudyCell]
    budget: BudgetCheck
    command: str


def save(
    study: Study,
    rows: Sequence[Row],
    out: Path,
    about: About,
    curves: Mapping[str, LearningCurves | None],
) -> Iterator[Path]:
    """Draw every plot of the study that has rows, and write its caption; the paths, each once it is written. `curves`:
    by the column that they are drawn against. ConfigError when a file cannot be written."""
    units, looks = units_of(about.cells), scheme_looks(study, about.cells)
    for sweep in study.sweeps:
        own = [row for row in rows if row["sweep"] == sweep.name and row["state"] == "SUCCEEDED"]
        of_sweep = [cell for cell in about.cells if cell.sweep == sweep.name]
        config = (of_sweep or about.cells)[0].run.config  # nothing is trained where no scheme learns
        for plot in sweep.plots:
            shown, spec, points = sweep, plot, own
            if isinstance(plot, CurveSpec):
                shown, spec, points = _as_plot(sweep, plot, own, curves[plot.x])
            if isinstance(spec, PlotSpec):
                below = [f"budget: {about.budget.remark}"] if about.budget.remark else []
                caption = [*below, f"command: {about.command}"]
                label = Labels(config, units)
                yield from _save(study, shown, spec, points, out, label, looks, caption, sweep.stem_of(plot))


def save_offline(file: OfflineFile, rows: Sequence[Row], out: Path) -> Iterator[Path]:
    """Draw every plot of a study without slots that has rows; the paths. ConfigError when one cannot be written."""
    [sweep] = file.drawn.sweeps
    looks = label_looks(file.study.labels, file.drawn.look.colours)
    for plot in sweep.plots:
        if isinstance(plot, PlotSpec):
            stem = sweep.stem_of(plot)
            yield from _save(file.drawn, sweep, plot, rows, out, offline_label(file), looks, [], stem)


def _save(
    study: Study,
    sweep: Sweep,
    plot: PlotSpec,
    rows: Sequence[Row],
    out: Path,
    label: Label,
    looks: Mapping[str, Mapping[str, LineLook]],
    about: Sequence[str],
    stem: str,
) -> Iterator[Path]:
    with text_for(plot.width or study.look.width):
        drawn = draw(study, sweep, plot, rows, label=label, looks=looks)
        if drawn is None:
            return
        named = plot.model_copy(update={"name": plot.name or stem})
        for path in [out / name for name in sweep.files_of(named, study.look.formats)]:
            _write(drawn.figure, path)
            yield path
    replace_file(out / f"{stem}.txt", "\n".join([*drawn.caption, *about, ""]).encode())


def _as_plot(
    sweep: Sweep, plot: CurveSpec, rows: Sequence[Row], curves: LearningCurves | None
) -> tuple[Sweep, PlotSpec, list[Row]]:
    """Learning curves as a plot against one more axis: the slots."""
    found: list[Row] = [{**row, **point} for row in rows for point in (curves.of(row["cell"]) if curves else ())]
    slots = sorted({int(row[plot.x]) for row in found})
    across = Axis(plot.x, {str(slot): Layer({}) for slot in slots})
    return replace(sweep, axes=(*sweep.axes, across)), plot.plot, found


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
        return _CURVE_LABELS.get(name) or _with_unit(name, self._units)


def _write(figure: "Figure", path: Path) -> None:
    dated = {".pdf": "CreationDate", ".svg": "Date"}.get(path.suffix)  # without it equal figures are equal files
    try:
        figure.savefig(path, metadata={dated: None} if dated else None)
    except OSError as error:
        raise ConfigError(f"--out: {path} cannot be written: {error.strerror}; give another folder") from error

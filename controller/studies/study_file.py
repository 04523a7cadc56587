"""A study's file: a run, the seeds it is repeated with, and the axes along which it is varied.

run: {world: {name: conflict_graph}, slots: 4000}     # as in examples/; or `file: other.yaml`, and changes to it
seeds: [0, 1, 2, 3, 4]
grid:                                                 # every combination of every axis
  scheme: {llq: zhang2025/llq, gms: zhang2025/gms}    # label: value of the key `scheme`
  world.load: [0.3, 0.4]                              # values that are their own labels
metrics: [delay_slots]                                # of the run's metrics, which go to results.csv; by default all
compare_to: {scheme: gms}                             # of which summary.csv has the differences
plots: [{x: world.load, y: delay_slots, lines: scheme}]

To train once and evaluate in many worlds, write two grids, of which the second starts from the weights of the first:

train: {run: {phases: {train: 4000, eval: 0}}, grid: {scheme: [li2020/maac, li2020/naac]}}
evaluate: {run: {slots: 1000}, grid: {world.pairs: [10, 20]}, plots: [...]}

Several grids are `sweeps: {name: {grid: ..., plots: ...}}`; the axes of a `grid` next to them belong to every sweep. An
axis whose name is no key of a run's configuration has a mapping of dotted keys for each label.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Le, MinLen
from pydantic import BaseModel, Field, ValidationError

from controller.config import layers
from controller.config.catalogue import STRICT
from controller.config.errors import ConfigError, format_validation_error, invalid, unknown
from controller.config.layers import Layer
from controller.config.run_config import RunConfig
from controller.studies.plot_spec import FORMATS, CurveSpec, Plot, PlotSpec, Width, by_label, label_of, numbers_of

Parsed = TypeVar("Parsed", bound=BaseModel)

TRAIN, EVALUATE = "train", "evaluate"
SCHEME = "scheme"  # the axis of the algorithms that are compared
_SET_ELSEWHERE = {
    "seed": "write seeds: [...] next to the grid",
    "placement": "each run of a study is executed in one process",
    "baselines": "make an axis of the schemes",
    "out": "give it on the command line: --out DIR",
}


@dataclass(frozen=True)
class Axis:
    """What is varied: the settings of each label, in order."""

    name: str
    values: dict[str, Layer]


@dataclass(frozen=True)
class Sweep:
    """One grid: every combination of its axes.

    `settings`: of all its runs, over those of the study. `trained_along`: of runs that evaluate, the axes along which
    the runs of the sweep TRAIN differ, whose weights they start from; None for all others.
    """

    name: str
    axes: tuple[Axis, ...]
    plots: tuple[Plot, ...]
    settings: Layer = field(default_factory=lambda: Layer({}))
    trained_along: tuple[str, ...] | None = None

    def axis(self, name: str) -> Axis | None:
        """The axis of this name, if there is one."""
        return next((axis for axis in self.axes if axis.name == name), None)

    def stem_of(self, plot: Plot) -> str:
        """The name of a plot's files, without their endings."""
        name = plot.name or f"{self.name}-{plot.y}{'-curve' if isinstance(plot, CurveSpec) else ''}"
        return name.rpartition(".")[0] if _format_in(name) else name

    def files_of(self, plot: Plot, formats: Sequence[str]) -> list[str]:
        """The names of a plot's files: one of the format in its name, or else one of each of these formats."""
        own = _format_in(plot.name or "")
        return [f"{self.stem_of(plot)}.{form}" for form in ([own] if own else formats)]


@dataclass(frozen=True)
class StudyLook:
    """What figures look like. `colours`: by label, of those that do not have the colour of their scheme's name."""

    formats: tuple[str, ...] = ("png",)
    width: Width = "screen"
    colours: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A parsed study. `run`: the settings that all runs share; `metrics` None: all.

    `compare_to`: the labels of the cells from which the summary's differences are taken, by axis; empty for none.
    `budget`: on what footing they are compared, such as `equal updates`; empty if nothing is stated.
    """

    name: str
    run: Layer
    seeds: tuple[int, ...]
    metrics: tuple[str, ...] | None
    sweeps: tuple[Sweep, ...]
    compare_to: dict[str, str] = field(default_factory=dict)
    budget: str = ""
    look: "StudyLook" = field(default_factory=lambda: StudyLook())

    @property
    def draws_windows(self) -> bool:
        """Whether a plot is of windows of slots, training included."""
        plots = [plot for sweep in self.sweeps for plot in sweep.plots]
        return any(isinstance(plot, CurveSpec) and plot.of == "windows" for plot in plots)

    @property
    def trains(self) -> bool:
        """Whether it trains once and evaluates in many worlds."""
        return any(sweep.trained_along is not None for sweep in self.sweeps)

    @property
    def axes(self) -> list[str]:
        """The names of all axes of all sweeps, in order."""
        return list(dict.fromkeys(axis.name for sweep in self.sweeps for axis in sweep.axes))


class _StudyFields(BaseModel):
    model_config = STRICT

    run: dict[str, Any]
    seeds: Annotated[tuple[Annotated[int, Ge(0), Le(2**63 - 1)], ...], MinLen(1)] = (1,)
    metrics: tuple[str, ...] | None = None
    compare_to: dict[str, Any] = {}
    budget: Literal["equal updates", "equal bytes", "equal slots"] | None = None
    formats: Annotated[tuple[Literal["png", "pdf", "svg"], ...], MinLen(1)] = ("png",)
    width: Width = "screen"
    colours: dict[str, Annotated[str, Field(pattern="^#[0-9A-Fa-f]{6}$")]] = {}
    grid: dict[str, Any] = {}
    plots: tuple[Any, ...] = ()
    sweeps: dict[str, Any] = {}
    train: dict[str, Any] | None = None
    evaluate: dict[str, Any] | None = None


class _SweepFields(BaseModel):
    model_config = STRICT

    run: dict[str, Any] = {}
    grid: dict[str, Any] = {}
    plots: tuple[Any, ...] = ()


def read(path: Path) -> Study:
    """The study a file describes. ConfigError lists every fault, one per line. Its runs are checked in `cells_of`."""
    faults: list[str] = []
    file = _parsed(_StudyFields, layers.from_file(path).data, "", faults)
    if file is None:
        raise ConfigError("\n".join(faults))
    base = path.absolute().parent
    given = _sweeps_of(file, path.stem, faults)
    sweeps = [_sweep(name, file.grid, part, key, base, faults) for key, name, part in given]
    if file.train is not None:
        sweeps = _evaluating(sweeps, faults)
    if len(set(file.seeds)) < len(file.seeds):
        faults.append(invalid("seeds", file.seeds, "the same seed twice gives the same run: drop one"))
    run = _run(file.run, base, faults)
    compare_to, look = by_label(file.compare_to), StudyLook(file.formats, file.width, file.colours)
    faults += [] if faults else baseline_faults(sweeps, compare_to)
    compared = set(compare_to or (SCHEME, f"{SCHEME}.name"))
    if file.budget and not faults and not any(compared & {axis.name for axis in sweep.axes} for sweep in sweeps):
        faults.append(invalid("budget", file.budget, "no axis is compared: give compare_to, such as {scheme: random}"))
    if faults:
        raise ConfigError("\n".join(faults))
    return Study(path.stem, run, file.seeds, file.metrics, tuple(sweeps), compare_to, file.budget or "", look)


def compared_to(study: Study, compare_to: Mapping[str, str] | None) -> Study:
    """The study with another `compare_to`; the same for None. ConfigError for one that no sweep has."""
    if compare_to is None:
        return study
    if faults := baseline_faults(study.sweeps, compare_to):
        raise ConfigError("\n".join(f"--{fault.replace('compare_to', 'compare-to', 1)}" for fault in faults))
    return replace(study, compare_to=dict(compare_to))


def baseline_faults(sweeps: Sequence[Sweep], compare_to: Mapping[str, str]) -> list[str]:
    """Axes and labels of `compare_to` that no sweep has."""
    faults = []
    for name, label in compare_to.items():
        found = [axis for sweep in sweeps if (axis := sweep.axis(name)) is not None]
        labels = list(dict.fromkeys(value for axis in found for value in axis.values))
        if not found:
            names = dict.fromkeys(axis.name for sweep in sweeps for axis in sweep.axes)
            faults.append(f"compare_to: {unknown('axis', name, names)}")
        elif label not in labels:
            faults.append(f"compare_to: {unknown(f'value of {name}', label, labels)}")
    if not faults and not any(all(sweep.axis(name) for name in compare_to) for sweep in sweeps):
        faults.append(f"compare_to: no sweep has all of {', '.join(compare_to)}: drop one of them")
    return faults


def _parsed(model: type[Parsed], data: Any, key: str, faults: list[str]) -> Parsed | None:
    try:
        return model.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        lines = format_validation_error(error, model)
    except ValueError as error:  # a YAML alias that contains itself
        lines = [f"{error}; write it without"]
    faults += [f"{key}{line}" if not line.startswith(":") else f"{key.rstrip('.')}{line}" for line in lines]
    return None


def _sweeps_of(file: _StudyFields, stem: str, faults: list[str]) -> list[tuple[str, str, _SweepFields]]:
    """Key, name and content of each sweep; a file without `sweeps` is one, named after the file."""
    if file.train is not None or file.evaluate is not None:
        return _two_stages(file, faults)
    if not file.sweeps:
        if not file.grid:
            faults.append("grid: is missing; give it axes, such as world.load: [0.3, 0.4], or give sweeps")
        return [("", stem, _SweepFields(plots=file.plots))]
    if file.plots:
        faults.append("plots: next to sweeps they are not allowed: write them into a sweep")
    parts = [(f"sweeps.{name}.", name, data) for name, data in file.sweeps.items()]
    parsed = [(key, name, _parsed(_SweepFields, data, key, faults)) for key, name, data in parts]
    return [(key, name, part) for key, name, part in parsed if part is not None]


def _two_stages(file: _StudyFields, faults: list[str]) -> list[tuple[str, str, _SweepFields]]:
    """The sweeps `train` and `evaluate`."""
    if file.train is None or file.evaluate is None:
        faults.append("train, evaluate: one is without the other: give both, or a grid")
    if file.grid or file.plots or file.sweeps:
        faults.append("train: next to grid, plots or sweeps it is not allowed: write them into train and evaluate")
    stages = [(TRAIN, file.train or {}), (EVALUATE, file.evaluate or {})]
    parsed = [(f"{name}.", name, _parsed(_SweepFields, data, f"{name}.", faults)) for name, data in stages]
    faults += [
        f"{key}plots: of what is trained only learning curves are drawn: write others into evaluate"
        for key, name, part in parsed
        if name == TRAIN and part is not None and not all(map(_is_curve, part.plots))
    ]
    return [(key, name, part) for key, name, part in parsed if part is not None]


def _evaluating(sweeps: list[Sweep], faults: list[str]) -> list[Sweep]:
    """Every evaluation of everything that was trained."""
    if [sweep.name for sweep in sweeps] != [TRAIN, EVALUATE]:
        return sweeps
    train, evaluate = sweeps
    names = tuple(axis.name for axis in train.axes)
    twice = [axis.name for axis in evaluate.axes if axis.name in names]
    faults += [f"evaluate.grid.{name}: is an axis of train, too: keep one of them" for name in twice]
    whole = replace(evaluate, axes=(*train.axes, *evaluate.axes), trained_along=names)
    faults += [f"evaluate.plots: {fault}" for plot in whole.plots for fault in plot_faults(whole, plot)]
    return [train, whole]


def _run(data: dict[str, Any], base: Path, faults: list[str]) -> Layer:
    """The run's own settings over those of the `file` it names."""
    own = layers.from_mapping({key: value for key, value in data.items() if key != "file"}, base)
    if "file" not in data:
        return own
    if not isinstance(data["file"], str):
        faults.append(invalid("run.file", data["file"], "must be the path of a run's YAML file"))
        return own
    try:
        return layers.from_file(base / data["file"]).overridden_by(own)
    except ConfigError as error:
        faults.append(f"run.file: {error}")
        return own


def _sweep(name: str, shared: Mapping[str, Any], part: _SweepFields, key: str, base: Path, faults: list[str]) -> Sweep:
    twice = [axis for axis in part.grid if axis in shared]
    faults += [f"{key}grid.{axis}: is in the grid of all sweeps, too: keep one of them" for axis in twice]
    keys = [("grid.", shared), (f"{key}grid.", part.grid)]
    axes = [_axis(prefix, axis, values, base, faults) for prefix, grid in keys for axis, values in grid.items()]
    plots = tuple(_plots(part.plots, key, faults))
    settings = layers.from_mapping(part.run, base)
    sweep = Sweep(name, tuple(axis for axis in axes if axis is not None), plots, settings)
    if len(sweep.axes) == len(axes) and name != EVALUATE:  # whose plots also have the axes of training
        faults += [f"{key}plots: {fault}" for plot in plots for fault in plot_faults(sweep, plot)]
    names = [sweep.stem_of(plot) for plot in plots]
    faults += [f"{key}plots: two are {stem}: give one a name" for stem in sorted(set(names)) if names.count(stem) > 1]
    return sweep


def _plots(given: Sequence[Any], key: str, faults: list[str]) -> Iterator[Plot]:
    for number, data in enumerate(given):
        at = f"{key}plots.{number}."
        plot: Plot | None
        plot = _parsed(CurveSpec, data, at, faults) if _is_curve(data) else _parsed(PlotSpec, data, at, faults)
        if plot is not None:
            yield plot


def _is_curve(data: Any) -> bool:
    return isinstance(data, dict) and "curve" in data


def _format_in(name: str) -> str:
    ending = name.rpartition(".")[2]
    return ending if ending in FORMATS and ending != name else ""


def _axis(prefix: str, name: str, given: Any, base: Path, faults: list[str]) -> Axis | None:
    labelled = _labelled(given)
    fix = "must be a list of different values, or label: value" if labelled is None else _SET_ELSEWHERE.get(name)
    is_key = name.partition(".")[0] in RunConfig.model_fields
    if labelled and not is_key and not all(isinstance(value, dict) for value in labelled.values()):
        known = unknown("key", name.partition(".")[0], RunConfig.model_fields)
        fix = f"{known}; an axis of another name has a mapping of keys for each label"
    if labelled is None or fix:
        faults.append(invalid(f"{prefix}{name}", given, str(fix)))
        return None
    settings = {label: {name: value} if is_key else value for label, value in labelled.items()}
    return Axis(name, {label: _layer(keys, base) for label, keys in settings.items()})


def _labelled(given: Any) -> dict[str, Any] | None:
    """Values by label; None for what cannot be an axis."""
    if not isinstance(given, dict | list) or not given:
        return None
    if isinstance(given, dict):
        return given
    labelled = {label_of(value): value for value in given}
    return None if len(labelled) < len(given) or any(isinstance(value, dict) for value in given) else labelled


def _layer(settings: Mapping[str, Any], base: Path) -> Layer:
    layer = Layer({})
    for key, value in settings.items():
        layer = layer.overridden_by(layers.from_setting(key, value, base=base, source="the grid"))
    return layer


def plot_faults(sweep: Sweep, plot: Plot) -> list[str]:
    """Axes that are not there, and axes that are left over: a mean over those would be of different runs."""
    names = [axis.name for axis in sweep.axes]
    references = plot.reference_labels if isinstance(plot, PlotSpec) else {}
    used = [name for name in (plot.lines, plot.panels, *plot.where) if name is not None]
    faults = [unknown("axis", name, names) for name in (*used, *references) if name not in names]
    for key, labels in (("where", plot.fixed_labels), ("relative_to", references)):
        for name, label in labels.items():
            axis = sweep.axis(name)
            if axis is not None and label not in axis.values:
                faults.append(f"{key}: {unknown(f'value of {name}', label, axis.values)}")
    across = sweep.axis(plot.x)
    if across is not None or isinstance(plot, CurveSpec):
        left = [name for name in names if name not in (plot.x, *used)]
        faults += [f"{name} is an axis, too: make it lines or panels, or hold it: where: {{...}}" for name in left]
    return faults + ([] if across is None else _scale_faults(plot, across))


def _scale_faults(plot: Plot, across: Axis) -> list[str]:
    numbers = numbers_of(list(across.values))
    if "x" in (plot.log or "") and (numbers is None or min(numbers) < 0):
        return [f"log: x needs values of at least 0, {across.name} has {', '.join(across.values)}: drop it"]
    return []

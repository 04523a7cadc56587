"""A run's numbers in a study's table: metrics over eval, and the toll per slot and node, of training and of eval."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from controller.config.errors import ConfigError, unknown
from controller.config.resolved import ResolvedRun
from controller.config.schedule import EXECUTION_PHASES, TRAINING_PHASES, completed_slots
from controller.run_folder.distributions import percentile_units
from controller.studies.cells import StudyCell
from controller.studies.study_file import Study
from protocol.messages.kinds import Kind

_PHASES_OF = {"training": TRAINING_PHASES, "eval": EXECUTION_PHASES}
_KINDS = ("all", *(kind.name.lower() for kind in Kind))
_UNITS = {"bytes": "note_bytes", "bits": "payload_bits"}

WALL = "wall_s"
COLUMNS = ("sweep", "seed", "trace_digest", "state", "reason", "cell")  # of results, besides axes and metrics


def toll_metric(part: str, kind: str, unit: str) -> str:
    """The name of a toll among a study's metrics: `eval_all_bits_per_slot_node`."""
    return f"{part}_{kind}_{unit}_per_slot_node"


def in_all(toll: str) -> str:
    """The toll of all kinds of notes of which the toll of one kind is a part."""
    part, _, unit, *_ = toll.split("_")
    return toll_metric(part, "all", unit)


TOLLS = tuple(toll_metric(part, kind, unit) for part in _PHASES_OF for kind in _KINDS for unit in _UNITS)
TOTALS = tuple(toll_metric(part, "all", "bytes") for part in _PHASES_OF)


def metrics_of(study: Study, cells: Sequence[StudyCell]) -> list[str]:
    """The metrics that the results have. ConfigError for a metric, or a plot of one, that no run of the study has."""
    known = list(units_of(cells))
    chosen = list(study.metrics if study.metrics is not None else known)
    faults = [f"metrics: {unknown('metric', name, known)}" for name in chosen if name not in known]
    drawable = [*chosen, *TOLLS, WALL]
    faults += [
        f"grid: no axis can be named {axis}: results have a column of that name"
        for axis in study.axes
        if axis in (*drawable, *COLUMNS)
    ]
    for sweep in study.sweeps:
        for plot in sweep.plots:
            across = [plot.x] if sweep.axis(plot.x) is None else []
            for name, choices in (
                (plot.y, drawable),
                *((x, [*(axis.name for axis in sweep.axes), *drawable]) for x in across),
            ):
                if name not in choices:
                    faults.append(f"plots of {sweep.name}: {unknown('metric', name, choices)}")
    if faults:
        raise ConfigError("\n".join(faults))
    return chosen


def units_of(cells: Iterable[StudyCell]) -> dict[str, str]:
    """The units of the metrics of all worlds of the study, and of the percentiles of their distributions."""
    runs = {cell.run.plan.world: cell.run for cell in cells}
    return {name: unit for run in runs.values() for name, unit in _units_of(run).items()}


def _units_of(run: ResolvedRun) -> dict[str, str]:
    return run.units | percentile_units(run.distribution_units)


def measures(summary: Mapping[str, Any], run: ResolvedRun) -> dict[str, float]:
    """All numbers of a finished run, percentiles too, without tolls of 0 and metrics that were never counted."""
    metrics = {name: mean for name, mean in summary["metrics"].items() if mean is not None}
    percentiles: dict[str, float] = summary["percentiles"]
    return metrics | percentiles | dict(_tolls(summary, run)) | {WALL: round(summary["wall_s"], 3)}


def _tolls(summary: Mapping[str, Any], run: ResolvedRun) -> Iterator[tuple[str, float]]:
    for part, phases in _PHASES_OF.items():
        node_slots = completed_slots(run.plan.phases, summary["slots"], of=phases) * run.agents
        by_phase = [summary["toll_by_phase"].get(phase, {}) for phase in phases]
        for kind in _KINDS if node_slots else ():
            for unit, key in _UNITS.items():
                total = sum(toll[key] for tolls in by_phase for name, toll in tolls.items() if kind in ("all", name))
                if total or kind == "all":
                    yield toll_metric(part, kind, unit), total / node_slots

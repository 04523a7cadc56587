"""A run's numbers in a study's table: metrics over eval, and the toll per slot and node, of training and of eval."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from controller.config.errors import ConfigError, unknown
from controller.config.resolved import ResolvedRun
from controller.config.schedule import EXECUTION_PHASES, TRAINING_PHASES, completed_slots
from controller.run_folder.distributions import percentile_units
from controller.run_folder.reader import RunFolder
from controller.studies.cells import StudyCell
from controller.studies.plot_spec import CurveSpec
from controller.studies.study_file import Study
from protocol.messages.kinds import Kind

_PHASES_OF = {"training": TRAINING_PHASES, "eval": EXECUTION_PHASES}
_KINDS = ("all", *(kind.name.lower() for kind in Kind))
_UNITS = {"bytes": "note_bytes", "bits": "payload_bits"}
_DELIVERY = ("attempts", "lost")  # notes sent, resends counted; those of which a copy was lost

WALL = "wall_s"
TRAINING_SLOTS, UPDATES = "training_slots", "updates"
COLUMNS = ("sweep", "seed", "trace_digest", "state", "reason", "cell")  # of results, besides axes and metrics


def toll_metric(part: str, kind: str, unit: str) -> str:
    """The name of a toll among a study's metrics: `eval_all_bits_per_slot_node`."""
    return f"{part}_{kind}_{unit}_per_slot_node"


def in_all(toll: str) -> str:
    """The toll of all kinds of notes of which the toll of one kind is a part."""
    part, _, unit, *_ = toll.split("_")
    return toll_metric(part, "all", unit)


TOLLS = tuple(toll_metric(part, kind, unit) for part in _PHASES_OF for kind in _KINDS for unit in (*_UNITS, *_DELIVERY))
EFFORTS = (TRAINING_SLOTS, UPDATES)
TRAINING_BYTES = toll_metric("training", "all", "bytes")
TOTALS = tuple(toll_metric(part, "all", "bytes") for part in _PHASES_OF)


def metrics_of(study: Study, cells: Sequence[StudyCell]) -> list[str]:
    """The metrics that the results have. ConfigError for a metric, or a plot of one, that no run of the study has."""
    known = list(units_of(cells))
    chosen = list(study.metrics if study.metrics is not None else known)
    faults = [f"metrics: {unknown('metric', name, known)}" for name in chosen if name not in known]
    drawable = [*chosen, *TOLLS, *EFFORTS, WALL]
    faults += [
        f"grid: no axis can be named {axis}: results have a column of that name"
        for axis in study.axes
        if axis in (*drawable, *COLUMNS)
    ]
    for sweep in study.sweeps:
        for plot in sweep.plots:
            if isinstance(plot, CurveSpec):
                faults += [f"plots of {sweep.name}: {unknown('metric', plot.y, chosen)}"] * (plot.y not in chosen)
                continue
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


def recorded(folder: RunFolder) -> dict[str, Any]:
    """The summary of a finished run, and what a study counts besides: `delivery_by_phase`, attempts and losses by kind
    of note; `updates`, of the learners on average, None for none."""
    table, meta = folder.toll, folder.meta
    delivery = {
        phase: {kind: {"attempts": each.attempts, "lost": each.lost} for kind, each in of_phase.items()}
        for phase in dict.fromkeys(plan.name for plan in meta.schedule)
        if (of_phase := table.delivery("kind", [phase]))
    }
    newest = {scalar.node: scalar.value for scalar in folder.scalars() if scalar.name == UPDATES}
    updates = fmean(newest.values()) if newest else None
    return folder.summary | {"delivery_by_phase": delivery, "updates": updates}


def measures(summary: Mapping[str, Any], run: ResolvedRun) -> dict[str, float]:
    """All numbers of a finished run, percentiles too, without tolls of 0 and metrics that were never counted."""
    metrics = {name: mean for name, mean in summary["metrics"].items() if mean is not None}
    percentiles: dict[str, float] = summary["percentiles"]
    tolls = dict(_tolls(summary, run))
    return metrics | percentiles | tolls | _efforts(summary, run) | {WALL: round(summary["wall_s"], 3)}


def _efforts(summary: Mapping[str, Any], run: ResolvedRun) -> dict[str, float]:
    slots = completed_slots(run.plan.phases, summary["slots"], of=TRAINING_PHASES)
    updates = summary.get("updates")
    return ({TRAINING_SLOTS: slots} if slots else {}) | ({} if updates is None else {UPDATES: updates})


def _tolls(summary: Mapping[str, Any], run: ResolvedRun) -> Iterator[tuple[str, float]]:
    delivery = summary.get("delivery_by_phase")
    for part, phases in _PHASES_OF.items():
        node_slots = completed_slots(run.plan.phases, summary["slots"], of=phases) * run.agents
        columns = [(unit, key, summary["toll_by_phase"]) for unit, key in _UNITS.items()]
        columns += [] if delivery is None else [(name, name, delivery) for name in _DELIVERY]
        for kind in _KINDS if node_slots else ():
            for unit, key, by_phase in columns:
                counts = (by_phase.get(phase, {}) for phase in phases)
                total = sum(each[key] for kinds in counts for name, each in kinds.items() if kind in ("all", name))
                if total or kind == "all":
                    yield toll_metric(part, kind, unit), total / node_slots

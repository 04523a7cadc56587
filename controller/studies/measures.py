"""What a study keeps of a run: its metrics over eval, and what was told, per slot and node, in training and in eval."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from controller.config.errors import ConfigError, unknown
from controller.config.run_config import RunConfig
from controller.config.schedule import played
from controller.studies.cells import Cell
from controller.studies.study_file import Study
from protocol.messages.kinds import Kind

_PARTS = {"training": ("warmup", "train"), "eval": ("eval",)}
_KINDS = ("all", *(kind.name.lower() for kind in Kind))
_TOLD = {"bytes": "note_bytes", "bits": "payload_bits"}

WALL = "wall_s"
COLUMNS = ("sweep", "seed", "trace_digest", "state", "reason", "cell")  # of results, beside axes and figures


def toll_figure(part: str, kind: str, unit: str) -> str:
    """The name of a toll: `eval_all_bits_per_slot_node`."""
    return f"{part}_{kind}_{unit}_per_slot_node"


def in_all(toll: str) -> str:
    """The toll of all kinds together that a kind's is a part of."""
    part, _, unit, *_ = toll.split("_")
    return toll_figure(part, "all", unit)


TOLLS = tuple(toll_figure(part, kind, unit) for part in _PARTS for kind in _KINDS for unit in _TOLD)


def metrics_of(study: Study, cells: Sequence[Cell]) -> list[str]:
    """The metrics that the results have. ConfigError for one that no run of the study has, or a plot of none."""
    known = list(units_of(cells))
    chosen = list(study.metrics if study.metrics is not None else known)
    faults = [f"metrics: {unknown('metric', name, known)}" for name in chosen if name not in known]
    drawable = [*chosen, *TOLLS, WALL]
    faults += [
        f"grid: no axis can be called {axis}: results have a column of that name"
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
                    faults.append(f"plots of {sweep.name}: {unknown('figure', name, choices)}")
    if faults:
        raise ConfigError("\n".join(faults))
    return chosen


def units_of(cells: Iterable[Cell]) -> dict[str, str]:
    """The metrics of all worlds of the study, and their units."""
    worlds = {cell.config.world.name: cell.config for cell in cells}
    return {name: unit for config in worlds.values() for name, unit in config.units.items()}


def figures(summary: Mapping[str, Any], config: RunConfig) -> dict[str, float]:
    """All figures of a run that was carried out; a toll of 0 is left out, and so is a metric that was never counted."""
    metrics = {name: mean for name, mean in summary["metrics"].items() if mean is not None}
    return metrics | dict(_tolls(summary, config)) | {WALL: round(summary["wall_s"], 3)}


def _tolls(summary: Mapping[str, Any], config: RunConfig) -> Iterator[tuple[str, float]]:
    for part, phases in _PARTS.items():
        node_slots = played(config.schedule, summary["slots"], of=phases) * config.agents
        told = [summary["toll_by_phase"].get(phase, {}) for phase in phases]
        for kind in _KINDS if node_slots else ():
            for unit, key in _TOLD.items():
                total = sum(toll[key] for tolls in told for name, toll in tolls.items() if kind in ("all", name))
                if total or kind == "all":
                    yield toll_figure(part, kind, unit), total / node_slots

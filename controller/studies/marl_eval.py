"""A study's results in the JSON format of marl-eval (package id-marl-eval): Gorsane et al., Towards a Standardised
Performance Evaluation Protocol for Cooperative MARL, NeurIPS 2022.

    {environment: {task: {algorithm: {run: {step_1: {step_count: int, metric: [value]}, ..., absolute_metrics: ...}}}}}

The environment is the world, the task a point of the grid without its scheme, the algorithm the scheme, the run a seed.
A step is an evaluation; its `step_count` are the training slots before it. `absolute_metrics` are those of the last
evaluation, that of the final policy. Names are in small letters, as marl-eval looks for them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from controller.config.errors import ConfigError
from controller.studies.cells import StudyCell
from controller.studies.curves import LearningCurves
from controller.studies.study_file import SCHEME, TRAIN, Study


def marl_eval(
    study: Study, cells: Sequence[StudyCell], curves: LearningCurves, metrics: Sequence[str]
) -> dict[str, Any]:
    """The results of all cells; in a study that trains and evaluates those that evaluate. ConfigError when one is
    missing: marl-eval compares the same number of runs and evaluations everywhere."""
    found: dict[str, Any] = {}
    for cell in cells:
        if study.trains and cell.sweep == TRAIN:
            continue
        rows = curves.of(cell.digest)
        if not rows:
            raise ConfigError(f"--export marl-eval: {cell.title} has no evaluation: remove results.csv to run it again")
        at = found
        for key in (cell.run.plan.world, _task(study, cell), _algorithm(cell)):
            at = at.setdefault(key, {})
        at[f"seed_{cell.run.config.seed}"] = _steps(rows, metrics)
    return found


def _task(study: Study, cell: StudyCell) -> str:
    labels = [f"{axis}={label}" for axis, label in cell.labels.items() if axis != SCHEME]
    sweep = [cell.sweep] if len(study.sweeps) > 1 and not study.trains else []
    return ",".join([*sweep, *labels]).lower() or study.name.lower()


def _algorithm(cell: StudyCell) -> str:
    return cell.labels.get(SCHEME, cell.run.plan.scheme)


def _steps(rows: Iterable[Mapping[str, str]], metrics: Sequence[str]) -> dict[str, Any]:
    steps: dict[str, Any] = {}
    values: dict[str, list[float]] = {}
    for number, row in enumerate(rows, 1):
        values = {name: [float(row[name])] for name in metrics if row.get(name)}
        steps[f"step_{number}"] = {"step_count": int(row["trained_slots"])} | values
    return steps | {"absolute_metrics": values}

"""Interquartile means over seeds with stratified bootstrap intervals: aggregates.csv.

    IQM = mean of the middle half of all scores;   interval = the central 95 % of the IQM of resampled scores, where the
    runs of each task are drawn anew from that task's runs

after Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS 2021.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

import numpy as np
import numpy.typing as npt

from controller.studies.study_file import Study, Sweep
from protocol.determinism.rng import CounterRng

AGGREGATES_FILE = "aggregates.csv"
SCHEME = "scheme"  # the axis of the algorithms that are compared over all tasks
_CUT = 0.25  # of the scores at either end
_DRAWS = 2000
_LEVEL_PERCENT = 95

Scores = npt.NDArray[np.float64]
Row = dict[str, str]


def interquartile_mean(scores: Scores) -> npt.NDArray[np.float64]:
    """The mean of the middle half of the last axis, [..., n] to [...]."""
    count = scores.shape[-1]
    cut = int(_CUT * count)
    kept = np.sort(scores, axis=-1)[..., cut : count - cut]
    return np.asarray(kept.mean(axis=-1))


def bootstrap_interval(scores: Scores, rng: np.random.Generator) -> tuple[float, float]:
    """The interval of the interquartile mean of scores [runs, tasks]: the runs of each task are resampled alone."""
    runs, tasks = scores.shape
    drawn = rng.integers(0, runs, (_DRAWS, runs, tasks))
    resampled = np.take_along_axis(scores[None], drawn, axis=1).reshape(_DRAWS, -1)
    tail = (100 - _LEVEL_PERCENT) / 2
    low, high = np.percentile(interquartile_mean(resampled), [tail, 100 - tail])
    return float(low), float(high)


def aggregates(study: Study, rows: Sequence[Row], metrics: Sequence[str]) -> bytes:
    """The content of aggregates.csv, from the rows of results.csv.

    One row per point of the grid and metric, over its seeds, in the metric's unit (score `value`). Where `scheme` is
    one of several axes, also one per scheme over all points: each point is a task, and scores are scaled so that 0 is a
    task's lowest and 1 its highest (score `normalised`).
    """
    text = StringIO()
    columns = ["sweep", *study.axes, "metric", "score", "runs", "iqm", "low", "high"]
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for sweep in study.sweeps:
        of_sweep = [row for row in rows if row["sweep"] == sweep.name and row["state"] == "SUCCEEDED"]
        for metric in metrics:
            tasks = _by_point(sweep, [row for row in of_sweep if row.get(metric)], metric)
            writer.writerows(_per_point(sweep, tasks, metric))
            writer.writerows(_per_scheme(sweep, tasks, metric))
    return text.getvalue().encode()


Points = dict[tuple[str, ...], list[float]]


def _by_point(sweep: Sweep, rows: Sequence[Row], metric: str) -> Points:
    points: Points = {}
    for row in rows:
        points.setdefault(tuple(row[axis.name] for axis in sweep.axes), []).append(float(row[metric]))
    return points


def _per_point(sweep: Sweep, points: Points, metric: str) -> Iterator[dict[str, str]]:
    for labels, values in points.items():
        named = dict(zip((axis.name for axis in sweep.axes), labels, strict=True))
        yield _row(sweep, named, metric, "value", np.array(values)[:, None])


def _per_scheme(sweep: Sweep, points: Points, metric: str) -> Iterator[dict[str, str]]:
    names = [axis.name for axis in sweep.axes]
    if SCHEME not in names or len(names) == 1:
        return
    place = names.index(SCHEME)
    by_task: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for labels, values in points.items():
        by_task.setdefault((*labels[:place], *labels[place + 1 :]), {})[labels[place]] = values
    schemes = list(dict.fromkeys(labels[place] for labels in points))
    sizes = {len(values) for values in points.values()}
    whole = all(task.keys() == set(schemes) for task in by_task.values())
    if len(sizes) > 1 or not whole:  # some run failed: the strata would be of different schemes
        return
    for scheme in schemes:
        scores = np.stack([_scaled(task[scheme], task) for task in by_task.values()], axis=1)
        yield _row(sweep, {SCHEME: scheme}, metric, "normalised", scores)


def _scaled(values: Sequence[float], task: Mapping[str, Sequence[float]]) -> Scores:
    everything = [value for of_scheme in task.values() for value in of_scheme]
    low, high = min(everything), max(everything)
    return (np.array(values) - low) / (high - low) if high > low else np.zeros(len(values))


def _row(sweep: Sweep, labels: Mapping[str, str], metric: str, score: str, scores: Scores) -> dict[str, str]:
    rng = CounterRng(0, "bootstrap").at(0)  # the same draws for all, so that equal scores have equal intervals
    low, high = bootstrap_interval(scores, rng)
    numbers = {"iqm": float(interquartile_mean(scores.reshape(-1))), "low": low, "high": high}
    about = {"sweep": sweep.name, "metric": metric, "score": score, "runs": str(scores.shape[0])}
    return about | dict(labels) | {name: repr(number) for name, number in numbers.items()}

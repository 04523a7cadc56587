"""Interquartile means over seeds with stratified bootstrap intervals: aggregates.csv.

    IQM = mean of the middle half of all scores;   interval = the central 95 % of the IQM of resampled scores, where the
    runs of each task are drawn anew from that task's runs

after Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS 2021.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

import numpy as np
import numpy.typing as npt

from controller.studies.study_file import SCHEME, Study, Sweep
from protocol.determinism.rng import CounterRng

AGGREGATES_FILE = "aggregates.csv"
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


@dataclass(frozen=True)
class Aggregates:
    """The content of aggregates.csv, and what its numbers leave out, one line per sweep and cause."""

    file: bytes
    remarks: tuple[str, ...]


def aggregates(study: Study, rows: Sequence[Row], metrics: Sequence[str]) -> Aggregates:
    """From the rows of results.csv: interquartile means of each metric.

    One row per point of the grid and metric, over its seeds, in the metric's unit (score `value`). Where `scheme` is
    one of several axes, also one per scheme over all points: each point is a task, and scores are scaled so that 0 is a
    task's lowest and 1 its highest (score `normalised`), over the seeds in which no run of any scheme has failed.
    `runs` counts the seeds that a row is over, `seeds` those of the study.
    """
    text = StringIO()
    columns = ["sweep", *study.axes, "metric", "score", "runs", "seeds", "iqm", "low", "high"]
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    remarks: dict[str, list[str]] = {}
    for sweep in study.sweeps:
        of_sweep = [row for row in rows if row["sweep"] == sweep.name]
        for metric in metrics:
            grid = _Grid(sweep, of_sweep, metric)
            made = [*_per_point(grid), *_per_scheme(grid)]
            writer.writerows(
                row | {"sweep": sweep.name, "metric": metric, "seeds": str(len(grid.seeds))} for row in made
            )
            for remark in _remarks(grid):
                remarks.setdefault(remark, []).append(metric)
    return Aggregates(text.getvalue().encode(), tuple(f"{', '.join(of)}: {line}" for line, of in remarks.items()))


Labels = tuple[str, ...]
Values = dict[str, float]  # by seed


class _Grid:
    """The values of one metric in a sweep: `points` by the labels of its axes; empty for a point without any."""

    def __init__(self, sweep: Sweep, rows: Sequence[Row], metric: str) -> None:
        self.name, self.axes = sweep.name, [axis.name for axis in sweep.axes]
        self.seeds = tuple(dict.fromkeys(row["seed"] for row in rows))
        self.points: dict[Labels, Values] = {}
        for row in rows:
            values = self.points.setdefault(tuple(row[axis] for axis in self.axes), {})
            if row["state"] == "SUCCEEDED" and row.get(metric):
                values[row["seed"]] = float(row[metric])

    def tasks(self) -> dict[Labels, dict[str, Values]]:
        """By the labels without the scheme's, then by scheme: the points at which some scheme has the metric; {} unless
        schemes are compared over several axes."""
        if SCHEME not in self.axes or len(self.axes) == 1:
            return {}
        place = self.axes.index(SCHEME)
        tasks: dict[Labels, dict[str, Values]] = {}
        for labels, values in self.points.items():
            tasks.setdefault((*labels[:place], *labels[place + 1 :]), {})[labels[place]] = values
        return {labels: task for labels, task in tasks.items() if any(task.values())}

    def shared_seeds(self) -> list[str]:
        """The seeds in which every scheme has a result in every task: the strata of all schemes are then the same."""
        points = [values for task in self.tasks().values() for values in task.values()]
        return [seed for seed in self.seeds if points and all(seed in values for values in points)]


def _per_point(grid: _Grid) -> Iterator[Row]:
    for labels, values in grid.points.items():
        if values:
            named = dict(zip(grid.axes, labels, strict=True))
            yield named | _row("value", np.array(list(values.values()))[:, None])


def _per_scheme(grid: _Grid) -> Iterator[Row]:
    tasks, seeds = grid.tasks(), grid.shared_seeds()
    if not seeds:
        return
    by_task = [{scheme: [of[seed] for seed in seeds] for scheme, of in task.items()} for task in tasks.values()]
    for scheme in by_task[0]:
        scores = np.stack([_scaled(task[scheme], task) for task in by_task], axis=1)
        yield {SCHEME: scheme} | _row("normalised", scores)


def _remarks(grid: _Grid) -> list[str]:
    """Why normalised scores are of fewer seeds than the study has, if they are; without the metric's name."""
    tasks, shared = grid.tasks(), grid.shared_seeds()
    if not tasks or len(shared) == len(grid.seeds):
        return []
    lacking = [
        f"{scheme} at {', '.join(labels)}, seed {seed}"
        for labels, task in tasks.items()
        for scheme, values in task.items()
        for seed in grid.seeds
        if seed not in values
    ]
    more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
    of = f"{len(shared)} of {len(grid.seeds)} seeds" if shared else "no seed, and left out"
    return [f"normalised scores in {grid.name} are over {of}, as there is no result of {lacking[0]}{more}"]


def _scaled(values: Sequence[float], task: Mapping[str, Sequence[float]]) -> Scores:
    everything = [value for of_scheme in task.values() for value in of_scheme]
    low, high = min(everything), max(everything)
    return (np.array(values) - low) / (high - low) if high > low else np.zeros(len(values))


def _row(score: str, scores: Scores) -> Row:
    rng = CounterRng(0, "bootstrap").at(0)  # the same draws for all, so that equal scores have equal intervals
    low, high = bootstrap_interval(scores, rng)
    numbers = {"iqm": float(interquartile_mean(scores.reshape(-1))), "low": low, "high": high}
    return {"score": score, "runs": str(len(scores))} | {name: repr(number) for name, number in numbers.items()}

"""A study's numbers over its seeds: summary.csv, one row per point of the grid and number.

sweep, axes ...                  the point
metric                           a metric, a toll, or another number of results.csv
mean, low, high                  the mean over n seeds and its 95 % interval (Student t)
n, seeds                         the seeds that have the number, and those of the study: fewer is a partial result
baseline                         the labels compared with; empty where nothing is
difference, low, high            the mean of the differences to the baseline with the same seed, and its interval
pairs                            the seeds that both have
budget                           what the study states and the results keep, or NOT and why; empty without training
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

from airtoll.analysis.confidence import Mean, mean_of
from controller.studies.budget import NO_BUDGET, BudgetCheck
from controller.studies.study_file import Study, Sweep

SUMMARY_FILE = "summary.csv"
_NUMBERS = ("mean", "low", "high", "n", "seeds")
_DIFFERENCE = ("baseline", "difference", "difference_low", "difference_high", "pairs")

Row = Mapping[str, str]
Values = dict[str, float]  # by seed


@dataclass(frozen=True)
class Summary:
    """What summary.csv has, and what is to be known of it, a line each."""

    rows: "list[Summarised]"
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Summarised:
    """One number at one point of the grid. `seeds`: of the study; `difference`: None for the baseline itself, and where
    no seed has both."""

    sweep: str
    labels: dict[str, str]
    metric: str
    mean: Mean
    seeds: int
    baseline: str
    difference: Mean | None
    budget: str = ""


def summarised(
    study: Study,
    rows: Sequence[Row],
    metrics: Sequence[str],
    lacking: Sequence[str] = (),
    budget: BudgetCheck = NO_BUDGET,
) -> Summary:
    """From the rows of results.csv: each number of each point, in the order of the grid. `lacking`: the titles of the
    cells that have no results."""
    found: list[Summarised] = []
    for sweep in study.sweeps:
        own = [row for row in rows if row["sweep"] == sweep.name and row["state"] == "SUCCEEDED"]
        for metric in metrics:
            of_metric = _of_metric(study, sweep, own, metric)
            found += [replace(each, budget=budget.at(each.sweep, each.labels)) for each in of_metric]
    remarks = [*_remarks(study, found, lacking), *([budget.remark] if budget.remark else [])]
    return Summary(found, tuple(remarks))


def _of_metric(study: Study, sweep: Sweep, rows: Sequence[Row], metric: str) -> Iterator[Summarised]:
    names = [axis.name for axis in sweep.axes]
    points: dict[tuple[str, ...], Values] = {}
    for row in rows:
        if row.get(metric):
            points.setdefault(tuple(row[name] for name in names), {})[row["seed"]] = float(row[metric])
    compares = bool(study.compare_to) and all(name in names for name in study.compare_to)
    baseline = named(study.compare_to) if compares else ""
    for key, values in points.items():
        labels = dict(zip(names, key, strict=True))
        other = tuple((labels | study.compare_to)[name] for name in names) if compares else key
        difference = None if other == key else paired_difference(values, points.get(other, {}))
        mean = mean_of(list(values.values()))
        yield Summarised(sweep.name, labels, metric, mean, len(study.seeds), baseline, difference)


def paired_difference(values: Mapping[str, float], baseline: Mapping[str, float]) -> Mean | None:
    """The mean of the differences of equal seeds, with its interval; None if no seed has both.

    What the seeds share, such as the channels, is in neither the difference nor its interval.
    """
    both = [values[seed] - baseline[seed] for seed in values if seed in baseline]
    return mean_of(both) if both else None


def _remarks(study: Study, found: Sequence[Summarised], lacking: Sequence[str]) -> Iterator[str]:
    if lacking:
        yield f"partial results: {len(lacking)} cells have none, the first: {lacking[0]}"
    # a number that the baseline has nowhere, such as updates, is none that it should have here
    has = {(each.sweep, each.metric) for each in found if study.compare_to.items() <= each.labels.items()}
    alone = [
        f"{each.metric} at {named(each.labels)}"
        for each in found
        if each.baseline
        and (each.sweep, each.metric) in has
        and not study.compare_to.items() <= each.labels.items()
        and (each.difference is None or each.difference.seeds < each.mean.seeds)
    ]
    if alone:
        more = f" and {len(alone) - 1} more" if alone[1:] else ""
        yield f"{named(study.compare_to)} has no result for some seeds of {alone[0]}{more}: those are in no difference"


def named(labels: Mapping[str, str]) -> str:
    """`scheme=DQN, world.load=0.3`"""
    return ", ".join(f"{axis}={label}" for axis, label in labels.items())


def records(found: Iterable[Summarised]) -> list[dict[str, Any]]:
    """The rows of summary.csv as data: None where there is no number, such as the interval of one seed."""
    return [
        {"sweep": each.sweep}
        | each.labels
        | {"metric": each.metric}
        | dict(zip(_NUMBERS, (*_ends(each.mean), each.mean.seeds, each.seeds), strict=True))
        | _difference(each)
        | {"budget": each.budget or None}
        for each in found
    ]


def csv_of(found: Iterable[Summarised], axes: Sequence[str]) -> bytes:
    """The content of summary.csv."""
    text = StringIO()
    columns = ["sweep", *axes, "metric", *_NUMBERS, *_DIFFERENCE, "budget"]
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records(found))
    return text.getvalue().encode()


def _difference(each: Summarised) -> dict[str, Any]:
    baseline = each.baseline or None
    if each.difference is None:
        return {"baseline": baseline} | dict.fromkeys(_DIFFERENCE[1:])
    return dict(zip(_DIFFERENCE, (baseline, *_ends(each.difference), each.difference.seeds), strict=True))


def _ends(mean: Mean) -> tuple[float, float | None, float | None]:
    if math.isnan(mean.half):
        return mean.value, None, None
    return mean.value, mean.value - mean.half, mean.value + mean.half

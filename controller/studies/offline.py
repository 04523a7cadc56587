"""A study without slots: its file, its cells and their rows in results.csv.

study: offline/assignment             # folder/module, or of another installed package
params: {instances: 20}               # of all cells
seeds: [1, 2, 3]
grid: {users: [4, 6]}                 # every combination of these parameters
plots: [{x: users, y: gap_percent, lines: solver}]
"""

import csv
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from hashlib import blake2b
from io import StringIO
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import msgspec
from annotated_types import MinLen
from pydantic import BaseModel, ValidationError

from controller.config import layers
from controller.config.catalogue import STRICT, choice_model, offline_study_named, parameters
from controller.config.errors import ConfigError, format_validation_error, unknown
from controller.config.layers import Layer
from controller.run_folder.files import replace_file
from controller.studies.plot_spec import PlotSpec, by_label, label_of
from controller.studies.study_file import Axis, Study, Sweep, baseline_faults, plot_faults
from protocol.determinism import threads
from protocol.determinism.rng import CounterRng
from schemes.offline_study import OfflineStudy, load

KEY = "study"
RESULTS_FILE = "results.csv"
_OWN = ("sweep", "seed", "state", "cell")  # columns besides axes, labels and numbers

Row = dict[str, str]


class _Fields(BaseModel):
    model_config = STRICT

    study: str
    params: dict[str, Any] = {}
    seeds: Annotated[tuple[int, ...], MinLen(1)] = (1,)
    grid: dict[str, list[Any]] = {}
    plots: tuple[PlotSpec, ...] = ()
    compare_to: dict[str, Any] = {}


@dataclass(frozen=True)
class OfflineCell:
    """One point of the grid with one seed. `params`: all parameters; `digest`: equal for equal cells."""

    labels: dict[str, str]
    params: dict[str, Any]
    seed: int
    digest: str


@dataclass(frozen=True)
class OfflineFile:
    """A parsed file. `drawn`: as plots see it, the columns of text as further axes."""

    study: OfflineStudy
    drawn: Study
    cells: tuple[OfflineCell, ...]


def is_offline(path: Path) -> bool:
    """Whether a study's file describes one without slots."""
    return KEY in layers.from_file(path).data


def read(path: Path) -> OfflineFile:
    """The study that a file describes, every cell's parameters checked. ConfigError."""
    try:
        fields = _Fields.model_validate_json(json.dumps(layers.from_file(path).data, default=str))
    except ValidationError as error:
        raise ConfigError("\n".join(format_validation_error(error, _Fields))) from error
    study = offline_study_named(fields.study)
    cells = tuple(_cells(study, fields))
    axes = [Axis(name, {label_of(value): Layer({}) for value in values}) for name, values in fields.grid.items()]
    axes += [Axis(name, dict.fromkeys(values, Layer({}))) for name, values in study.labels.items()]
    sweep = Sweep(path.stem, tuple(axes), fields.plots)
    faults = [f"plots: {fault}" for plot in fields.plots for fault in plot_faults(sweep, plot)]
    faults += [f"plots: {unknown('number', p.y, study.numbers)}" for p in fields.plots if p.y not in study.numbers]
    compare_to = by_label(fields.compare_to)
    faults += baseline_faults([sweep], compare_to)
    if faults:
        raise ConfigError("\n".join(faults))
    drawn = Study(path.stem, Layer({}), fields.seeds, tuple(study.numbers), (sweep,), compare_to)
    return OfflineFile(study, drawn, cells)


def run(file: OfflineFile, out: Path, *, workers: int) -> Iterator[OfflineCell]:
    """Compute the cells that results.csv lacks, in processes of their own, and yield each when its rows are written.
    ConfigError for parameters that are impossible together, and for a study that returns other columns."""
    known = _known(out)
    done = {cell.digest: known[cell.digest] for cell in file.cells if cell.digest in known}
    out.mkdir(parents=True, exist_ok=True)
    _write(file, done, out)
    with ProcessPoolExecutor(workers, get_context("forkserver")) as pool:
        missing = [cell for cell in file.cells if cell.digest not in done]
        futures = {pool.submit(compute, file.study.name, cell.params, cell.seed): cell for cell in missing}
        for future in as_completed(futures):
            cell = futures[future]
            try:
                done[cell.digest] = [_row(file, cell, row) for row in future.result()]
            except ValueError as error:
                pool.shutdown(cancel_futures=True)
                raise ConfigError(f"{file.study.name}, {cell.params}: {error}") from error
            _write(file, done, out)
            yield cell


def compute(name: str, params: Mapping[str, Any], seed: int) -> list[dict[str, float | str]]:
    """The rows of one cell: what its process does."""
    threads.pin()
    study = load(name)
    rng = CounterRng(seed, "offline study").at(0)
    return [dict(row) for row in study.rows(msgspec.convert(dict(params), study.params), rng, time.perf_counter)]


def _cells(study: OfflineStudy, fields: _Fields) -> Iterator[OfflineCell]:
    for values in product(*fields.grid.values()):
        point = dict(zip(fields.grid, values, strict=True))
        try:
            chosen = choice_model(study).model_validate_json(
                json.dumps({"name": study.name} | fields.params | point, default=str)
            )
        except ValidationError as error:
            raise ConfigError("\n".join(format_validation_error(error, choice_model(study)))) from error
        params = parameters(chosen)
        for seed in fields.seeds:
            key = json.dumps([study.name, params, seed], sort_keys=True).encode()
            labels = {name: label_of(value) for name, value in point.items()}
            yield OfflineCell(labels, params, seed, blake2b(key, digest_size=8).hexdigest())


def _row(file: OfflineFile, cell: OfflineCell, row: Mapping[str, float | str]) -> Row:
    study = file.study
    wrong = sorted(row.keys() ^ (row.keys() & study.numbers.keys() | study.labels.keys()))
    if wrong or any(row[name] not in values for name, values in study.labels.items()):
        raise ValueError(f"it returned the row {dict(row)}; it declares {', '.join([*study.labels, *study.numbers])}")
    texts = {name: value if isinstance(value, str) else repr(float(value)) for name, value in row.items()}
    own = {"sweep": file.drawn.name, "seed": str(cell.seed), "state": "SUCCEEDED", "cell": cell.digest}
    return own | cell.labels | texts


def _known(out: Path) -> dict[str, list[Row]]:
    """The rows of results.csv by cell."""
    path = out / RESULTS_FILE
    found: dict[str, list[Row]] = {}
    for row in read_rows(path) if path.exists() else ():
        found.setdefault(row["cell"], []).append(row)
    return found


def read_rows(path: Path) -> list[Row]:
    """The rows of a results.csv of a study without slots. ConfigError for any other file."""
    try:
        rows = list(csv.DictReader(StringIO(path.read_text("utf-8"), newline=""), restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}; give another --out") from error
    if rows and not rows[0].keys() >= set(_OWN):
        raise ConfigError(f"{path} holds no results of a study: columns are missing; give another --out, or remove it")
    return rows


def _write(file: OfflineFile, done: Mapping[str, list[Row]], out: Path) -> None:
    text = StringIO()
    columns = ["sweep", *file.drawn.axes, "seed", *file.study.numbers, "state", "cell"]
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for cell in file.cells:
        # the labels are those of this file: the row may come from one that wrote them otherwise
        writer.writerows(row | {"sweep": file.drawn.name} | cell.labels for row in done.get(cell.digest, ()))
    replace_file(out / RESULTS_FILE, text.getvalue().encode())

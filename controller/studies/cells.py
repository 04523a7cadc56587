"""The cells of a study: its runs, all of them resolved and checked before the first one starts."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product
from pathlib import Path
from typing import Any

from controller.config import compatibility, layers
from controller.config.errors import ConfigError
from controller.config.layers import FILE_SUFFIXES, Layer
from controller.config.resolved import ResolvedRun, load
from controller.config.run_config import RunConfig, as_mapping
from controller.config.start_weights import read_start_weights
from controller.studies.study_file import TRAIN, Study, Sweep

_IRRELEVANT = ("out", "placement", "baselines")  # a run's results do not depend on them


@dataclass(frozen=True)
class StudyCell:
    """One point of a grid. `labels`: by axis; `digest`: equal for equal runs, whatever sweep they belong to.
    `trained_by`: the digest of the run whose weights it starts from, empty for none."""

    sweep: str
    labels: dict[str, str]
    run: ResolvedRun
    digest: str
    trained_by: str = ""

    @property
    def title(self) -> str:
        """`delay: scheme=llq, world.load=0.3, seed=2`"""
        return _title(self.sweep, self.labels, self.run.config.seed)


def cells_of(study: Study, environment: Mapping[str, str]) -> list[StudyCell]:
    """All cells, in the order of the grid; `environment` wins over the study's run, the grid over both.

    ConfigError lists each fault once, with the first cell that has it.
    """
    cells: list[StudyCell] = []
    faults: dict[str, list[str]] = defaultdict(list)
    for sweep in study.sweeps:
        for labels, overrides in _combinations(sweep):
            for seed in study.seeds:
                try:
                    cells += _cell(study, sweep, labels, [*overrides, _fixed(seed, sweep)], environment, cells)
                except ConfigError as error:
                    for line in str(error).splitlines():
                        faults[line].append(_title(sweep.name, labels, seed))
    if faults:
        raise ConfigError("\n".join(f"{_summarised(titles)}: {line}" for line, titles in faults.items()))
    return cells


def _fixed(seed: int, sweep: Sweep) -> Layer:
    """What is the same in every run of a study. An evaluation trains nothing: it starts from what was trained."""
    untrained = {"untrained": True} if sweep.trained_along is not None else {}
    return layers.from_mapping({"seed": seed, "placement": "in-process", "baselines": []} | untrained, Path.cwd())


def _cell(
    study: Study,
    sweep: Sweep,
    labels: dict[str, str],
    overrides: list[Layer],
    environment: Mapping[str, str],
    before: list[StudyCell],
) -> list[StudyCell]:
    """The cell of these labels; none for a run of `train` whose scheme does not learn."""
    run = load(study.run.data, environment=environment, overrides=[sweep.settings, *overrides])
    own = digest(run.config)
    if sweep.trained_along is None:
        idle = study.trains and not run.learns
        return [] if idle else [StudyCell(sweep.name, labels, run, own)]
    if not run.learns:
        return [StudyCell(sweep.name, labels, run, own)]
    shared = {axis: labels[axis] for axis in sweep.trained_along}
    by = next((c for c in before if (c.sweep, c.labels, c.run.config.seed) == (TRAIN, shared, run.config.seed)), None)
    if by is None:
        return []  # its training is at fault, which is reported there
    if run.config.seed == study.seeds[0]:  # the shapes are those of every seed
        compatibility.check_evaluation(by.run.plan, run.plan)
    both = blake2b(f"{by.digest} {own}".encode(), digest_size=8).hexdigest()
    return [StudyCell(sweep.name, labels, run, both, trained_by=by.digest)]


def digest(config: RunConfig) -> str:
    """Equal for configurations whose runs are equal; a file that a world's parameter names counts by its content."""
    settings = {key: value for key, value in as_mapping(config).items() if key not in _IRRELEVANT}
    if config.start.weights is not None:
        settings["start"] = read_start_weights(config.start.weights, out=Path(config.out)).digest
    settings["world"] = {key: _content(value) for key, value in settings["world"].items()}
    return blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=8).hexdigest()


def _content(value: Any) -> Any:
    return Path(value).read_text("utf-8") if isinstance(value, str) and value.endswith(FILE_SUFFIXES) else value


def _combinations(sweep: Sweep) -> Iterator[tuple[dict[str, str], list[Layer]]]:
    names = [axis.name for axis in sweep.axes]
    for labels in product(*(axis.values for axis in sweep.axes)):
        overrides = [axis.values[label] for axis, label in zip(sweep.axes, labels, strict=True)]
        yield dict(zip(names, labels, strict=True)), overrides


def _title(sweep: str, labels: Mapping[str, str], seed: int) -> str:
    return f"{sweep}: " + ", ".join([*(f"{axis}={label}" for axis, label in labels.items()), f"seed={seed}"])


def _summarised(titles: list[str]) -> str:
    return titles[0] + (f" (and {len(titles) - 1} more)" if titles[1:] else "")

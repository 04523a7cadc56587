"""summary.csv and its tables: means, intervals and paired differences over seeds, against scipy."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console
from scipy import stats
from typer.testing import CliRunner, Result

from airtoll.analysis.study_summary import csv_of, records, summarised
from airtoll.cli.commands import app
from airtoll.cli.study_tables import summary_tables
from controller.studies.study_file import Study, read

STUDY: dict[str, Any] = {
    "run": {"world": "conflict_graph", "slots": 20},
    "seeds": [1, 2, 3],
    "grid": {"scheme": {"random": "ours/random", "llq": "zhang2025/llq"}, "world.load": [0.2, 0.4]},
    "metrics": ["delay_slots"],
    "compare_to": {"scheme": "random"},
}


def _write(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(STUDY | changes, sort_keys=False))
    return path


def _study(path: Path, **changes: Any) -> Study:
    return read(_write(path / "s.yaml", **changes))


def _row(scheme: str, load: str, seed: int, delay: float | str) -> dict[str, str]:
    labels = {"sweep": "s", "scheme": scheme, "world.load": load, "seed": str(seed), "state": "SUCCEEDED"}
    return labels | {"delay_slots": str(delay)}


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)])


def test_means_and_paired_differences_are_those_of_scipy(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    channels = rng.normal(100, 30, 8)  # what the seeds share
    base, other = channels + rng.normal(0, 1, 8), channels + 4 + rng.normal(0, 1, 8)
    rows = [
        _row(scheme, "0.2", seed, value)
        for scheme, values in (("random", base), ("llq", other))
        for seed, value in enumerate(values)
    ]
    reference, compared = summarised(_study(tmp_path, seeds=list(range(8))), rows, ["delay_slots"]).rows
    assert (reference.difference, reference.baseline) == (None, "scheme=random")
    low, high = stats.t.interval(0.95, 7, np.mean(other), stats.sem(other))
    assert (compared.mean.value - compared.mean.half, compared.mean.value + compared.mean.half) == pytest.approx(
        (low, high)
    )
    paired = stats.ttest_rel(other, base).confidence_interval(0.95)
    assert compared.difference is not None
    value, half, pairs = compared.difference
    assert (value - half, value + half) == pytest.approx((paired.low, paired.high))
    assert pairs == 8
    assert half < compared.mean.half / 5  # the channels are in no difference


def test_a_difference_is_over_the_seeds_that_both_have_and_what_is_missing_is_named(tmp_path: Path) -> None:
    rows = [
        *(_row("random", "0.2", seed, value) for seed, value in ((1, 5), (2, 7))),
        *(_row("llq", "0.2", seed, value) for seed, value in ((2, 9), (3, 1))),
        _row("llq", "0.4", 1, 4),
    ]
    made = summarised(_study(tmp_path), rows, ["delay_slots"], ["s: scheme=random, world.load=0.2, seed=3"])
    _, paired, alone = records(made.rows)
    assert (paired["n"], paired["seeds"], paired["pairs"], paired["difference"]) == (2, 3, 1, 2.0)
    assert (paired["difference_low"], alone["difference"], alone["low"]) == (None, None, None)
    assert made.remarks == (
        "partial results: 1 cells have none, the first: s: scheme=random, world.load=0.2, seed=3",
        "scheme=random has no result for some seeds of delay_slots at scheme=llq, world.load=0.2 and 1 more: those are "
        "in no difference",
    )
    [first, *_] = csv.DictReader(csv_of(made.rows, ["scheme", "world.load"]).decode().splitlines())
    assert (first["mean"], first["n"], first["seeds"], first["difference"]) == ("6.0", "2", "3", "")


def test_the_table_has_80_columns_and_no_number_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [_row(s, load, k, 100 + k) for s in ("random", "llq") for load in ("0.2", "0.4") for k in (1, 2)]
    made = summarised(_study(tmp_path), rows, ["delay_slots"])
    console = Console(width=80, markup=False)
    for table in summary_tables(made.rows, lambda name: f"{name} [slots]"):
        console.print(table)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "s: delay_slots [slots]" in shown
    half = stats.t.ppf(0.975, 1) * 0.5
    assert [line.split() for line in shown.splitlines() if "llq" in line] == [
        ["llq", load, "101.5", "±", f"{half:.2g}", "2", "of", "3", "+0", "±", "0"] for load in ("0.2", "0.4")
    ]
    assert "difference to scheme=random, seed by seed" in " ".join(shown.split())


def test_the_command_writes_and_prints_it(tmp_path: Path) -> None:
    done = _call(_write(tmp_path / "s.yaml"), "--out", tmp_path, "--format", "json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    with (tmp_path / "summary.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["metric"] for row in data["summary"]] == [row["metric"] for row in rows]
    assert {"delay_slots", "eval_all_bytes_per_slot_node", "wall_s"} <= {row["metric"] for row in rows}
    assert str(tmp_path / "summary.csv") in data["files"]
    text = _call(tmp_path / "s.yaml", "--out", tmp_path, "--compare-to", "scheme=llq").stdout
    assert "difference to scheme=llq" in text
    assert "s: execution overhead, all kinds [bytes/slot/node]" in text
    assert "s: delay_slots [slots]" in text


@pytest.mark.parametrize(
    ("compare_to", "fault"),
    [
        ({"scheme": "lql"}, "compare_to: no value of scheme named 'lql'; known: llq, random; did you mean 'llq'?"),
        ({"shceme": "llq"}, "compare_to: no axis named 'shceme'; known: scheme, world.load; did you mean 'scheme'?"),
    ],
)
def test_a_baseline_that_the_study_lacks_is_rejected(tmp_path: Path, compare_to: dict[str, str], fault: str) -> None:
    given = _call(_write(tmp_path / "s.yaml", compare_to=compare_to), "--out", tmp_path / "out")
    assert (given.exit_code, fault in given.stderr) == (2, True), given.output
    [(axis, label)] = compare_to.items()
    option = _call(_write(tmp_path / "s.yaml"), "--out", tmp_path / "out", "--compare-to", f"{axis}={label}")
    assert (option.exit_code, fault.replace("_", "-", 1) in option.stderr) == (2, True), option.output
    assert "must be AXIS=LABEL" in _call(tmp_path / "s.yaml", "--compare-to", "llq").stderr

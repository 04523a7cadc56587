"""A study's aggregates and its results in marl-eval's format."""

import csv
import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats
from typer.testing import CliRunner, Result

from airtoll.analysis.study import StudyFolder
from airtoll.cli.commands import app
from airtoll.cli.studies import write_aggregates
from controller.studies.aggregates import aggregates
from controller.studies.results import read_rows
from controller.studies.study_file import read

STUDY: dict[str, Any] = {
    "run": {"world": "conflict_graph", "phases": {"train": 10, "eval": 20, "rounds": 2}},
    "seeds": [1, 2, 3],
    "grid": {"scheme": {"random": "ours/random", "llq": "zhang2025/llq"}, "world.load": [0.2, 0.4]},
    "metrics": ["delay_slots", "queue_tasks"],
}


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of two schemes, two loads, three seeds and two evaluations."""
    folder: Path = tmp_path_factory.mktemp("study")
    (folder / "loads.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    done = _call(folder / "loads.yaml", "--out", folder, "--export", "marl-eval")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-4:] == [
        str(folder / name) for name in ("results.csv", "aggregates.csv", "summary.csv", "marl-eval.json")
    ]
    return folder


def test_the_export_has_every_evaluation_of_every_run(out: Path) -> None:
    data = json.loads((out / "marl-eval.json").read_text())
    assert list(data) == ["conflict_graph"]
    assert list(data["conflict_graph"]) == ["world.load=0.2", "world.load=0.4"]
    for row in read_rows(out / "results.csv"):
        run = data["conflict_graph"][f"world.load={row['world.load']}"][row["scheme"]][f"seed_{row['seed']}"]
        assert [run[step]["step_count"] for step in ("step_1", "step_2")] == [10, 20]
        assert run["step_1"]["queue_tasks"] != run["step_2"]["queue_tasks"]
        assert run["absolute_metrics"]["queue_tasks"] == [float(row["queue_tasks"])] == run["step_2"]["queue_tasks"]


def test_aggregates_are_interquartile_means_over_seeds_and_over_tasks(out: Path) -> None:
    rows = read_rows(out / "results.csv")
    with (out / "aggregates.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    queue = [row for row in found if row["metric"] == "queue_tasks"]
    assert [(row["scheme"], row["world.load"], row["score"]) for row in queue] == [
        *((scheme, load, "value") for scheme in ("random", "llq") for load in ("0.2", "0.4")),
        ("random", "", "normalised"),
        ("llq", "", "normalised"),
    ]
    tasks = {
        load: [(row["scheme"], float(row["queue_tasks"])) for row in rows if row["world.load"] == load]
        for load in ("0.2", "0.4")
    }
    of_random = [value for scheme, value in tasks["0.2"] if scheme == "random"]
    assert float(queue[0]["iqm"]) == pytest.approx(stats.trim_mean(of_random, 0.25))
    scaled = []
    for task in tasks.values():
        values = np.array([value for _, value in task])
        scaled += [(v - values.min()) / np.ptp(values) for scheme, v in task if scheme == "llq"]
    assert float(queue[-1]["iqm"]) == pytest.approx(stats.trim_mean(scaled, 0.25))
    assert all(float(row["low"]) <= float(row["iqm"]) <= float(row["high"]) for row in found)


def test_results_without_curves_are_not_exported(out: Path, tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_bytes((out / "results.csv").read_bytes())
    done = _call(out / "loads.yaml", "--out", tmp_path, "--plots-only", "--export", "marl-eval")
    assert done.exit_code == 2
    assert "has no evaluation: remove" in str(done.output)


def test_a_failed_run_leaves_the_seeds_that_all_schemes_share(out: Path, tmp_path: Path) -> None:
    study, rows = read(out / "loads.yaml"), read_rows(out / "results.csv")
    [lost] = [r for r in rows if (r["scheme"], r["world.load"], r["seed"]) == ("llq", "0.4", "2")]
    lost |= {"state": "FAILED", "queue_tasks": ""}
    made = aggregates(study, rows, ["queue_tasks"])
    found = {(r["scheme"], r["world.load"]): r for r in csv.DictReader(StringIO(made.file.decode()))}
    assert {labels: (r["runs"], r["seeds"]) for labels, r in found.items()} == {
        ("random", "0.2"): ("3", "3"),
        ("random", "0.4"): ("3", "3"),
        ("llq", "0.2"): ("3", "3"),
        ("llq", "0.4"): ("2", "3"),
        ("random", ""): ("2", "3"),
        ("llq", ""): ("2", "3"),
    }
    assert made.remarks == (
        "queue_tasks: normalised scores in loads are over 2 of 3 seeds, as there is no result of llq at 0.4, seed 2",
    )
    shared = aggregates(study, [row for row in rows if row["seed"] != "2"], ["queue_tasks"])
    alone = {r["scheme"]: r for r in csv.DictReader(StringIO(shared.file.decode())) if r["score"] == "normalised"}
    assert {scheme: r["iqm"] for scheme, r in alone.items()} == {s: found[s, ""]["iqm"] for s in ("random", "llq")}


def test_without_a_shared_seed_the_terminal_says_what_is_left_out(out: Path, tmp_path: Path) -> None:
    rows = read_rows(out / "results.csv")
    for row in rows:
        if row["scheme"] == "llq" and row["world.load"] == "0.4":
            row |= {"state": "FAILED", "reason": "out of memory", "queue_tasks": "", "delay_slots": ""}
    made = aggregates(read(out / "loads.yaml"), rows, ["delay_slots", "queue_tasks"])
    assert b"normalised" not in made.file
    assert made.remarks == (
        "delay_slots, queue_tasks: normalised scores in loads are over no seed, and left out, as there is no result of "
        "llq at 0.4, seed 1 and 2 more",
    )


def test_the_terminal_says_what_the_aggregates_leave_out(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(out / "results.csv", tmp_path)
    folder = StudyFolder(out / "loads.yaml", tmp_path, {})
    folder.results.failed(folder.cells[0], "out of memory")
    assert write_aggregates(folder) == tmp_path / "aggregates.csv"
    assert capsys.readouterr().err.startswith("aggregates.csv: delay_slots, queue_tasks: normalised scores in loads")

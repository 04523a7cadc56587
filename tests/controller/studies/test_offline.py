"""Studies without slots: run, drawn and continued by `airtoll study`; the first one against an exhaustive search."""

import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from airtoll.cli.commands import app
from controller.config.catalogue import offline_studies
from controller.config.errors import ConfigError
from controller.studies import offline
from controller.studies.offline import compute, read, read_rows
from schemes.offline.assignment import Instances, greedily, rows, value
from schemes.offline_study import load

FILE: dict[str, Any] = {
    "study": "offline/assignment",
    "params": {"instances": 4, "blocks": 6},
    "seeds": [1, 2],
    "grid": {"users": [2, 4]},
    "plots": [{"x": "users", "y": "gap_percent", "lines": "solver"}],
}


def _write(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(FILE | changes))
    return path


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)])


def _ticks() -> Iterator[float]:
    time = 0.0
    while True:
        yield (time := time + 0.5)


def test_exact_solvers_find_the_optimum_and_greedy_at_most_that() -> None:
    params = Instances(users=4, blocks=5, instances=6)
    clock = _ticks()
    found = {row["solver"]: row for row in rows(params, np.random.default_rng(7), lambda: next(clock))}
    gains = np.random.default_rng(7).exponential(size=(6, 4, 5))
    rates = np.log2(1 + 10 * gains)
    best = np.mean([max(value(one, each) for each in permutations(range(5), 4)) for one in rates])
    for solver in ("hungarian", "branch_and_bound"):
        assert found[solver]["sum_rate_bps_hz"] == pytest.approx(best)
        assert found[solver]["gap_percent"] == pytest.approx(0, abs=1e-9)
    assert 0 < float(found["greedy"]["gap_percent"]) < 50
    assert {row["time_ms"] for row in found.values()} == {500.0}
    assert float(found["branch_and_bound"]["nodes"]) >= 4


def test_greedy_takes_the_best_pair_that_is_left() -> None:
    assert greedily(np.array([[9.0, 8.0], [7.0, 1.0]]))[0] == (0, 1)


def test_it_is_run_drawn_and_continued(tmp_path: Path) -> None:
    file, out = _write(tmp_path / "gap.yaml"), tmp_path / "out"
    done = _call(file, "--out", out, "--workers", 1)
    assert done.exit_code == 0, done.output
    names = ("results.csv", "summary.csv", "gap-gap_percent.png")
    assert done.stdout.splitlines()[-3:] == [str(out / name) for name in names]
    first = read_rows(out / "results.csv")
    assert [(row["users"], row["seed"], row["solver"]) for row in first[:4]] == [
        *(("2", "1", solver) for solver in ("greedy", "hungarian", "branch_and_bound")),
        ("2", "2", "greedy"),
    ]
    again = _call(_write(file, grid={"users": [2, 3]}), "--out", out, "--workers", 1)
    assert again.exit_code == 0
    kept = [row for row in read_rows(out / "results.csv") if row["users"] == "2"]
    assert kept == [row for row in first if row["users"] == "2"]  # with the times that were measured then
    assert _call(file, "--out", out, "--plots-only").stdout.splitlines() == [str(out / "gap-gap_percent.png")]


def test_equal_seeds_give_equal_rows_but_for_times() -> None:
    params = {"users": 3, "blocks": 4, "snr_db": 10.0, "instances": 2}
    a, b, c = (compute("offline/assignment", params, seed) for seed in (1, 1, 2))
    assert [row["sum_rate_bps_hz"] for row in a] == [row["sum_rate_bps_hz"] for row in b]
    assert a[0]["sum_rate_bps_hz"] != c[0]["sum_rate_bps_hz"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"study": "offline/asignment"}, "no study without slots named 'offline/asignment'; known: offline/assignment"),
        ({"grid": {"user": [1]}}, "user: 1 is not allowed: no such key"),
        ({"grid": {"users": [0]}}, "users: 0 is not allowed: must be at least 1"),
        ({"plots": [{"x": "users", "y": "gap"}]}, "no number named 'gap'"),
        ({"plots": [{"x": "users", "y": "gap_percent"}]}, "solver is an axis, too: make it lines or panels"),
    ],
)
def test_a_file_that_describes_no_study_is_rejected(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(_write(tmp_path / "x.yaml", **changes))
    assert fault in str(error.value)


def test_impossible_parameters_end_the_study_with_their_fix(tmp_path: Path) -> None:
    file = _write(tmp_path / "x.yaml", grid={"users": [7]}, seeds=[1])
    done = _call(file, "--out", tmp_path / "out", "--workers", 1)
    assert done.exit_code == 2
    assert "7 users for 6 blocks: give at least as many blocks" in done.output


def test_every_study_is_loaded_by_its_name() -> None:
    for name, study in offline_studies().items():
        assert load(name) is study
    with pytest.raises(ValueError, match="no study 'doe/none' is installed here"):
        load("doe/none")


def test_results_are_read_once_however_many_cells_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, reads = _write(tmp_path / "gap.yaml", seeds=list(range(40))), list[Path]()
    (tmp_path / "results.csv").write_text("sweep,seed,state,cell\n")

    def counted(path: Path) -> list[dict[str, str]]:
        reads.append(path)
        return read_rows(path)

    monkeypatch.setattr(offline, "read_rows", counted)
    next(offline.run(read(file), tmp_path, workers=1))
    assert len(reads) == 1


def test_they_are_listed_beside_the_schemes() -> None:
    listed = CliRunner().invoke(app, ["schemes"]).stdout
    assert "studies without slots" in listed
    assert "offline/assignment" in listed.partition("studies without slots")[2]
    about = CliRunner().invoke(app, ["schemes", "offline/assignment"]).stdout
    assert "gap_percent [%]" in about
    assert "solver: greedy, hungarian, branch_and_bound" in about
    assert "users" in about
    data = json.loads(CliRunner().invoke(app, ["schemes", "offline/assignment", "--format", "json"]).stdout)
    assert data["offline/assignment"]["parameters"].keys() >= {"users", "blocks"}
    assert data["offline/assignment"]["numbers"]["gap_percent"] == "%"

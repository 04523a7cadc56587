"""What a study counts beside its metrics (attempts, losses, updates), and whether schemes had equal budgets."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from airtoll.analysis.study import StudyFolder
from airtoll.cli.commands import app
from controller.config.errors import ConfigError
from controller.run_folder.reader import RunFolder
from controller.studies.budget import check_budget
from controller.studies.results import read_rows

DQN = {"name": "li2020/dqn", "hidden": [8], "batch": 8}
STUDY: dict[str, Any] = {
    "run": {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}, "phases": {"warmup": 5, "train": 30, "eval": 10}},
    "seeds": [1],
    "grid": {"scheme": {"twice": DQN | {"batch": 9}, "once": DQN, "random": "li2020/random"}},
    "metrics": ["reward_total"],
    "budget": "equal updates",
}


def _folder(at: Path, **changes: Any) -> StudyFolder:
    (at / "s.yaml").write_text(yaml.safe_dump(STUDY | changes, sort_keys=False))
    return StudyFolder(at / "s.yaml", at / "out", {})


def _rows(folder: StudyFolder, *numbers: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"cell": cell.digest, "state": "SUCCEEDED", "training_slots": "35"} | own
        for cell, own in zip(folder.cells, numbers, strict=False)
    ]


@pytest.mark.parametrize(
    ("budget", "twice", "once", "line"),
    [
        (
            "equal updates",
            {"updates": "60"},
            {"updates": "30"},
            "NOT equal updates: twice 60, once 30 updates (seed 1)",
        ),
        ("equal updates", {"updates": "1000"}, {"updates": "995"}, "equal updates"),
        ("equal updates", {"updates": "60"}, {}, "unknown whether equal updates: once, seed 1, has no count of them"),
        (
            "equal bytes",
            {"training_all_bytes_per_slot_node": "4"},
            {"training_all_bytes_per_slot_node": "2"},
            "NOT equal bytes: twice 140, once 70 bytes/node (seed 1)",
        ),
        ("equal slots", {}, {}, "equal slots"),
    ],
)
def test_a_budget_is_checked_from_the_results(
    tmp_path: Path, budget: str, twice: dict[str, str], once: dict[str, str], line: str
) -> None:
    grid = {"scheme": {"twice": DQN | {"batch": 9}, "once": DQN, "random": "li2020/random"}}
    folder = _folder(tmp_path, budget=budget, grid=grid)
    check = check_budget(folder.study, folder.cells, _rows(folder, twice, once, {}))
    assert check.at("s", {"scheme": "random"}).startswith(line)
    assert line in check.remark


def test_an_unknown_budget_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(STUDY | {"budget": "equal time"}))
    done = CliRunner().invoke(app, ["study", str(tmp_path / "s.yaml")])
    assert (done.exit_code, "budget: 'equal time' is not allowed" in done.stderr) == (2, True), done.output
    with pytest.raises(ConfigError, match="no axis is compared: give compare_to"):
        _folder(tmp_path, grid={"slots": [10, 20]})


def test_attempts_losses_and_updates_are_those_of_the_run(tmp_path: Path) -> None:
    learning = DQN | {"learns_at": "trainer"}
    run = STUDY["run"] | {"signalling": {"all": {"loss": 0.2}}}
    folder = _folder(tmp_path, run=run, grid={"scheme": {"dqn": learning}})
    done = CliRunner().invoke(app, ["study", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "out"), "--keep-runs"])
    assert done.exit_code == 0, done.output
    [row] = read_rows(folder.out / "results.csv")
    [path] = (folder.out / "runs").iterdir()
    kept = RunFolder.open(path)
    total = {"attempts": 0, "lost": 0}
    for entry in kept.toll.rows:
        if entry.phase in ("warmup", "train"):
            total["attempts"] += entry.delivery.attempts
            total["lost"] += entry.delivery.lost
    assert total["lost"] > 0
    for name, count in total.items():
        assert float(row[f"training_all_{name}_per_slot_node"]) == pytest.approx(count / 35 / 3)
    assert row["training_slots"] == "35"
    assert float(row["updates"]) == [s.value for s in kept.scalars() if s.name == "updates"][-1]
    assert "equal updates" in done.stdout

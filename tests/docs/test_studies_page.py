"""docs/studies.md: its studies run, and leave the files, columns and errors of the page."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from airtoll.cli.commands import app
from controller.config.errors import ConfigError
from controller.studies.cells import StudyCell, cells_of
from controller.studies.results import read_rows
from controller.studies.study_file import Study, read
from tests.docs.pages import DOCS, block, page, states, table

PAGE = "studies.md"
OF_TRAINING = (
    "training_weights_bytes_per_slot_node",
    "training_all_attempts_per_slot_node",
    "training_slots",
    "updates",
)


def _file(at: Path, name: str) -> Path:
    path = at / name
    path.write_text(block(PAGE, f"# {name}"), "utf-8")
    return path


def _cells(path: Path) -> tuple[Study, list[StudyCell]]:
    study = read(path)
    return study, cells_of(study, {})


def test_the_first_study_leaves_the_files_and_columns_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRTOLL_SLOTS", "20")
    file = _file(tmp_path, "load.yaml")
    result = CliRunner().invoke(app, ["study", str(file)])
    assert result.exit_code == 0, result.output
    rows = read_rows(Path("runs/load/results.csv"))
    assert "load: 12 cells, 12 to run" in result.stderr
    assert sorted(path.name for path in Path("runs/load").iterdir()) == [
        *("aggregates.csv", "curves.csv", "load-delay_slots.png", "load-delay_slots.txt", "results.csv", "summary.csv"),
    ]
    columns = rows[0].keys()
    named = {column for row in table(PAGE, "column") for column in row[0].replace(",", " ").split()}
    assert (
        named - {"training_weights_bytes_per_slot_node", *OF_TRAINING, "one", "per", "axis", "the", "metrics"}
        <= columns
    )
    assert states(PAGE, f"{len(rows)} cells", "results.csv", "load-delay_slots.png", "runs/load/")


def test_the_sweeps_share_cells(tmp_path: Path) -> None:
    study, cells = _cells(_file(tmp_path, "two-ways.yaml"))
    assert [sweep.name for sweep in study.sweeps] == ["load", "subbands"]
    assert len(cells) == 2 * 2 * 3 + 2 * 3 * 3


def test_the_study_of_two_stages_trains_once_and_rejects_what_the_page_says(tmp_path: Path) -> None:
    file = _file(tmp_path, "sizes.yaml")
    _, cells = _cells(file)
    assert [cell.sweep for cell in cells] == ["train"] * 2 + ["evaluate"] * 2 * 2 * 2
    data = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(data | {"evaluate": {"run": {"slots": 9}, "grid": {"world.rbs": [4]}}}))
    with pytest.raises(ConfigError, match="cannot start from them"):
        _cells(file)


def test_the_figures_for_a_paper_are_drawn_as_on_the_page(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["study", str(_file(tmp_path, "paper.yaml")), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    names = [f"paper-queue_tasks-curve.{ending}" for ending in ("pdf", "png", "txt")]
    assert sorted(path.name for path in (tmp_path / "out").glob("paper-*")) == names


def test_the_study_without_slots_is_run_as_on_the_page(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["study", str(_file(tmp_path, "gap.yaml")), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    names = [
        "gap-gap_percent.png",
        "gap-gap_percent.txt",
        "gap-time_ms.png",
        "gap-time_ms.txt",
        "results.csv",
        "summary.csv",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_an_invalid_cell_is_reported_as_on_the_page(tmp_path: Path) -> None:
    data = yaml.safe_load(block(PAGE, "# load.yaml"))
    data["grid"]["world.load"] = [0.2, -1]
    (tmp_path / "load.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    with pytest.raises(ConfigError) as rejected:
        _cells(tmp_path / "load.yaml")
    assert str(rejected.value) in page(PAGE)


def test_the_measured_studies_are_valid() -> None:
    for name in ("signalling-graph", "signalling-li2020"):
        path = DOCS.parent / "benchmarks" / f"{name}.yaml"
        assert str(path.relative_to(DOCS.parent)) in page(PAGE)
        assert len(read(path).sweeps) >= 2

"""Slices of a study, merged: the same table as without; and options that would do nothing."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from airtoll.analysis.study import StudyFolder
from airtoll.cli.commands import app
from controller.config.errors import ConfigError
from controller.studies.cells import cells_of
from controller.studies.results import read_rows
from controller.studies.slices import Slice
from controller.studies.study_file import read

STUDY: dict[str, Any] = {
    "run": {"world": "conflict_graph", "slots": 20},
    "seeds": [1, 2],
    "grid": {"scheme": {"random": "ours/random", "llq": "zhang2025/llq"}},
    "metrics": ["delay_slots"],
    "plots": [{"x": "scheme", "y": "delay_slots"}],
}
TRAINED: dict[str, Any] = {
    "run": {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}},
    "seeds": [1, 2],
    "train": {
        "run": {"phases": {"train": 30, "eval": 5}},
        "grid": {"scheme": {"dqn": {"name": "li2020/dqn", "hidden": [8]}, "random": "li2020/random"}},
    },
    "evaluate": {"run": {"slots": 20}, "grid": {"world.pairs": [3, 4]}},
}


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)])


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study's file and its slices, in a and b."""
    at: Path = tmp_path_factory.mktemp("slices")
    (at / "s.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    for number, name in enumerate("ab", 1):
        done = _call(at / "s.yaml", "--out", at / name, "--cells", f"{number}/2")
        assert (done.exit_code, "4 cells, 2 of other slices, 2 to run" in done.stderr) == (0, True), done.output
        assert "partial results: 2 cells have none" in done.stderr
    return at


def test_merged_slices_are_the_study(slices: Path, tmp_path: Path) -> None:
    parts = ["--merge", slices / "a", "--merge", slices / "b"]
    merged = _call(slices / "s.yaml", "--out", tmp_path / "all", *parts)
    assert (merged.exit_code, merged.stderr) == (0, "4 runs from 2 folders\n"), merged.output
    assert _call(slices / "s.yaml", "--out", tmp_path / "one").exit_code == 0
    rows, whole = (
        [row | {"wall_s": ""} for row in read_rows(tmp_path / name / "results.csv")] for name in ("all", "one")
    )
    assert rows == whole
    lines = [sorted((tmp_path / name / "curves.csv").read_text().splitlines()) for name in ("all", "one")]
    assert lines[0] == lines[1]
    assert StudyFolder(slices / "s.yaml", tmp_path / "all", {}).missing == []


def test_cells_that_are_missing_or_twice_are_named(slices: Path, tmp_path: Path) -> None:
    shutil.copytree(slices / "a", tmp_path / "again")
    merged = _call(slices / "s.yaml", "--out", tmp_path / "out", "--merge", slices / "a", "--merge", tmp_path / "again")
    assert merged.exit_code == 1
    assert "2 cells are there twice, with equal traces, the first: s: scheme=random, seed=1" in merged.stderr
    assert "2 cells are missing, the first: s: scheme=random, seed=2; without --merge they" in merged.stderr


def test_results_of_different_versions_are_not_mixed(slices: Path, tmp_path: Path) -> None:
    shutil.copytree(slices / "a", tmp_path / "other")
    path = tmp_path / "other" / "results.csv"
    digest = read_rows(path)[0]["trace_digest"]
    path.write_text(path.read_text().replace(digest, "0" * len(digest)))
    parts = ["--merge", slices / "a", "--merge", tmp_path / "other"]
    merged = _call(slices / "s.yaml", "--out", tmp_path / "out", *parts)
    assert (merged.exit_code, "differ in s: scheme=random, seed=1: they were computed by" in merged.stderr) == (2, True)
    nothing = _call(slices / "s.yaml", "--out", tmp_path / "out", "--merge", tmp_path)
    assert (nothing.exit_code, "has no results.csv; give folders of this study" in nothing.stderr) == (2, True)


def test_slices_are_a_partition_and_keep_evaluations_with_their_training(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(TRAINED, sort_keys=False))
    cells = cells_of(read(tmp_path / "t.yaml"), {})
    parts = [Slice(number, 3).digests(cells) for number in (1, 2, 3)]
    assert set.union(*parts) == {cell.digest for cell in cells}
    assert sum(map(len, parts)) == len({cell.digest for cell in cells})
    for part in parts:
        assert all(cell.trained_by in part for cell in cells if cell.digest in part and cell.trained_by)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3"])
def test_what_is_no_slice_is_rejected(text: str) -> None:
    with pytest.raises(ConfigError, match="must be I/N"):
        Slice.parse(text)


def test_options_that_would_do_nothing_are_rejected_or_say_so(slices: Path, tmp_path: Path) -> None:
    for words in (["--plots-only", "--keep-runs"], ["--merge", slices / "a", "--cells", "1/2"]):
        refused = _call(slices / "s.yaml", "--out", slices / "a", *words)
        assert (refused.exit_code, "does nothing with" in refused.stderr) == (2, True), refused.output
    shutil.copytree(slices / "a", tmp_path / "a")
    kept = _call(slices / "s.yaml", "--out", tmp_path / "a", "--keep-runs", "--cells", "1/2")
    assert "--keep-runs: 2 cells were done before, without a folder: s: scheme=random, seed=1" in kept.stderr


def test_a_plot_without_rows_is_named(slices: Path, tmp_path: Path) -> None:
    lost = {"x": "scheme", "y": "training_all_bytes_per_slot_node"}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(STUDY | {"plots": [*STUDY["plots"], lost]}, sort_keys=False))
    drawn = _call(tmp_path / "s.yaml", "--out", slices / "a", "--plots-only")
    assert drawn.exit_code == 0
    assert drawn.stderr == "s-training_all_bytes_per_slot_node is not drawn: no row that it shows has a result\n"

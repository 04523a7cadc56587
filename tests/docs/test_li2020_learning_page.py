"""docs/reproduction/li2020-learning.md: its tables are those of the studies' results."""

import runpy
from pathlib import Path

import pytest

from controller.studies import study_file
from controller.studies.cells import cells_of
from controller.studies.results import read_rows
from tests.docs.pages import ROOT, page

PAGE = "reproduction/li2020-learning.md"
FOLDER = ROOT / "reproduction" / "li2020"
STUDIES = sorted(path.parent.name for path in FOLDER.glob("results/*/results.csv") if path.parent.name in page(PAGE))


def test_the_page_has_results() -> None:
    assert "five-drops" in STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_a_studys_table_is_that_of_its_results(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    paired = runpy.run_path(str(FOLDER / "paired.py"))
    paired["main"](str(FOLDER / "results" / name / "results.csv"), "MAAC")
    table = capsys.readouterr().out
    assert table.count("\n") > 2
    assert table in page(PAGE)


@pytest.mark.parametrize("name", STUDIES)
def test_the_results_are_those_of_the_study(name: str) -> None:
    cells = cells_of(study_file.read(Path(FOLDER / f"{name}.yaml")), {})
    rows = read_rows(FOLDER / "results" / name / "results.csv")
    assert {(row["scheme"], row["seed"]) for row in rows} <= {
        (cell.labels["scheme"], str(cell.run.config.seed)) for cell in cells
    }

"""docs/reproduction/li2020-learning.md: its tables are those of the studies' results."""

import runpy
from pathlib import Path
from statistics import mean

import pytest

from controller.studies import study_file
from controller.studies.cells import cells_of
from controller.studies.results import read_rows
from tests.docs.pages import ROOT, page, table

PAGE = "reproduction/li2020-learning.md"
FOLDER = ROOT / "reproduction" / "li2020"
STUDIES = sorted(path.parent.name for path in FOLDER.glob("results/*/results.csv") if path.parent.name in page(PAGE))


def test_the_page_has_results() -> None:
    assert "five-drops" in STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_a_studys_table_is_that_of_its_results(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    paired = runpy.run_path(str(FOLDER / "paired.py"))
    paired["main"](str(FOLDER / "results" / name / "results.csv"), "MAAC")
    printed = capsys.readouterr().out
    assert printed.count("\n") > 2
    assert printed in page(PAGE)


@pytest.mark.parametrize("name", STUDIES)
def test_the_results_are_those_of_the_study(name: str) -> None:
    cells = cells_of(study_file.read(Path(FOLDER / f"{name}.yaml")), {})
    rows = read_rows(FOLDER / "results" / name / "results.csv")
    assert {(row["scheme"], row["seed"]) for row in rows} <= {
        (cell.labels["scheme"], str(cell.run.config.seed)) for cell in cells
    }


def test_readmes_table_is_of_the_same_drops() -> None:
    paired = runpy.run_path(str(FOLDER / "paired.py"))
    schemes = paired["by_scheme"](FOLDER / "results" / "five-drops" / "results.csv", {})
    shown = {row[0]: row[1:] for row in table("../README.md", "over five drops")}
    for name, label in {
        "MAAC plain gumbel": "MAAC, critic as in the paper's fig. 4",
        "AC": "AC: NAAC without neighbours",
    }.items():
        shown[name] = shown.pop(label)
    assert shown.keys() == schemes.keys()
    for name, drops in schemes.items():
        assert len(drops) == 5
        means = [
            mean(float(row[key]) for row in drops.values()) for key in ("reward_total", "cellular_outage", "d2d_outage")
        ]
        reward, _, less, *outages = shown[name]
        assert [reward, *outages] == [f"{means[0]:.1f}", *(f"{outage:.4f}" for outage in means[1:])]
        if name != "MAAC":
            assert paired["difference"](drops, schemes["MAAC"]).startswith(f"{less} |")

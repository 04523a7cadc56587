"""docs/reproduction/wong2021.md: its numbers are those of the committed results, and its studies are valid."""

import csv
from pathlib import Path

import pytest

from airtoll.analysis.confidence import mean_of
from controller.studies.cells import cells_of
from controller.studies.study_file import read
from tests.docs.pages import ROOT, page, states, table

PAGE = "reproduction/wong2021.md"
FOLDER = ROOT / "reproduction" / "wong2021"
SCHEMES = ("random", "SSWF", "reuse-3", "FLWF 20", "FLWF 100", "FLWF 400")


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / "results" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_without_learning_is_that_of_the_results() -> None:
    found: dict[tuple[str, ...], list[float]] = {}
    for row in rows("tables"):
        point = (row["size"], row["world.channels"], row["world.sir_db"], row["scheme"])
        found.setdefault(point, []).append(float(row["cell_rate_bps_hz"]))
    shown = table(PAGE, "(M, U)")
    assert len(shown) == len({point[:3] for point in found})
    for size, channels, sir_db, *cells in shown:
        shown_at = (size.strip("()").replace(", ", "x"), channels, sir_db)
        for scheme, cell in zip(SCHEMES, cells, strict=True):
            mean = mean_of(found[(*shown_at, scheme)])
            shown_as = f"{mean.value:.1f} ± {mean.half:.1f}" if mean.seeds == 5 else "not measured"
            assert cell == shown_as, (shown_at, scheme)


@pytest.mark.parametrize(("name", "heading", "axis"), [("fig7", "SIR, dB", "sir_db"), ("fig8", "T", "T")])
def test_its_curves_are_those_of_the_results(name: str, heading: str, axis: str) -> None:
    measured = {(row[axis], row["scheme"]): list(row.values())[-2:] for row in rows(name)}
    titles = next(line for line in page(PAGE).splitlines() if line.startswith(f"| {heading} |"))
    schemes = [title.strip().replace("FLWF, ", "FLWF ") for title in titles.strip("|").split(" | ")][1:]
    digits = 1 if name == "fig7" else 2
    for at, *cells in table(PAGE, heading):
        for scheme, cell in zip(schemes, cells, strict=True):
            mean, half = map(float, measured[at, scheme])
            assert cell == f"{mean:.{digits}f} ± {half:.{digits}f}", (at, scheme)


def test_the_spread_of_the_starts() -> None:
    for row in rows("starts"):
        assert states(PAGE, f"{float(row['mean']):.1f}", f"{float(row['deviation']):.1f}", row["starts"])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_its_studies_are_valid(path: Path) -> None:
    assert cells_of(read(path), {})

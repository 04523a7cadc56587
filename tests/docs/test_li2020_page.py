"""docs/reproduction/li2020.md: its script gives its table, its commands are valid runs."""

import csv
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

import pytest

from controller.config.formats import parse_yaml
from controller.config.layers import from_assignment
from controller.config.resolved import load
from controller.studies.cells import cells_of
from controller.studies.study_file import read
from tests.docs.pages import block, page, states, table

PAGE = "reproduction/li2020.md"
RESULTS = Path(__file__).parents[2] / "reproduction" / "li2020" / "results"
STUDY = Path(__file__).parents[2] / "docs" / "reproduction" / "li2020-independent.csv"
ROWS = table(PAGE, "D2D intercept, dB")


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's script, with its runs in a temporary folder."""
    monkeypatch.setenv("AIRTOLL_OUT", str(tmp_path / "runs"))
    path = tmp_path / "baselines.py"
    path.write_text(block(PAGE, "# baselines.py"), "utf-8")
    return path


def test_the_script_prints_the_tables_rows(script: Path) -> None:
    command = [sys.executable, str(script), "5"]
    output = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True).stdout
    printed = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in output.splitlines()]
    assert [row[:2] for row in printed] == [row[:2] for row in ROWS]
    assert all(len(row) == len(ROWS[0]) for row in printed)


def test_a_row_measured_again(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(script)])
    line = runpy.run_path(str(script))["line"]
    assert line(148.0, "random").split(" | ") == ROWS[0]


def test_the_gap_of_the_text() -> None:
    rewards = {(row[0], row[1]): float(row[2]) for row in ROWS}
    gap = rewards["128.1", "greedy_central"] - rewards["128.1", "best_own_rb, gain_over_bs"]
    assert states(PAGE, "best_own_rb", f"{gap:.0f} bit/s/Hz")


def test_every_command_is_a_valid_run() -> None:
    commands = re.findall(r"^    airtoll run maac\.yaml(.*?)(?: {3,}.*)?$", page(PAGE), re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        sets = [word for word in shlex.split(command) if word != "--set"]
        load(parse_yaml(block(PAGE, "# maac.yaml")), overrides=list(map(from_assignment, sets)))


def test_the_short_studys_script_prints_its_file_and_the_file_gives_its_table(tmp_path: Path) -> None:
    script = tmp_path / "independent.py"
    script.write_text(block(PAGE, "# independent.py"), "utf-8")
    environment = os.environ | {"AIRTOLL_OUT": str(tmp_path / "runs")}
    command = [sys.executable, str(script), "8"]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    printed, stored = (list(csv.reader(text.splitlines())) for text in (output, STUDY.read_text("utf-8")))
    assert [row[:2] for row in printed] == [row[:2] for row in stored]
    rewards: dict[str, list[float]] = {}
    for name, _seed, reward, *_ in stored[1:]:
        rewards.setdefault(name, []).append(float(reward))
    for name, mean_reward, over_random, *_, each, _sent in table(PAGE, "scheme | total reward | over random"):
        assert mean_reward == f"{mean(rewards[name]):.1f}"
        assert each == ", ".join(f"{reward:.1f}" for reward in rewards[name])
        gains = [a - b for a, b in zip(rewards[name], rewards["random"], strict=True)]
        if name != "random":
            assert over_random == f"{mean(gains):.1f} ± {4.303 * stdev(gains) / 3**0.5:.1f}"  # Student's t, 2 degrees


def printed_table(study: str, *arguments: str) -> list[str]:
    """What paired.py prints for a study's results, line by line."""
    script = RESULTS.parent / "paired.py"
    command = [sys.executable, str(script), str(RESULTS / study / "results.csv"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_ceilings_are_those_of_their_study() -> None:
    lines = printed_table("bounds", "local Nash", "world.d2d_intercept_db=128.1")
    assert len(lines) == 2 + 10
    assert "\n".join(lines) in page(PAGE)


def test_the_table_of_ten_pairs_is_that_of_its_study() -> None:
    lines = printed_table("figures-7-9", "local Nash", "world.pairs=10")
    assert len(lines) == 2 + 10
    assert "\n".join(lines) in page(PAGE)


def test_the_room_is_that_of_the_closed_form() -> None:
    with (RESULTS / "ceilings.csv").open(encoding="utf-8", newline="") as file:
        drops = list(csv.DictReader(file))
    for reading, pairs, *means, room, by_drop in table(PAGE, "reading"):
        own = [drop for drop in drops if drop["reading"] == reading and drop["pairs"] == pairs]
        columns = ("random", "local_nash", "local_team")
        assert means == [f"{mean(float(drop[column]) for drop in own):.1f}" for column in columns]
        assert room == f"{mean(float(drop['room_percent']) for drop in own):.2f}"
        assert by_drop == ", ".join(drop["room_percent"] for drop in own)


@pytest.mark.parametrize("file", sorted(RESULTS.parent.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_study_is_valid(file: Path) -> None:
    study = read(file)
    assert study.sweeps
    if not study.trains and not file.stem.endswith("-full"):  # checks of these take long, and nothing else is in them
        assert cells_of(study, {})

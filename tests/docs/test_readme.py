"""README.md: its counts, commands, code, numbers and rooms are those of the project."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import airtoll
from airtoll.analysis.baselines import comparison
from airtoll.cli import commands
from airtoll.cli.commands import app
from airtoll.cli.tables import toll
from controller.config.catalogue import schemes, worlds, worlds_of
from controller.config.errors import ConfigError
from controller.config.formats import parse_yaml
from controller.config.resolved import load
from controller.execution.building import build_world
from controller.run_folder.reader import RunFolder
from tests.docs.pages import DOCS, ROOT, block, headings, page, states, table

PAGE, RUNS = "../README.md", "runs.md"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def _word(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def test_it_counts_worlds_and_schemes() -> None:
    learn = sum(scheme.learns for scheme in schemes().values())
    counts = [_word(len(worlds())), _word(len(schemes())), _word(learn), _word(len(schemes()) - learn)]
    assert states(PAGE, "worlds", "schemes", *counts)


def test_it_lists_every_world_with_its_schemes() -> None:
    listed = {world: set(names.split(", ")) for world, names in table(PAGE, "world")}
    there: dict[str, set[str]] = {world: set() for world in worlds()}
    for name, scheme in schemes().items():
        for world in worlds_of(scheme):
            there[world].add(name)
    assert listed == there


def test_its_results_are_of_schemes_of_the_catalogue() -> None:
    compared = re.findall(r"^\| (?:\*\*)?`(\w+/\w+)`", page(PAGE) + page(RUNS), re.MULTILINE)
    assert len(compared) == 9
    assert set(compared) <= schemes().keys()


def test_its_shares_follow_from_its_rewards() -> None:
    rows = _compared()
    rewards, gains, shares = ([float(row[column].removesuffix(" %")) for row in rows] for column in (1, 2, 3))
    floor, ceiling = rewards[0], next(reward for row, reward in zip(rows, rewards, strict=True) if "greedy" in row[0])
    assert [round(100 * (reward / floor - 1), 1) for reward in rewards] == gains
    assert [round(100 * (reward - floor) / (ceiling - floor), 1) for reward in rewards] == shares


def _compared() -> list[list[str]]:
    return [[cell.strip("* ") for cell in row] for row in table(PAGE, "scheme | reward total")]


def test_its_headings_are_those_that_are_printed() -> None:
    example = load(ROOT / "examples/d2d-maac.yaml")
    cell = example.plan_for("page")
    metrics = {metric.name: 1.0 for metric in build_world(cell).metrics}
    part = {"bytes_per_slot_per_node": None, "late_bytes": 0}
    printed = comparison(
        [
            {
                "scheme": "a",
                "metrics": metrics,
                "gain_over_floor": None,
                "share_of_gap": None,
                "training": part,
                "execution": part,
            }
        ]
    )
    shown = next(line for line in page(PAGE).splitlines() if line.startswith("| scheme | reward total"))
    assert [heading.strip().lower() for heading in shown.strip("|").split("|")] == [
        " ".join(str(column.header).split()).partition(" [")[0] for column in printed.columns
    ]
    assert [row[0].split(",")[0] for row in _compared()] == [
        *(baseline.partition(" ")[0] for baseline in example.baselines),
        example.config.scheme.name,
    ]


def test_its_toll_adds_up() -> None:
    tables = page(RUNS).partition("toll of training")[2].partition("```")[0].split("toll of execution")
    printed = toll({}, by="kind", slots=1, agents=1)
    totals = []
    for text, slots in zip(tables, (18_000, 2_000), strict=True):
        shown = [line.split() for line in text.splitlines() if re.match(r"  (feedback|history|weights|ack|all) ", line)]
        counts = [[int(cell.replace(",", "")) for cell in line[1:4]] for line in shown]
        assert [sum(column) for column in zip(*counts[:-1], strict=True)] == counts[-1]
        assert [f"{count[1] / (slots * 10):.4g}" for count in counts] == [line[4] for line in shown]
        assert [f"{count[2] / counts[-1][2]:.1%}" for count in counts] == [line[5] for line in shown]
        assert headings(text, "kind") == [str(column.header) for column in printed.columns]
        totals.append(counts[-1][1])
    [maac] = [row for row in _compared() if "maac" in row[0]]
    assert maac[6:] == [f"{sum(totals) / (18_000 * 10):.4g}", "0"]  # the last notes of training fall into eval
    [central] = [row for row in _compared() if "greedy_central" in row[0]]
    assert states(PAGE, f"{sum(totals) / 10 / float(central[7]):,.0f}"[:-2] + "00 slots")


def test_every_command_is_named_and_exists() -> None:
    named = set(re.findall(r"^ +(?:\w+=\S+ )?airtoll ([\w-]+)", page(PAGE) + page(RUNS), re.MULTILINE))
    there = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert named == there - {"keys"}  # of docs/keys.md


def test_the_trace_is_as_long_as_shown(tmp_path: Path) -> None:
    airtoll.run(parse_yaml(block(PAGE, "# mine.yaml")), folder=tmp_path / "run", placement="in-process")
    assert states(PAGE, f"{len(RunFolder.open(tmp_path / 'run').trace_rows())} rows of trace")


def test_the_run_that_learns_is_valid() -> None:
    run = parse_yaml(block(RUNS, "# learn.yaml"))
    plan = load(run).plan_for("page")
    assert [phase.name for phase in plan.phases] == ["warmup", "train", "eval"]
    with pytest.raises(ConfigError, match="untrained: true"):
        load({key: value for key, value in run.items() if key != "phases"})
    assert states(RUNS, "phases", "untrained: true", "rejected")


def test_every_option_that_it_names_exists() -> None:
    for line in re.findall(r"^ +(?:\w+=\S+ )?airtoll (.+)$", page(PAGE) + page(RUNS), re.MULTILINE):
        name = line.split()[0]
        if name in ("agent", "channel"):  # tests/docs/test_pool_page.py
            continue
        known = {option for parameter in commands.load(name).params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", line)) <= known, line


def test_its_python_runs(tmp_path: Path) -> None:
    code = block(PAGE, "import airtoll  # before numpy")
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=DOCS.parent,
        env=os.environ | {"AIRTOLL_OUT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["10", "20"]
    assert len(list(tmp_path.iterdir())) == 2


def test_it_fits_a_few_screens() -> None:
    assert len(page(PAGE).splitlines()) < 190


def test_the_rooms_exist() -> None:
    rooms = [room for row in table("architecture.md", "room") for room in row[0].replace("`", "").split(", ")]
    assert len(rooms) > 20
    assert [room for room in rooms if not (ROOT / room).exists()] == ["traffic/"]  # of channel_server/, beside radio/


def test_a_named_index_reaches_pip() -> None:
    assert "make setup TORCH_INDEX=" in page(PAGE)
    command = ["make", "--dry-run", "--always-make", "setup", "TORCH_INDEX=https://index.example/cpu"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--extra-index-url https://index.example/cpu" in printed

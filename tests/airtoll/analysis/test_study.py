"""`airtoll study`: the cells are ordinary runs, none is run twice, invalid studies are rejected."""

import csv
import math
import os
import shutil
import signal
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from matplotlib.image import imread
from rich.console import Console
from typer.testing import CliRunner, Result

import airtoll
from airtoll.analysis.study import StudyFolder
from airtoll.cli.commands import app
from airtoll.cli.study_progress import Work, readable, study_progress
from airtoll.plots.study_figure import draw, points, relative
from airtoll.plots.study_plots import Labels
from controller.config.errors import ConfigError
from controller.studies.cells import StudyCell, cells_of
from controller.studies.executor import run_cells
from controller.studies.plot_spec import PlotSpec
from controller.studies.results import StudyResults, read_rows
from controller.studies.study_file import read

SCHEMES = {"random": "ours/random", "llq": {"name": "zhang2025/llq"}}
KEPT = "86400.5"  # the duration of a run whose row was kept
STUDY: dict[str, Any] = {
    "run": {"world": "conflict_graph", "slots": 40},
    "seeds": [1, 2],
    "grid": {"scheme": SCHEMES, "world.load": [0.2, 0.4]},
    "metrics": ["delay_slots"],
    "plots": [{"x": "world.load", "y": "delay_slots", "lines": "scheme"}],
}


def _write(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(STUDY | changes, sort_keys=False))
    return path


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)])


def _rows(out: Path) -> list[dict[str, str]]:
    return read_rows(out / "results.csv")


def _keep(out: Path, wanted: Callable[[dict[str, str]], bool]) -> None:
    """Cut the results; the rows that are kept are recognised by the duration of their runs."""
    rows = _rows(out)
    with (out / "results.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(row | {"wall_s": KEPT} for row in rows if wanted(row))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of STUDY."""
    at = tmp_path_factory.mktemp("study")
    result = _call(_write(at / "small.yaml"), "--out", at / "out")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-4:] == [
        str(at / "out" / name) for name in ("results.csv", "aggregates.csv", "summary.csv", "small-delay_slots.png")
    ]
    assert result.stderr.startswith("small: 8 cells, 8 to run, ")
    return at / "out"


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """Those results, to be played with."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


# -------------------------------------------------------------------------------- results


def test_every_cell_equals_the_single_run_of_its_settings(finished: Path, tmp_path: Path) -> None:
    rows = _rows(finished)
    capacity = [(row["sweep"], row["scheme"], row["world.load"], row["seed"]) for row in rows]
    assert capacity == [("small", *map(str, place)) for place in product(SCHEMES, (0.2, 0.4), (1, 2))]
    for number, row in enumerate(rows):
        changes: dict[str, Any] = {"scheme": SCHEMES[row["scheme"]], "seed": int(row["seed"])}
        single = airtoll.run(
            STUDY["run"] | changes,
            folder=tmp_path / str(number),
            world={"load": float(row["world.load"])},
            placement="in-process",
        )
        assert (row["state"], row["trace_digest"]) == ("SUCCEEDED", single["trace_digest"])
        assert float(row["delay_slots"]) == single["metrics"]["delay_slots"]
        toll = single["toll"].get("neighbour", {"note_bytes": 0, "payload_bits": 0})
        assert float(row["eval_neighbour_bytes_per_slot_node"]) == toll["note_bytes"] / 40 / 4
        assert float(row["eval_all_bits_per_slot_node"]) == toll["payload_bits"] / 40 / 4
        assert "training_all_bits_per_slot_node" not in row


def test_the_plot_is_an_image(finished: Path) -> None:
    image = imread(finished / "small-delay_slots.png")
    assert image.shape[1] == 1200
    assert image[..., :3].std() > 0.02
    names = ["aggregates.csv", "curves.csv", "results.csv", "small-delay_slots.png"]
    names += ["small-delay_slots.txt", "summary.csv"]
    assert sorted(path.name for path in finished.iterdir()) == names


def test_an_interrupted_study_is_continued(finished: Path, out: Path) -> None:
    _keep(out, lambda row: row["scheme"] == "random" or row["seed"] == "2")
    result = _call(_write(out.parent / "small.yaml"), "--out", out)
    assert (result.exit_code, "8 cells, 6 done before, 2 to run" in result.stderr) == (0, True), result.output
    rows, before = _rows(out), _rows(finished)
    assert [row["wall_s"] == KEPT for row in rows] == [True] * 4 + [False, True] * 2
    assert [row | {"wall_s": ""} for row in rows] == [row | {"wall_s": ""} for row in before]


def test_only_changed_cells_are_executed(out: Path) -> None:
    _keep(out, lambda row: bool(row))
    grid = {"scheme": SCHEMES | {"llq": {"name": "zhang2025/llq"}}, "world.load": [0.3, 0.4]}
    file = _write(out.parent / "small.yaml", grid=grid, plots=[])
    result = _call(file, "--out", out, "--keep-runs")
    assert "8 cells, 4 done before, 4 rows of other cells dropped, 4 to run" in result.stderr, result.output
    kept = [(row["world.load"], row["wall_s"] == KEPT) for row in _rows(out)]
    assert kept == [("0.3", False), ("0.3", False), ("0.4", True), ("0.4", True)] * 2
    folders = [path.name for path in (out / "runs").iterdir()]
    assert len(folders) == 4
    assert all(name.startswith("small_scheme=") and "world.load=0.3" in name for name in folders)


def test_results_that_lack_a_metric_are_computed_again(out: Path) -> None:
    study = read(_write(out.parent / "small.yaml"))
    cells = cells_of(study, {})
    assert len(StudyResults(out, cells, axes=study.axes, metrics=["delay_slots"]).missing()) == 0
    assert len(StudyResults(out, cells, axes=study.axes, metrics=["delay_slots", "queue_tasks"]).missing()) == 8


def test_equal_cells_of_two_sweeps_are_one_run(tmp_path: Path) -> None:
    sweeps = {"load": {"grid": {"world.load": [0.2, 0.3]}}, "subbands": {"grid": {"world.subbands": [3, 4]}}}
    grid = {"scheme": {"random": "ours/random"}}
    run = STUDY["run"] | {"world": {"name": "conflict_graph", "load": 0.3}}
    file = _write(tmp_path / "two.yaml", run=run, seeds=[1], grid=grid, sweeps=sweeps, plots=[])
    folder = StudyFolder(file, tmp_path / "out", {})
    assert folder.overview == "two: 4 cells, 3 runs, as some belong to several sweeps, 3 to run"
    folder.out.mkdir()
    for cell in folder.missing:
        folder.results.done(cell, _summary(cell.run.config.seed))
    rows = _rows(folder.out)
    assert [(row["sweep"], row["world.load"], row["world.subbands"]) for row in rows] == [
        ("load", "0.2", ""),
        ("load", "0.3", ""),
        ("subbands", "", "3"),
        ("subbands", "", "4"),
    ]
    assert rows[1]["cell"] == rows[2]["cell"]


def _summary(seed: int, state: str = "SUCCEEDED") -> dict[str, Any]:
    toll = {"notes": 1, "payload_bits": 80 * seed, "note_bytes": 16 * seed}
    return {
        "metrics": {"delay_slots": seed / 2},
        "percentiles": {},
        "slots": 40,
        "toll_by_phase": {"eval": {"csi": toll}},
        "wall_s": 0.1,
        "trace_digest": "ab",
        "state": state,
        "reason": "" if state == "SUCCEEDED" else "IndexError: out\nof range",
    }


def test_a_failed_run_has_a_reason_and_no_numbers_and_is_tried_again(tmp_path: Path) -> None:
    folder = StudyFolder(_write(tmp_path / "small.yaml"), tmp_path / "out", {})
    (tmp_path / "out").mkdir()
    folder.results.done(folder.cells[0], _summary(1))
    folder.results.done(folder.cells[1], _summary(2, "FAILED"))
    done, failed = _rows(tmp_path / "out")
    assert (done["eval_csi_bits_per_slot_node"], done["delay_slots"]) == ("0.5", "0.5")
    assert (failed["state"], failed["reason"], failed["delay_slots"]) == ("FAILED", "IndexError: out\nof range", "")
    assert StudyFolder(tmp_path / "small.yaml", tmp_path / "out", {}).missing == folder.cells[1:]


# -------------------------------------------------------------------------------- processes


def test_a_cell_whose_process_dies_is_tried_once_more(tmp_path: Path) -> None:
    cells = cells_of(read(_write(tmp_path / "small.yaml", seeds=[1])), {})[::2]
    blocked = tmp_path / "a file"
    blocked.touch()
    capacity = {"random": [blocked / "a", tmp_path / "a"], "llq": [blocked / "b", blocked / "b"]}

    def place(cell: StudyCell) -> Path:
        return capacity[cell.labels["scheme"]].pop(0)

    results: dict[str, list[tuple[bool, str, bool]]] = {scheme: [] for scheme in capacity}
    for cell, summary, reason, last in run_cells(cells, place, lambda _: None, workers=2):
        results[cell.labels["scheme"]].append((summary is not None, reason, last))
    died = "its process died (exit code 1)"
    assert results == {
        "random": [(False, died, False), (True, "", True)],
        "llq": [(False, died, False), (False, died, True)],
    }


def test_failed_cells_are_reported_and_the_others_have_results(out: Path) -> None:
    _keep(out, lambda row: row["seed"] == "1" or row["scheme"] == "llq")
    (out / "runs").touch()  # no run's folder can be made in it
    result = _call(_write(out.parent / "small.yaml"), "--out", out)
    title = "small: scheme=random, world.load=0.2, seed=2"
    assert f"{title}: its process died (exit code 1); trying again" in result.stderr
    assert f"{title} failed: its process died (exit code 1), twice" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("2 of 8 cells failed, the first: small: scheme=random, ")
    assert (result.exit_code, str(out / "small-delay_slots.png") in result.stdout) == (1, True)
    states = [(row["state"], bool(row["delay_slots"])) for row in _rows(out)]
    assert states == [("SUCCEEDED", True), ("FAILED", False)] * 2 + [("SUCCEEDED", True)] * 4


class _InterruptAfterOne:
    """Ctrl-C at the first result."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def done(self, cell: str, seconds: float | None = None) -> None:
        self.lines.append(cell)
        os.kill(os.getpid(), signal.SIGINT)

    def warn(self, line: str) -> None:
        self.lines.append(line)


def test_an_interrupt_keeps_what_was_done(tmp_path: Path) -> None:
    folder, watch = StudyFolder(_write(tmp_path / "small.yaml"), tmp_path / "out", {}), _InterruptAfterOne()
    with pytest.raises(KeyboardInterrupt):
        folder.run(watch, workers=1, keep_runs=False)
    assert watch.lines == [folder.cells[0].title]
    assert [row["cell"] for row in _rows(tmp_path / "out")] == [folder.cells[0].digest]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["curves.csv", "results.csv"]


class _SecondStudy:
    """Starts the same study once more while it goes on."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder

    def done(self, cell: str, seconds: float | None = None) -> None:
        self._folder.run(self, workers=1, keep_runs=False)

    def warn(self, line: str) -> None:
        raise AssertionError(line)


def test_a_second_study_in_the_same_folder_is_rejected(tmp_path: Path) -> None:
    folder = StudyFolder(_write(tmp_path / "small.yaml"), tmp_path / "out", {})
    with pytest.raises(ConfigError, match="another study is running in"):
        folder.run(_SecondStudy(folder), workers=1, keep_runs=False)


def test_progress_off_a_terminal_is_a_line_per_cell(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 40.0, 60.0])
    works = {name: Work("llq", name, 10) for name in "abcd"}
    with study_progress(Console(width=200), works, clock=lambda: next(times)) as watch:
        watch.done("a", 40.0)
        watch.warn("b: its process died (signal 9); trying again")
        watch.done("b", 40.0)
    lines = ["1 of 4, 2 min left: a", "b: its process died (signal 9); trying again", "2 of 4, 60 s left: b"]
    assert capsys.readouterr().out.splitlines() == lines
    assert [readable(seconds) for seconds in (4.4, 3599.0, 4800.0)] == ["4 s", "1 h 0 min", "1 h 20 min"]


def test_the_time_that_is_left_knows_that_cells_differ(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 1.0, 2.0, 102.0, 202.0])
    works = {f"random {seed}": Work("random", "random", 100) for seed in (1, 2)}
    works |= {f"maac {seed}": Work("maac", "maac", 100) for seed in (1, 2)}
    works |= {"maac, long": Work("maac", "maac, long", 500)}
    with study_progress(Console(width=200), works, clock=lambda: next(times)) as watch:
        for name, seconds in (("random 1", 1.0), ("random 2", 1.0), ("maac 1", 100.0), ("maac 2", 100.0)):
            watch.done(name, seconds)
    assert [line.partition(", ")[2] for line in capsys.readouterr().out.splitlines()] == [
        "8 s left or more: no maac yet: random 1",
        "7 s left or more: no maac yet: random 2",
        "10 min left: maac 1",  # 100 s of the same point, and 500 s of the scheme's five times as many slots
        "8 min left: maac 2",
    ]


def test_a_continued_study_knows_what_its_cells_took_before(capsys: pytest.CaptureFixture[str]) -> None:
    times, works = iter([0.0, 1.0]), {"random 1": Work("random", "random", 100), "maac 2": Work("maac", "maac", 100)}
    known = [(Work("maac", "maac", 100), 60.0)]
    with study_progress(Console(width=200), works, known, clock=lambda: next(times)) as watch:
        watch.done("random 1", 1.0)
    assert capsys.readouterr().out == "1 of 2, 60 s left: random 1\n"


def test_progress_on_a_terminal_is_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    works = {f"small: seed={seed}": Work("llq", "small", 10) for seed in (1, 2)}
    with study_progress(Console(width=100, force_terminal=True), works) as watch:
        watch.done("small: seed=1")
        watch.warn("small: seed=2: its process died (signal 9); trying again")
    shown = capsys.readouterr().out
    assert "1/2" in shown
    assert "small: seed=2: its process died (signal 9); trying again" in shown


# -------------------------------------------------------------------------------- the file


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"colour": 1},
            "colour: 1 is not allowed: no such key; known: budget, colours, compare_to, evaluate, formats, grid, "
            "metrics, plots, run, seeds, sweeps, train, width",
        ),
        ({"seeds": []}, "seeds: [] is not allowed: must have at least 1"),
        ({"seeds": [1, 1]}, "seeds: [1, 1] is not allowed: the same seed twice gives the same run: drop one"),
        ({"grid": {}, "plots": []}, "grid: is missing; give it axes, such as world.load: [0.3, 0.4], or give sweeps"),
        ({"sweeps": {"a": {}}}, "plots: next to sweeps they are not allowed: write them into a sweep"),
        (
            {"sweeps": {"a": {"gird": {}}}, "plots": []},
            "sweeps.a.gird: {} is not allowed: no such key; known: grid, plots, run",
        ),
        (
            {"sweeps": {"a": {"grid": {"world.load": [0.1]}}}, "plots": []},
            "sweeps.a.grid.world.load: is in the grid of all sweeps, too: keep one of them",
        ),
        ({"grid": {"world.load": 0.2}}, "grid.world.load: 0.2 is not allowed: must be a list of different values"),
        ({"grid": {"world.load": [0.2, 0.2]}}, "grid.world.load: [0.2, 0.2] is not allowed: must be a list of diff"),
        ({"grid": {"seed": [1, 2]}}, "grid.seed: [1, 2] is not allowed: write seeds: [...] next to the grid"),
        ({"grid": {"wrold.load": [0.2]}}, "no key named 'wrold'; known: "),
        ({"run": {"file": "none.yaml"}}, "none.yaml: No such file or directory; give the path of a YAML file"),
        ({"run": {"file": 3}}, "run.file: 3 is not allowed: must be the path of a run's YAML file"),
        (
            {"grid": STUDY["grid"] | {"delay_slots": {"1": {"world.load": 1}}}, "plots": []},
            "grid: no axis can be named delay_slots: results have a column of that name",
        ),
        ({"metrics": ["dely_slots"]}, "metrics: no metric named 'dely_slots'; known: arrived_tasks, "),
        ({"plots": [{"x": "world.load"}]}, "plots.0.y: is missing; give it a value"),
        ({"plots": [STUDY["plots"][0] | {"y": "delay"}]}, "plots of bad: no metric named 'delay'; known: delay_slots"),
        ({"plots": [STUDY["plots"][0] | {"x": "load"}]}, "plots of bad: no metric named 'load'; known: "),
        ({"plots": [STUDY["plots"][0] | {"lines": "shceme"}]}, "no axis named 'shceme'; known: scheme, world.load"),
        ({"plots": STUDY["plots"] * 2}, "plots: two are bad-delay_slots: give one a name"),
        (
            {"plots": [{"x": "world.load", "y": "delay_slots"}]},
            "plots: scheme is an axis, too: make it lines or panels, or hold it: where: {...}",
        ),
        (
            {"plots": [{"x": "world.load", "y": "delay_slots", "where": {"scheme": "llp"}}]},
            "plots: where: no value of scheme named 'llp'; known: llq, random; did you mean 'llq'?",
        ),
        (
            {"plots": [STUDY["plots"][0] | {"relative_to": {"scheme": "gms"}}]},
            "plots: relative_to: no value of scheme named 'gms'; known: llq, random",
        ),
        (
            {"plots": [{"x": "scheme", "y": "delay_slots", "lines": "world.load", "log": "x"}]},
            "plots: log: x needs values of at least 0, scheme has random, llq: drop it",
        ),
        (
            {"grid": STUDY["grid"] | {"world.load": [-1]}},
            "bad: scheme=random, world.load=-1, seed=1 (and 3 more): world.load: -1 is not allowed: must be at least 0 "
            "(given by the grid)",
        ),
        (
            {"grid": {"scheme": {"llq": "zhang2025/llq", "sla": "li2020/sla"}, "world.load": [0.2]}},
            "bad: scheme=sla, world.load=0.2, seed=1 (and 1 more): scheme.name: 'li2020/sla' is not allowed: it runs ",
        ),
    ],
)
def test_an_invalid_file_is_rejected_before_anything_starts(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    result = _call(_write(tmp_path / "bad.yaml", **changes), "--out", tmp_path / "out")
    assert (result.exit_code, message in result.stderr) == (2, True), result.output
    assert not (tmp_path / "out").exists()


def test_a_file_that_holds_no_results_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    result = _call(_write(tmp_path / "small.yaml"), "--out", tmp_path)
    assert (result.exit_code, "holds no results of a study" in result.stderr) == (2, True)
    assert (tmp_path / "results.csv").read_text() == "a,b\n1,2\n"


def test_the_run_may_lie_in_a_file_of_its_own_and_the_environment_wins_over_it(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "base.yaml").write_text("world: {name: conflict_graph, subbands: 2}\nslots: 90\nseed: 7\n")
    run = {"file": "runs/base.yaml", "world": {"load": 0.1}}
    grid = {"policy": {"a": {"scheme": "zhang2025/gms", "world.subbands": 4}, "b": {"scheme.name": "zhang2025/llq"}}}
    study = read(_write(tmp_path / "small.yaml", run=run, grid=grid, plots=[]))
    a, *_, b = (cell.run.config.model_dump() for cell in cells_of(study, {"AIRTOLL_SLOTS": "30"}))
    assert [(c["seed"], c["slots"], c["placement"]) for c in (a, b)] == [(s, 30, "in-process") for s in (1, 2)]
    assert [(c["scheme"]["name"], c["world"]["subbands"]) for c in (a, b)] == [
        ("zhang2025/gms", 4),
        ("zhang2025/llq", 2),
    ]
    assert (a["world"]["load"], b["world"]["load"]) == (0.1, 0.1)


# -------------------------------------------------------------------------------- plots


def _row(scheme: str, load: str, seed: int, delay: float, bits: float) -> dict[str, str]:
    numbers = {"delay_slots": str(delay), "eval_all_bits_per_slot_node": str(bits)}
    return {"sweep": "small", "scheme": scheme, "world.load": load, "seed": str(seed), "state": "SUCCEEDED"} | numbers


ROWS = [
    _row("random", "0.2", 1, 1.0, 8),
    _row("random", "0.2", 2, 2.0, 8),
    _row("random", "0.2", 3, 6.0, 8),
    _row("random", "0.4", 1, 5.0, 4),
    _row("llq", "0.2", 1, 2.0, 16),
    _row("llq", "0.2", 2, 4.0, 16),
]


def test_points_are_means_with_students_interval(tmp_path: Path) -> None:
    [sweep] = read(_write(tmp_path / "small.yaml")).sweeps
    [plot] = sweep.plots
    assert isinstance(plot, PlotSpec)
    first, second = points(sweep, plot, ROWS[:4])
    # mean 3, s^2 = (4 + 1 + 9) / 2 = 7, t(0.975, 2) = 4.302653
    assert (first.x, first.y.value, first.y.seeds) == (0.2, 3.0, 3)
    assert math.isclose(first.y.half, 4.302653 * math.sqrt(7 / 3), rel_tol=1e-6)
    assert (second.x, second.y.value, second.y.seeds) == (0.4, 5.0, 1)
    assert math.isnan(second.y.half)
    cost = PlotSpec(x="eval_all_bits_per_slot_node", y="delay_slots")
    assert [point.x for point in points(sweep, cost, ROWS)] == [4.0, 8.0, 16.0]


@pytest.mark.parametrize(
    ("plot", "labels", "explained"),
    [
        ({"x": "world.load", "lines": "scheme"}, ["world.load [tasks/slot]"], "mean over 1 to 3 seeds; band: 95%"),
        ({"x": "world.load", "lines": "scheme", "log": "xy", "title": "t"}, ["world.load [tasks/slot]"], "band: "),
        ({"x": "world.load", "lines": "scheme", "relative_to": {"scheme": "llq"}}, ["world.load"], "over 2 seeds"),
        ({"x": "scheme", "panels": "world.load"}, ["scheme"], "mean over 1 to 3 seeds; bars: 95%"),
        ({"x": "eval_all_bits_per_slot_node"}, ["execution overhead, all kinds [bits/slot/node]"], "bars"),
        ({"x": "world.load", "where": {"scheme": "llq"}, "x_label": "load"}, ["load", "scheme = llq"], "over 2 seeds"),
    ],
)
def test_plots_are_labelled(tmp_path: Path, plot: dict[str, Any], labels: list[str], explained: str) -> None:
    study = read(_write(tmp_path / "small.yaml"))
    label = Labels(cells_of(study, {})[0].run.config, {"delay_slots": "slots"})
    drawn = draw(study, study.sweeps[0], PlotSpec(y="delay_slots", **plot), ROWS, label=label)
    assert drawn is not None
    figure = drawn.figure
    figure.savefig(tmp_path / "a.png")
    below = figure.get_supxlabel()
    assert all(text in below for text in [*labels, explained])
    y_label = "delay_slots, relative to\nscheme = llq" if "relative_to" in plot else "delay_slots [slots]"
    assert figure.axes[0].get_ylabel() == y_label
    assert plot.get("title", f"small: {y_label} against ".replace("\n", " ")) in figure.get_suptitle()
    assert len([axes for axes in figure.axes if axes.get_visible()]) == (2 if "panels" in plot else 1)


def test_what_seeds_share_is_no_part_of_a_relative_band(tmp_path: Path) -> None:
    [sweep] = read(_write(tmp_path / "small.yaml")).sweeps
    plot = PlotSpec(x="world.load", y="delay_slots", lines="scheme", relative_to={"scheme": "random"})
    rows = relative(sweep, plot, ROWS)
    assert [row["delay_slots"] for row in rows if row["scheme"] == "llq"] == ["2.0", "2.0"]
    assert {row["delay_slots"] for row in rows if row["scheme"] == "random"} == {"1.0"}
    [point] = points(sweep, plot, rows[-2:])
    assert (point.y.value, point.y.half, point.y.seeds) == (2.0, 0.0, 2)
    assert relative(sweep, plot, ROWS[-2:]) == []


def test_a_plot_without_rows_is_not_drawn(tmp_path: Path) -> None:
    study = read(_write(tmp_path / "small.yaml"))
    label = Labels(cells_of(study, {})[0].run.config, {})
    [plot] = study.sweeps[0].plots
    assert isinstance(plot, PlotSpec)
    assert draw(study, study.sweeps[0], plot, [], label=label) is None


def test_plots_only_executes_nothing(out: Path) -> None:
    (out / "small-delay_slots.png").unlink()
    file = _write(out.parent / "small.yaml", plots=[STUDY["plots"][0] | {"name": "mine"}])
    assert _call(file, "--out", out, "--plots-only").stdout == f"{out / 'mine.png'}\n"
    nothing = _call(file, "--out", out / "nothing", "--plots-only")
    assert (nothing.exit_code, "results.csv cannot be read" in nothing.stderr) == (2, True)


def test_a_renamed_study_is_not_drawn_in_silence(out: Path) -> None:
    renamed = _call(_write(out.parent / "other.yaml"), "--out", out, "--plots-only")
    assert (renamed.exit_code, renamed.stdout) == (2, "")
    assert "has rows of small, none of other" in renamed.stderr
    failed = (out / "results.csv").read_text().replace("SUCCEEDED", "FAILED")
    (out / "results.csv").write_text(failed)
    assert _call(_write(out.parent / "small.yaml"), "--out", out, "--plots-only").exit_code == 2
    taken_over = _call(_write(out.parent / "other.yaml"), "--out", out)
    assert (taken_over.exit_code, "other-delay_slots.png" in taken_over.stdout) == (0, True), taken_over.output

"""Figures of studies for papers: learning curves, widths, formats, axes with 0, fixed colours, captions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.image import imread
from typer.testing import CliRunner, Result

from airtoll.analysis.study import StudyFolder
from airtoll.cli.commands import app
from airtoll.plots.line_looks import looks_by_name, scheme_looks
from airtoll.plots.plot_style import COLOURS
from airtoll.plots.study_figure import draw
from airtoll.plots.study_plots import Labels
from controller.config.errors import ConfigError
from controller.run_folder.reader import RunFolder
from controller.studies.cells import cells_of
from controller.studies.plot_spec import PlotSpec
from controller.studies.study_file import read

STUDY: dict[str, Any] = {
    "run": {
        "world": "conflict_graph",
        "phases": {"train": 10, "eval": 20, "rounds": 2},
        "record": {"window_slots": 5},
    },
    "seeds": [1, 2],
    "grid": {"scheme": {"random": "ours/random", "llq": "zhang2025/llq"}},
    "metrics": ["queue_tasks"],
}


def _write(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(STUDY | changes, sort_keys=False))
    return path


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)])


def test_learning_curves_are_drawn_in_all_formats_with_a_caption_beside_each(tmp_path: Path) -> None:
    plots = [
        {"curve": "queue_tasks", "lines": "scheme"},
        {"curve": "queue_tasks", "of": "windows", "lines": "scheme", "name": "windows.svg", "width": "two columns"},
    ]
    file = _write(tmp_path / "s.yaml", plots=plots, formats=["png", "pdf"], width="one column", budget="equal slots")
    done = _call(file, "--out", tmp_path / "out", "--keep-runs")
    assert done.exit_code == 0, done.output
    out = tmp_path / "out"
    assert done.stdout.splitlines()[-3:] == [
        str(out / name) for name in ("s-queue_tasks-curve.png", "s-queue_tasks-curve.pdf", "windows.svg")
    ]
    assert imread(out / "s-queue_tasks-curve.png").shape[1] == 3.5 * 300
    assert 'width="515.52pt"' in (out / "windows.svg").read_text()  # 7.16 inches
    assert (out / "s-queue_tasks-curve.pdf").read_bytes().startswith(b"%PDF")
    caption = (out / "s-queue_tasks-curve.txt").read_text()
    assert "queue_tasks [tasks] against slots of training; lines: scheme." in caption
    assert "mean over 2 seeds; band: 95% confidence interval" in caption
    assert "seeds: 1, 2\n" in caption
    assert f"command: airtoll study {file} --out {out}" in caption
    assert (out / "windows.txt").exists()


def test_windows_are_those_of_the_runs_and_a_study_that_wants_them_runs_again_what_lacks_them(tmp_path: Path) -> None:
    file, out = _write(tmp_path / "s.yaml", seeds=[1]), tmp_path / "out"
    assert _call(file, "--out", out).exit_code == 0
    curve = {"curve": "queue_tasks", "of": "windows", "lines": "scheme"}
    _write(file, seeds=[1], plots=[curve])
    assert len(StudyFolder(file, out, {}).missing) == 2
    assert _call(file, "--out", out, "--keep-runs").exit_code == 0
    assert StudyFolder(file, out, {}).missing == []
    for path in (out / "runs").iterdir():
        cell = path.name.rpartition("-")[2]
        windows = RunFolder.open(path).windows()
        rows = [line.split(",") for line in (out / "windows.csv").read_text().splitlines() if line.startswith(cell)]
        assert [int(row[1]) for row in rows] == [window.last + 1 for window in windows]
        means = [window.sums["queue_tasks"] / window.counts["queue_tasks"] for window in windows]
        assert [float(row[2]) for row in rows] == pytest.approx(means)


def test_what_is_trained_once_has_learning_curves_too(tmp_path: Path) -> None:
    study = {
        "run": {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}},
        "seeds": [1, 2],
        "train": {
            "run": {"phases": {"train": 20, "eval": 10, "rounds": 2}},
            "grid": {"scheme": {"dqn": {"name": "li2020/dqn", "hidden": [8], "batch": 8}}},
            "plots": [{"curve": "reward_total", "lines": "scheme"}],
        },
        "evaluate": {"run": {"slots": 10}, "grid": {"world.pairs": [3, 4]}},
    }
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    done = _call(tmp_path / "t.yaml", "--out", tmp_path / "out")
    assert (done.exit_code, (tmp_path / "out" / "train-reward_total-curve.png").exists()) == (0, True), done.output
    study["train"]["plots"] = [{"x": "scheme", "y": "reward_total"}]  # type: ignore[index]
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    assert "only learning curves are drawn" in _call(tmp_path / "t.yaml").stderr


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"formats": ["eps"]}, "formats.0: 'eps' is not allowed"),
        ({"width": "half"}, "width: 'half' is not allowed"),
        ({"colours": {"llq": "blue"}}, "colours.llq: 'blue' is not allowed"),
        ({"plots": [{"curve": "delay", "lines": "scheme"}]}, "no metric named 'delay'; known: queue_tasks"),
        ({"plots": [{"curve": "queue_tasks"}]}, "scheme is an axis, too: make it lines or panels"),
        ({"plots": [{"curve": "queue_tasks", "lines": "scheme", "of": "steps"}]}, "plots.0.of: 'steps' is not allowed"),
    ],
)
def test_what_cannot_be_drawn_is_rejected(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        StudyFolder(_write(tmp_path / "s.yaml", **changes), tmp_path / "out", {})
    assert fault in str(error.value)


def _row(scheme: str, loss: str, seed: int, value: float) -> dict[str, str]:
    labels = {"sweep": "s", "scheme": scheme, "signalling.all.loss": loss, "seed": str(seed), "state": "SUCCEEDED"}
    return labels | {"queue_tasks": str(value)}


def test_a_logarithmic_axis_keeps_zero_and_the_caption_says_how(tmp_path: Path) -> None:
    study = read(_write(tmp_path / "s.yaml", grid=STUDY["grid"] | {"signalling.all.loss": [0, 0.05, 0.5]}))
    label = Labels(cells_of(study, {})[0].run.config, {})
    rows = [_row("llq", loss, 1, value) for loss, value in (("0", 0.0), ("0.05", 0.3), ("0.5", 20.0))]
    plot = PlotSpec(x="signalling.all.loss", y="queue_tasks", lines="scheme", log="xy")
    drawn = draw(study, study.sweeps[0], plot, rows, label=label)
    assert drawn is not None
    [axes] = drawn.figure.axes
    [line] = axes.get_lines()
    shown = axes.transData.transform(np.asarray(line.get_xydata()))
    assert np.isfinite(shown).all()
    assert (np.diff(shown, axis=0) > 0).all()
    assert "the logarithmic x axis is linear below 0.01, so that 0 is on it" in drawn.caption[1]
    assert "the logarithmic y axis is linear below 0.1, so that 0 is on it" in drawn.caption[1]
    assert "PARTIAL: the other 1 of the study's seeds have no results" in drawn.caption[2]
    without = draw(study, study.sweeps[0], plot.model_copy(update={"log": "y"}), rows[1:], label=label)
    assert without is not None
    assert "linear" not in without.caption[1]


def test_a_schemes_colour_follows_from_its_name_alone(tmp_path: Path) -> None:
    looks = []
    for number, grid in enumerate(
        (
            {"scheme": {"Random": "ours/random", "GMS": "zhang2025/gms"}},
            {
                "any axis": {"greedy": {"scheme": "zhang2025/gms"}, "any": {"scheme": "ours/random"}},
                "episode_slots": [9],
            },
        )
    ):
        study = read(_write(tmp_path / f"{number}.yaml", grid=grid))
        looks.append(scheme_looks(study, cells_of(study, {})))
    assert looks[0]["scheme"]["GMS"] == looks[1]["any axis"]["greedy"]
    assert looks[0]["scheme"]["Random"] == looks[1]["any axis"]["any"]
    assert "episode_slots" not in looks[1]


def test_schemes_of_a_study_have_different_colours_and_a_file_may_fix_some() -> None:
    names = [f"paper/scheme_{number}" for number in range(len(COLOURS))]
    looks = looks_by_name({name: name for name in names}, {})
    assert {look.colour for look in looks.values()} == set(COLOURS)
    assert looks == looks_by_name({name: name for name in reversed(names)}, {})
    assert looks_by_name({"a": "a"}, {"a": "#123456"})["a"].colour == "#123456"
    more = looks_by_name({str(n): str(n) for n in range(2 * len(COLOURS))}, {})
    assert len(set(more.values())) == 2 * len(COLOURS)

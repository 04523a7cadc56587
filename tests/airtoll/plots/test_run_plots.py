"""Plots of runs: what they show, where they are written, and what is reported when there is nothing to draw."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.patches import FancyArrowPatch
from typer.testing import CliRunner, Result

import airtoll
from airtoll.analysis.streams import read_arrays
from airtoll.cli.commands import app
from airtoll.plots.curves import Curve, draw_curves, metric_curves, scalar_curves
from airtoll.plots.maps import draw_map, world_of
from airtoll.plots.toll_chart import toll_chart, toll_rates
from channel_server.worlds.d2d_underlay import D2DCell
from controller.config.schedule import PhaseSpan
from controller.run_folder.reader import RunFolder
from protocol.accounting.trace import TraceField
from protocol.messages.kinds import Kind
from protocol.messages.telemetry import Scalars
from tests.airtoll.folders import CELL, air, ended, finished, learning, make, toll_windows, traced, window

GRAPH = CELL | {"world": "conflict_graph", "scheme": "zhang2025/llq", "slots": 20, "record": {"window_slots": 5}}


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def _run(at: Path, config: dict[str, Any]) -> RunFolder:
    airtoll.run(config, folder=at)
    return RunFolder.open(at)


def _labels(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


# -------------------------------------------------------------------------------- the command


def test_without_a_flag_every_plot_with_data_is_drawn(tmp_path: Path) -> None:
    folder = _run(tmp_path / "a", CELL | {"scheme": "li2020/greedy_central"})
    result = _call("plot", folder.path)
    paths = [folder.path / "plots" / f"{name}.png" for name in ("curves", "map", "toll")]
    assert (result.exit_code, result.stdout.splitlines()) == (0, [str(path) for path in paths]), result.output
    for path in paths:
        pixels = imread(path)
        assert pixels.shape[1] == 1200
        assert pixels[..., :3].std() > 0.02  # not an empty page


def test_a_run_without_notes_has_no_toll_to_draw(tmp_path: Path) -> None:
    folder = _run(tmp_path / "a", CELL)
    assert [Path(line).name for line in _call("plot", folder.path).stdout.splitlines()] == ["curves.png", "map.png"]
    asked = _call("plot", folder.path, "--toll")
    assert (asked.exit_code, "there is no toll to plot" in asked.stderr) == (1, True)


def test_a_single_plot_is_written_to_out(tmp_path: Path) -> None:
    folder, wanted = finished(tmp_path / "a"), tmp_path / "new" / "mine.svg"
    assert _call("plot", folder.path, "--toll", "--out", wanted).stdout == f"{wanted}\n"
    assert "<svg" in wanted.read_text()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--out", "a.png"], "--out is for one plot: choose one of --curves, --map, --toll"),
        (["--toll", "--out", "a.xyz"], "--out: 'a.xyz' is not allowed: must end in one of ."),
        (["--toll", "--out", "/dev/null/a.png"], "--out: /dev/null/a.png cannot be written: "),
    ],
)
def test_an_invalid_out_exits_2(tmp_path: Path, words: list[str], reason: str) -> None:
    result = _call("plot", finished(tmp_path / "a").path, *words)
    assert (result.exit_code, reason in result.stderr) == (2, True), result.stderr


def test_a_run_without_a_complete_window_has_no_curves(tmp_path: Path) -> None:
    result = _call("plot", make(tmp_path / "a", traced()).path, "--curves")
    assert (result.exit_code, "has no metrics" in result.stderr) == (1, True)


# -------------------------------------------------------------------------------- curves


def test_curves_show_the_windows_metrics_and_the_scalars(tmp_path: Path) -> None:
    windows = [window("train", 0, 1, 4.0, 2.0), window("train", 2, 2, 9.0, 1.0), window("eval", 3, 4, 1.0, 2.0)]
    reports = [
        Scalars(1, "trainer", {"loss": 0.5, "updates": 1.0}),
        Scalars(2, "trainer", {"loss": 0.25, "policy_version": 1.0}),
    ]
    rate, idle, loss = draw_curves(learning(tmp_path / "a", [*windows, *reports, ended(slots=5)])).axes
    assert rate.lines[0].get_xydata().tolist() == [[1.0, 2.0], [2.5, 9.0], [4.0, 0.5]]  # type: ignore[union-attr]
    assert np.isnan(np.asarray(idle.lines[0].get_ydata(), float)).all()
    assert loss.lines[0].get_xydata().tolist() == [[1.0, 0.5], [2.0, 0.25]]  # type: ignore[union-attr]
    assert [axes.get_ylabel() for axes in (rate, idle, loss)] == ["rate", "idle", "loss"]
    assert [text.get_text() for text in rate.texts] == ["train", "eval"]


def test_metrics_of_a_kind_share_a_panel(tmp_path: Path) -> None:
    reward, outage, rate = draw_curves(_run(tmp_path / "a", CELL)).axes
    assert reward.get_ylabel() == "reward_total\n[bit/s/Hz]"
    assert _labels(outage) == ["cellular_outage", "d2d_outage"]
    assert (outage.get_ylabel(), rate.get_ylabel()) == ("outage", "sum_rate_bps_hz\n[bit/s/Hz]")


def test_a_moving_mean_weighs_by_counts_and_stays_within_its_phase() -> None:
    ones = np.ones(32)
    counts = np.where(np.arange(32) == 3, 3.0, ones)
    curve = Curve(
        "rate",
        np.arange(32.0),
        np.arange(32.0),
        counts,
        [PhaseSpan("train", 0, 16)] * 16 + [PhaseSpan("eval", 16, 32)] * 16,
    )
    mean = curve.moving_mean()
    assert curve.width == 3
    assert mean[3] == (2 + 3 + 4) / 5
    assert (mean[0], mean[15], mean[16]) == (0.5, 14.5, 16.5)


def test_the_same_scalar_of_several_nodes_is_averaged(tmp_path: Path) -> None:
    reports = [
        Scalars(1, "pair-0", {"loss": 1.0}),
        Scalars(1, "pair-1", {"loss": 3.0}),
        Scalars(4, "pair-0", {"loss": 7.0}),
    ]
    loss = scalar_curves(learning(tmp_path / "a", reports))["loss"]
    phases = [span.phase for span in loss.spans]
    assert (loss.slots.tolist(), loss.values.tolist(), phases) == ([1.0, 4.0], [2.0, 7.0], ["train", "eval"])
    assert metric_curves(make(tmp_path / "b", [])) == {}


# -------------------------------------------------------------------------------- toll


def test_the_toll_is_drawn_per_slot_by_kind_and_by_node(tmp_path: Path) -> None:
    rows = [air(0, Kind.CSI, size=10), air(0, Kind.CSI, bits=0, attempt=0, size=99), air(2, Kind.ACK, size=4, bits=4)]
    late = [air(2, Kind.CSI, size=8, slot=slot) for slot in (3, 4)]
    folder = make(tmp_path / "a", [*toll_windows([*rows, *late], window_slots=1), ended()])
    rates = toll_rates(folder)
    assert rates.edges.tolist() == [0, 1, 3, 4]
    assert {kind: per_slot.tolist() for kind, per_slot in rates.over_time.items()} == {
        "csi": [10, 0, 16],
        "ack": [4, 0, 0],
    }
    assert rates.by_node["csi"][:3].tolist() == [10 / 4, 0, 16 / 4]
    over_time, by_node = toll_chart(folder).axes
    assert over_time.patches[1].get_data().values.tolist() == [14, 0, 16]  # type: ignore[attr-defined]
    assert [label.get_text() for label in by_node.get_xticklabels()] == ["pair-0", "pair-2"]
    assert sorted(_labels(over_time)) == ["ack: 4 B, 3.6%", "csi: 26 B, 96.4%"]  # of 4 and 3 * 36 bits


def test_a_run_that_was_killed_is_drawn_over_the_slots_of_its_toll(tmp_path: Path) -> None:
    windows = toll_windows([air(0, Kind.CSI, size=10)], window_slots=2)
    assert toll_rates(make(tmp_path / "a", windows)).edges.tolist() == [0, 2]


# -------------------------------------------------------------------------------- maps


def test_the_cell_is_drawn_with_the_last_actions(tmp_path: Path) -> None:
    folder = _run(tmp_path / "a", CELL | {"record": {"values": True}})
    world = world_of(folder)
    values = [entry for entry in read_arrays(folder.path / "values.msgpack", 5) if entry[3] == TraceField.ACTION][-3:]
    rbs = [int(world.actions[node].decode(value)["rb"][0]) for _, _, node, _, value in values]
    transmitters = [point for point in folder.map["map"]["points"] if point["shape"] == "marker"]
    assert [point["resource"] for point in transmitters] == rbs
    (axes,) = draw_map(folder).axes
    positions = np.concatenate([dots.get_offsets() for dots in axes.collections])
    for point in (*world.geometry.cue_m[0], *world.geometry.tx_m[0], *world.geometry.rx_m[0]):
        assert np.isclose(positions, point, atol=0.01).all(axis=1).any()
    assert "interferes with the cellular" in _labels(axes)[-1]


def test_the_map_shows_the_first_of_several_replicas(tmp_path: Path) -> None:
    folder = _run(tmp_path / "a", CELL | {"replicas": 2})
    (axes,) = draw_map(folder).axes
    positions = np.concatenate([dots.get_offsets() for dots in axes.collections])
    for point in world_of(folder).geometry.cue_m[0]:
        assert np.isclose(positions, point, atol=0.01).all(axis=1).any()


def test_a_run_without_map_data_is_drawn_without_actions(tmp_path: Path) -> None:
    folder = _run(tmp_path / "a", CELL)
    (folder.path / "map.json").unlink()
    (axes,) = draw_map(folder).axes
    assert [text.get_text() for text in axes.texts if "no map.json" in text.get_text()]
    assert {dots.get_label() for dots in axes.collections} >= {"silent"}


def test_the_graph_is_drawn_with_queues_and_conflicts(tmp_path: Path) -> None:
    folder = _run(tmp_path / "a", GRAPH)
    (axes,) = draw_map(folder).axes
    texts = [text.get_text() for text in axes.texts]
    assert {"ap1", "ap2", "ap3", "ap4", *map(str, range(1, 9))} <= set(texts)
    queues = [row[2] for row in folder.map["map"]["table"]["rows"]]
    assert [text for text in texts if text.startswith("q ")] == [f"q {queue}" for queue in queues]
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == 8 + 16  # eight devices that are served; of 24 conflicts 8 go both ways


def test_a_world_without_a_map_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(D2DCell, "render")
    folder = _run(tmp_path / "a", CELL)
    result = _call("plot", folder.path, "--map")
    assert result.stderr == "the world 'd2d_underlay' has no map: it has no `render`\n"
    assert [Path(line).name for line in _call("plot", folder.path).stdout.splitlines()] == ["curves.png"]

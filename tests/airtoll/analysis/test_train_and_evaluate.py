"""Studies that train once and evaluate in many worlds."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

import airtoll
from airtoll.analysis.study import StudyFolder
from airtoll.cli.commands import app
from controller.config.errors import ConfigError
from controller.studies.cells import cells_of
from controller.studies.results import read_rows
from controller.studies.study_file import read

MAAC = {"name": "li2020/maac", "actor_hidden": [8], "critic_hidden": [8, 8], "batch": 8, "push_every_slots": 10}
DQN = {"name": "li2020/dqn", "hidden": [8], "batch": 8}
STUDY: dict[str, Any] = {
    "run": {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}},
    "seeds": [1, 2],
    "train": {
        "run": {"phases": {"warmup": 5, "train": 30, "eval": 5}},
        "grid": {"scheme": {"maac": MAAC, "random": "li2020/random"}},
    },
    "evaluate": {
        "run": {"slots": 20},
        "grid": {"world.pairs": [3, 4]},
        "plots": [{"x": "world.pairs", "y": "reward_total", "lines": "scheme"}],
    },
}


def _write(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(STUDY | changes, sort_keys=False))
    return path


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)])


def _fault(path: Path, **changes: Any) -> str:
    with pytest.raises(ConfigError) as error:
        cells_of(read(_write(path, **changes)), {})
    return str(error.value)


def test_each_scheme_that_learns_is_trained_once_and_evaluated_in_every_world(tmp_path: Path) -> None:
    file, out = _write(tmp_path / "sizes.yaml"), tmp_path / "out"
    done = _call(file, "--out", out)
    assert done.exit_code == 0, done.output
    rows = read_rows(out / "results.csv")
    assert [(row["sweep"], row["scheme"], row["world.pairs"], row["seed"]) for row in rows] == [
        *(("train", "maac", "", seed) for seed in ("1", "2")),
        *(("evaluate", s, pairs, seed) for s in ("maac", "random") for pairs in ("3", "4") for seed in ("1", "2")),
    ]
    assert {row["state"] for row in rows} == {"SUCCEEDED"}
    trained, evaluated = rows[0], rows[2]
    assert float(trained["training_weights_bytes_per_slot_node"]) > 0
    assert float(evaluated["eval_all_bytes_per_slot_node"]) == 0
    assert (out / "evaluate-reward_total.png").exists()
    # by hand: a run that starts from what the training left is the same run
    by_hand = {"world": {"name": "d2d_underlay", "pairs": 4, "rbs": 2}, "scheme": MAAC, "seed": 1, "slots": 20}
    start = {"weights": str(out / "weights" / f"{trained['cell']}.safetensors")}
    summary = airtoll.run(by_hand | {"start": start, "placement": "in-process"}, folder=tmp_path / "hand")
    assert summary["trace_digest"] == rows[4]["trace_digest"]


def test_it_continues_where_it_stopped_and_trains_again_only_if_the_weights_are_gone(tmp_path: Path) -> None:
    evaluate = STUDY["evaluate"] | {"grid": {"world.pairs": [3]}}
    file, out = _write(tmp_path / "s.yaml", seeds=[1], evaluate=evaluate), tmp_path / "out"
    assert _call(file, "--out", out).exit_code == 0
    before = read_rows(out / "results.csv")
    assert StudyFolder(file, out, {}).missing == []
    more = _write(file, seeds=[1])
    assert [cell.title for cell in StudyFolder(more, out, {}).missing] == [
        "evaluate: scheme=maac, world.pairs=4, seed=1",
        "evaluate: scheme=random, world.pairs=4, seed=1",
    ]
    for weights in (out / "weights").iterdir():
        weights.unlink()
    assert StudyFolder(more, out, {}).missing[0].title == "train: scheme=maac, seed=1"
    assert _call(more, "--out", out).exit_code == 0
    after = {row["cell"]: row["trace_digest"] for row in read_rows(out / "results.csv")}
    assert len(after) == 5
    assert {row["cell"]: row["trace_digest"] for row in before}.items() <= after.items()


def test_weights_learnt_on_the_nodes_are_evaluated_too(tmp_path: Path) -> None:
    train = STUDY["train"] | {"grid": {"scheme": {"dqn": DQN}}}
    file, out = _write(tmp_path / "s.yaml", seeds=[1], train=train), tmp_path / "out"
    assert _call(file, "--out", out).exit_code == 0
    assert [row["state"] for row in read_rows(out / "results.csv")] == ["SUCCEEDED"] * 3


def test_worlds_whose_networks_have_other_shapes_are_rejected_before_anything_is_trained(tmp_path: Path) -> None:
    evaluate = STUDY["evaluate"] | {"grid": {"world.rbs": [2, 3]}, "plots": []}
    fault = _fault(tmp_path / "s.yaml", evaluate=evaluate)
    assert fault.startswith("evaluate: scheme=maac, world.rbs=3, seed=1: evaluate: pair-0 of li2020/maac cannot start")


def test_a_training_that_fails_fails_what_starts_from_it(tmp_path: Path) -> None:
    evaluate = STUDY["evaluate"] | {"grid": {"world.pairs": [3]}}
    train = STUDY["train"] | {"grid": {"scheme": {"maac": MAAC | {"updates_per_upload": 0}}}}  # sends no weights
    file, out = _write(tmp_path / "s.yaml", seeds=[1], evaluate=evaluate, train=train), tmp_path / "out"
    assert _call(file, "--out", out).exit_code != 0
    by_sweep = {row["sweep"]: row for row in read_rows(out / "results.csv")}
    assert by_sweep["train"]["reason"].startswith("it leaves no weights: ")
    assert by_sweep["evaluate"]["reason"] == "the run that it starts from failed"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"evaluate": None}, "train, evaluate: one is without the other: give both, or a grid"),
        ({"grid": {"world.load": [1]}}, "train: next to grid, plots or sweeps it is not allowed"),
        ({"train": {"grid": {"world.pairs": [3]}}}, "evaluate.grid.world.pairs: is an axis of train, too"),
        (
            {"train": STUDY["train"] | {"plots": [{"x": "scheme", "y": "reward_total"}]}},
            "train.plots: of what is trained only learning curves are drawn",
        ),
    ],
)
def test_two_stages_that_are_unclear_are_rejected(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    assert fault in _fault(tmp_path / "s.yaml", **changes)

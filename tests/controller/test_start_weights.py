"""A run that starts from the weights of another one: where they come from, who gets them, what is rejected."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save_file
from typer.testing import CliRunner

import airtoll
from airtoll.cli.commands import app
from controller.config.errors import ConfigError
from controller.config.resolved import load
from controller.config.start_weights import read_start_weights
from controller.config.submission import resolve_submission
from controller.run_folder.reader import RunFolder
from protocol.messages.kinds import Kind
from schemes.parts.weights import read_weights, safetensors_in, write_weights
from tests.recording import CELL, assert_same_trace, in_process, in_processes

MAAC: dict[str, Any] = {
    "name": "li2020/maac",
    "actor_hidden": [8],
    "critic_hidden": [8, 8],
    "batch": 8,
    "push_every_slots": 10,
}
DQN: dict[str, Any] = {"name": "li2020/dqn", "hidden": [8], "batch": 8}
TRAINING: dict[str, Any] = {"world": CELL, "scheme": MAAC, "placement": "in-process", "seed": 3}
PHASES = {"phases": {"warmup": 10, "train": 60, "eval": 20}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of MAAC that has learned."""
    folder: Path = tmp_path_factory.mktemp("trained") / "run"
    assert airtoll.run(TRAINING | PHASES, folder=folder)["state"] == "SUCCEEDED"
    return folder


def _config(trained: Path, **changes: Any) -> dict[str, Any]:
    return TRAINING | {"slots": 30, "start": {"weights": str(trained)}} | changes


def _acted_by(folder: Path, node: int) -> dict[str, Any]:
    kept = RunFolder(folder).weights
    return read_weights(kept.newest_body(node))[1]


def test_agents_act_by_the_weights_at_no_toll_and_the_summary_says_where_they_came_from(
    trained: Path, tmp_path: Path
) -> None:
    summary = airtoll.run(_config(trained), folder=tmp_path / "run")
    assert summary["toll"] == {}
    assert summary["untrained"] is False
    assert summary["start"]["source"] == str(trained)
    assert summary["start"]["networks"] == 4
    # the evaluation of the run that trained goes on by the same weights: on the same slots, the same choices
    unlike = airtoll.run(_config(trained, start={}, untrained=True), folder=tmp_path / "untrained")
    assert summary["trace_digest"] != unlike["trace_digest"]
    again = airtoll.run(_config(trained), folder=tmp_path / "again")
    assert again["trace_digest"] == summary["trace_digest"]


def test_a_replay_needs_no_source(trained: Path, tmp_path: Path) -> None:
    source = shutil.copytree(trained, tmp_path / "source")
    first = airtoll.run(_config(source), folder=tmp_path / "run")
    shutil.rmtree(source)
    done = CliRunner().invoke(app, ["replay", str(tmp_path / "run"), "--out", str(tmp_path / "replay")])
    assert done.exit_code == 0, done.output
    again = RunFolder(tmp_path / "replay").summary
    assert (again["trace_digest"], again["start"]["digest"]) == (first["trace_digest"], first["start"]["digest"])


@pytest.mark.parametrize("scheme", [MAAC, DQN | {"learns_at": "node"}, DQN | {"learns_at": "trainer"}])
def test_the_learner_starts_from_them_too(scheme: dict[str, Any], tmp_path: Path) -> None:
    before = tmp_path / "before"
    airtoll.run(TRAINING | PHASES | {"scheme": scheme}, folder=before)
    # at a learning rate of nearly 0 what is pushed after training is what training started from
    rates = {"actor_rate": 1e-30, "critic_rate": 1e-30} if scheme is MAAC else {"rate": 1e-30}
    after = _config(before, scheme=scheme | rates, slots=None) | PHASES
    airtoll.run({key: value for key, value in after.items() if value is not None}, folder=tmp_path / "after")
    for node in range(4):
        start, end = _acted_by(before, node), _acted_by(tmp_path / "after", node)
        assert start.keys() == end.keys()
        for name, tensor in start.items():
            np.testing.assert_array_equal(tensor, end[name])


def test_a_run_that_starts_from_weights_has_the_same_trace_in_processes(trained: Path) -> None:
    plan = load(_config(trained, placement="processes")).plan_for("test")
    assert_same_trace(in_process(plan), in_processes(plan))


def test_weights_learnt_on_the_nodes_are_stored_after_each_phase_of_training_and_booked_nowhere(tmp_path: Path) -> None:
    phases = {"train": 40, "eval": 10, "rounds": 2}
    config = TRAINING | {"scheme": DQN, "phases": phases}
    summary = airtoll.run(config, folder=tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert Kind.WEIGHTS.name.lower() not in summary["toll"]
    assert [[kept.sent_slot for kept in folder.weights.stored(node)] for node in range(4)] == [[90, 40]] * 4
    data = folder.weights.read(2, 90)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    assert header["scheme"] == "li2020/dqn"
    assert header["world"] == "d2d_underlay"
    assert header["node"] == "pair-2"
    assert int(header["policy_version"]) > 0
    assert "0.weight [8, 12], " in header["architecture"]
    assert load_tensors(data).keys() == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_a_run_that_ends_in_training_stores_what_its_nodes_have_learnt(tmp_path: Path) -> None:
    airtoll.run(TRAINING | {"scheme": DQN, "phases": {"train": 30, "eval": 0}}, folder=tmp_path / "run")
    assert RunFolder(tmp_path / "run").weights.nodes == [0, 1, 2, 3]


def test_a_file_with_one_network_is_for_all_agents_and_the_run_keeps_what_it_started_from(
    trained: Path, tmp_path: Path
) -> None:
    file = tmp_path / "actor.safetensors"
    save_file(_acted_by(trained, 1), file)
    summary = airtoll.run(_config(file), folder=tmp_path / "run")
    assert summary["start"]["networks"] == 1
    kept = read_start_weights(str(tmp_path / "run" / "start.safetensors"), out=tmp_path)
    assert kept.digest == summary["start"]["digest"]
    assert len(set(kept.bodies(3))) == 1


def test_a_file_of_whole_numbers_is_read_with_its_scales(tmp_path: Path) -> None:
    """As runs with `weights: int8` store them."""
    weights = {"0.weight": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)}
    (tmp_path / "a.safetensors").write_bytes(safetensors_in(write_weights(weights, 1, "int8")))
    [network] = read_start_weights(str(tmp_path / "a.safetensors"), out=tmp_path).networks
    assert set(network) == {"0.weight"}
    np.testing.assert_allclose(network["0.weight"], weights["0.weight"], atol=1 / 127)


def test_more_agents_than_networks_take_them_in_turn(trained: Path) -> None:
    bodies = load(_config(trained, world=CELL | {"pairs": 6})).plan.start
    assert bodies[4:] == bodies[:2]
    assert len(set(bodies)) == 4


def test_a_run_is_found_by_its_id_among_the_others(trained: Path) -> None:
    by_id = load(_config(trained, out=str(trained.parent), start={"weights": trained.name}))
    assert by_id.plan.start == load(_config(trained)).plan.start


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"world": CELL | {"rbs": 5}},
            "pair-0 of li2020/maac cannot start from them: a network of 12 inputs and 3 outputs",
        ),
        (
            {"scheme": MAAC | {"actor_hidden": [9]}},
            "trainer of li2020/maac cannot start from them: the weights are 0.bias",
        ),
        ({"scheme": "li2020/random"}, "pair-0 of li2020/random cannot start from them: it has no weights"),
        ({"start": {"weights": "no-such-run"}}, "start.weights: 'no-such-run' is not allowed: no such file or folder"),
    ],
)
def test_weights_that_do_not_fit_are_rejected_before_the_run(trained: Path, changes: Any, fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(_config(trained, **changes))
    assert fault in str(error.value)


@pytest.mark.parametrize(
    ("tensors", "fault"),
    [
        (
            {"0.weight": np.ones((2, 2), np.float32), "0/0.bias": np.ones(2, np.float32)},
            "'0.weight' belongs to no agent",
        ),
        ({"1/0.weight": np.ones((2, 2), np.float32)}, "number them from 0 without a gap"),
    ],
)
def test_a_file_of_unclear_networks_is_rejected(tmp_path: Path, tensors: dict[str, Any], fault: str) -> None:
    file = tmp_path / "x.safetensors"
    save_file(tensors, file)
    with pytest.raises(ConfigError, match=fault):
        read_start_weights(str(file), out=tmp_path)
    file.write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match="is not allowed"):
        read_start_weights(str(file), out=tmp_path)
    with pytest.raises(ConfigError, match="no weights are stored in this folder"):
        read_start_weights(f"{tmp_path}/", out=tmp_path)


def test_a_controllers_run_starts_from_another_of_its_runs_but_from_no_file(trained: Path) -> None:
    def submitted(weights: str) -> Any:
        body = json.dumps(_config(trained, start={"weights": weights})).encode()
        return resolve_submission(body, is_yaml=False, max_memory_bytes=2**30, runs=trained.parent)

    assert len(submitted(trained.name).plan.start) == 4
    for path in (str(trained), "../x", "x.safetensors", ".."):
        with pytest.raises(ConfigError, match="cannot name files of the controller's machine"):
            submitted(path)

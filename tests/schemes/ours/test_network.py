"""A policy from a file: how measurements become inputs and outputs become actions, and what does not fit."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import airtoll
from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from controller.config.errors import ConfigError
from controller.config.layers import from_mapping
from controller.config.resolved import load
from controller.config.submission import resolve_submission
from controller.studies.cells import cells_of
from controller.studies.study_file import read as read_study
from protocol.messages.spaces import Field, Space
from schemes.ours.network import SCHEME, NetworkNode, NetworkParams
from schemes.ours.vectors import Inputs, Outputs
from schemes.parts.embedded_file import MAX_BYTES, EmbeddedFile, embed, extract
from schemes.parts.numpy_nets import Architecture, draw
from schemes.parts.numpy_nets.architecture import Activation, GaussianHead, Gru, Linear, mlp
from tests.networks import embedded, fitting, saved
from tests.schemes.direct import Stage, welcome_for

CELL = D2DUnderlay(pairs=3, rbs=2)
VIEW = "observation"


def _world(replicas: int = 1) -> Any:
    return WORLD.build(CELL, seed=1, replicas=replicas)


def _node(network: str | tuple[str, ...], view: str = VIEW, *, index: int = 0) -> NetworkNode:
    params = NetworkParams(network, view)
    node = SCHEME.node(welcome_for(_world(), SCHEME, index, params), params)
    assert isinstance(node, NetworkNode)
    return node


# from records to inputs, from outputs to records


def test_inputs_are_all_numbers_in_the_order_of_the_fields() -> None:
    space = Space((Field("gain_db", "f4", (2, 2)), Field("busy", "u1"), Field("rb", "i2", low=-1, high=3)))
    records = space.empty(2)
    records["gain_db"], records["busy"], records["rb"] = [[1, 2], [3, 4]], [0, 1], [-1, 2]
    inputs = Inputs(space)
    assert inputs.size == 6
    assert inputs(records).tolist() == [[1, 2, 3, 4, 0, -1], [1, 2, 3, 4, 1, 2]]
    assert inputs(records).dtype == np.float32


def test_integers_are_chosen_value_by_value_and_floats_are_squashed_to_their_bounds() -> None:
    fields = (Field("device", "i1", (2,), low=-1, high=1), Field("power", "f4", low=1, high=3), Field("free", "f4"))
    outputs = Outputs(Space(fields))
    assert outputs.size == 2 * 3 + 1 + 1
    y = np.array([[0, 0, 5, 9, 0, 0, 0, -7], [0, 3, 1, 0, 0, 2, 50, 0.5]], np.float32)
    records = outputs(y)
    assert records["device"].tolist() == [[1, -1], [0, 1]]
    assert records["power"].tolist() == [2, 3]
    assert records["free"].tolist() == [-7, 0.5]
    assert Space(fields).holds(records)


def test_an_integer_without_bounds_has_no_outputs() -> None:
    with pytest.raises(ValueError, match="the field device of the action is an integer without bounds"):
        Outputs(Space((Field("device", "i4", low=0),)))


# acting


def test_a_node_acts_by_the_largest_output_of_its_standardised_measurement() -> None:
    world = _world(replicas=2)
    size = Inputs(world.views[VIEW][0]).size
    architecture = mlp(size, (16,), Linear(3), activation="tanh")
    weights = draw(architecture, np.random.default_rng(3))
    mean, std = np.full(size, -90, np.float32), np.full(size, 5, np.float32)
    text = embedded(saved(architecture, weights, inputs_mean=mean, inputs_std=std))
    stage = Stage(world, SCHEME, NetworkParams(text, VIEW), replicas=2)
    module = torch.nn.Sequential(torch.nn.Linear(size, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
    module.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    chosen = set()
    for slot in range(20):
        measured = world.measure(world.begin(stage.state, slot), VIEW)
        stage.play_slot()
        for node, records in enumerate(measured):
            x = np.concatenate([records[f.name].reshape(2, -1) for f in world.views[VIEW][node].fields], axis=1)
            y = module(torch.from_numpy(((x - mean) / std).astype(np.float32))).detach().numpy()
            assert stage.actions[node]["rb"].tolist() == (y.argmax(axis=1) - 1).tolist()
            chosen |= set(stage.actions[node]["rb"].tolist())
    assert len(chosen) > 1


def test_the_means_of_a_gaussian_head_act() -> None:
    file = EmbeddedFile("a.safetensors", b"")
    architecture = Architecture(2, (GaussianHead(3, "state"),))
    data = saved(architecture, draw(architecture, np.random.default_rng(1)))
    from schemes.ours.policy_file import read

    assert read(file._replace(data=data), 2).outputs == 3


def test_a_recurrent_network_begins_every_episode_anew() -> None:
    world = _world(replicas=2)
    stage = Stage(world, SCHEME, NetworkParams(embedded(fitting(world, VIEW, Gru(4))), VIEW), replicas=2)
    for _ in range(3):
        stage.play_slot()
    node = stage.policies[0]
    carried = node.snapshot()["state"].copy()
    assert (carried != 0).any(axis=1).all()
    node.restart(np.array([True, False]))
    assert not node.snapshot()["state"][0].any()
    assert node.snapshot()["state"][1].tolist() == carried[1].tolist()


def test_each_agent_may_have_a_network_of_its_own() -> None:
    texts = tuple(embedded(fitting(_world(), VIEW, Linear(8), Activation("tanh"), seed=seed)) for seed in range(3))
    acted = [_node(texts, index=index) for index in range(3)]
    x = np.ones((1, acted[0]._inputs.size), np.float32)
    assert len({node._network.step(x, node._state)[0].tobytes() for node in acted}) == 3
    with pytest.raises(ValueError, match="2 files for 3 agents; give one for all, or one for each"):
        _node(texts[:2])


# what does not fit


def test_sizes_are_named_where_they_do_not_fit() -> None:
    few, many = (saved(a, draw(a, np.random.default_rng(1))) for a in (mlp(5, (), Linear(3)), mlp(8, (), Linear(4))))
    with pytest.raises(
        ValueError, match=r"takes 5 inputs, but the view 'observation' of pair-0 has 7 numbers \(own_gain"
    ):
        _node(embedded(few))
    right = mlp(7, (), Linear(4))
    with pytest.raises(ValueError, match=r"gives 4 outputs, but the action of pair-0 needs 3 \(rb 1 x 3 choices\)"):
        _node(embedded(saved(right, draw(right, np.random.default_rng(1)))))
    assert many != few


@pytest.mark.parametrize(
    ("network", "view", "reason"),
    [
        ("", VIEW, "network: give the path of a file that ends in .safetensors or .pt"),
        ("nonsense", VIEW, "'nonsense' holds no file: give the path"),
        ("a.safetensors;sha256=00;base64=AAAA", VIEW, "does not have its sha256"),
        ("a.safetensors;sha256=00;base64=A", VIEW, "the content of a.safetensors is damaged"),
        (embedded(b"short"), VIEW, "is no safetensors file"),
        (embedded(b"short", "a.pt"), VIEW, "a.pt is no TorchScript module"),
        (embedded(b"short", "a.PT"), VIEW, "'a.PT' is no network's file: its name must end in .safetensors or .pt"),
        ("", "csi2", "view 'csi2': give one of observation, experience"),
    ],
)
def test_what_is_no_network_is_rejected_with_a_fix(network: str, view: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        _node(network, view)


def test_a_file_without_or_with_another_architecture_is_rejected() -> None:
    from safetensors.numpy import save

    architecture = mlp(7, (), Linear(3))
    weights = draw(architecture, np.random.default_rng(1))
    with pytest.raises(ValueError, match="does not describe its architecture: save it with metadata="):
        _node(embedded(save(weights)))
    with pytest.raises(ValueError, match="the architecture cannot be read"):
        _node(embedded(save(weights, metadata={"architecture": "{}"})))
    with pytest.raises(ValueError, match=r"weights do not fit the architecture: 0.bias has shape \(3,\)"):
        _node(embedded(saved(mlp(7, (), Linear(4)), weights)))
    weights["0.bias"][0] = np.nan
    with pytest.raises(ValueError, match="a weight is not finite"):
        _node(embedded(saved(architecture, weights)))


# TorchScript


class _Summing(torch.nn.Module):
    """Carries the sum of its inputs; its outputs are three times it."""

    def __init__(self) -> None:
        super().__init__()
        self.state_size = 1

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        after = state + x.sum(dim=1, keepdim=True)
        return torch.cat([after, after, -after], dim=1), after


def _scripted(module: torch.nn.Module) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def test_torchscript_acts_and_carries_its_state() -> None:
    node = _node(embedded(_scripted(_Summing()), "a.pt"))
    x = np.arange(7, dtype=np.float32)[None]
    y, state = node._network.step(x, node._network.first_state(1))
    y, state = node._network.step(x, state)
    assert (y.tolist(), state.tolist()) == ([[42.0, 42.0, -42.0]], [[42.0]])


def test_torchscript_of_other_inputs_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"a.pt does not take inputs \[2, 7\]"):
        _node(embedded(_scripted(torch.nn.Linear(5, 3)), "a.pt"))


# how the file reaches the nodes


def test_a_file_is_read_where_the_configuration_is_and_travels_with_it(tmp_path: Path) -> None:
    data = fitting(_world(), VIEW)
    (tmp_path / "mine.safetensors").write_bytes(data)
    scheme = {"name": "ours/network", "network": "mine.safetensors", "view": VIEW}
    world = {"name": "d2d_underlay", "pairs": 3, "rbs": 2}
    given = from_mapping({"world": world, "scheme": scheme, "slots": 20}, tmp_path).data
    assert extract(given["scheme"]["network"]) == EmbeddedFile("mine.safetensors", data)
    (tmp_path / "mine.safetensors").unlink()
    summary = airtoll.run(given, folder=tmp_path / "run", placement="in-process")
    assert (summary["state"], summary["toll"]) == ("SUCCEEDED", {})
    again = load(tmp_path / "run" / "config.yaml")
    assert again.plan.scheme_params["network"] == given["scheme"]["network"]


def test_a_file_of_a_baseline_travels_too(tmp_path: Path) -> None:
    """Two networks as baselines are two rows; the run and each of them are replayed without the files."""
    files = {name: fitting(_world(), VIEW, seed=seed) for seed, name in enumerate(("a.safetensors", "b.safetensors"))}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    baselines = [{"name": "ours/network", "network": name, "view": VIEW} for name in files]
    world = {"name": "d2d_underlay", "pairs": 3, "rbs": 2}
    (tmp_path / "run.yaml").write_text(
        yaml.safe_dump({"world": world, "scheme": "ours/random", "slots": 20, "baselines": baselines})
    )
    summary = airtoll.run(tmp_path / "run.yaml", folder=tmp_path / "run", placement="in-process")
    labels = [f"ours/network network={name} view={VIEW}" for name in files]
    assert list(summary["baselines"]) == labels
    for name in files:
        (tmp_path / name).unlink()
    again = load(tmp_path / "run" / "config.yaml")
    assert list(again.baselines) == labels
    for label, kept in zip(labels, sorted((tmp_path / "run" / "baselines").iterdir()), strict=True):
        replayed = airtoll.run(kept / "config.yaml", folder=tmp_path / label.replace("/", "_"))
        assert replayed["trace_digest"] == summary["baselines"][label]["trace_digest"]


def test_two_baselines_of_one_name_are_rejected_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for path in ("a.safetensors", "x/a.safetensors"):
        (tmp_path / path).write_bytes(fitting(_world(), VIEW))
    baselines = [
        {"name": "ours/network", "network": path, "view": VIEW} for path in ("a.safetensors", "x/a.safetensors")
    ]
    data = {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}, "scheme": "ours/random", "slots": 5}
    with pytest.raises(ConfigError, match=r"listed twice: .* rename one of two files of the same name"):
        load(from_mapping(data | {"baselines": baselines}, tmp_path).data)


def test_networks_are_an_axis_of_a_study(tmp_path: Path) -> None:
    """Relative to the study's file; cells differ by the content of their files."""
    for seed, name in enumerate(("a.safetensors", "b.safetensors")):
        (tmp_path / name).write_bytes(fitting(_world(), VIEW, seed=seed))
    run = {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}, "slots": 5}
    scheme = {"name": "ours/network", "network": "a.safetensors", "view": VIEW}
    (tmp_path / "study.yaml").write_text(
        yaml.safe_dump(
            {"run": run | {"scheme": scheme}, "grid": {"scheme.network": ["a.safetensors", "b.safetensors"]}}
        )
    )
    cells = cells_of(read_study(tmp_path / "study.yaml"), {})
    assert [cell.labels["scheme.network"] for cell in cells] == ["a.safetensors", "b.safetensors"]
    assert len({cell.digest for cell in cells}) == 2
    carried = [extract(cell.run.plan.scheme_params["network"]).data for cell in cells]
    assert carried == [(tmp_path / name).read_bytes() for name in ("a.safetensors", "b.safetensors")]


def test_a_missing_or_large_file_is_rejected(tmp_path: Path) -> None:
    scheme = {"name": "ours/network", "network": ["a.safetensors"]}
    with pytest.raises(ConfigError, match=r"a.safetensors: No such file or directory; give the path"):
        from_mapping({"scheme": scheme}, tmp_path)
    (tmp_path / "a.safetensors").write_bytes(bytes(MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="at most 8388608 travel with a run"):
        from_mapping({"scheme": scheme}, tmp_path)


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        ('"a.safetensors"', "cannot name files"),
        ('["a.pt"]', "cannot name files"),
        (f'"{embed(EmbeddedFile("a.pt", b""))}"', "cannot bring TorchScript; save the network as safetensors"),
        (f'"{embed(EmbeddedFile("a;b.pt", b""))}"', "cannot bring TorchScript; save the network as safetensors"),
        (f'"{embed(EmbeddedFile("a.PT", b""))}"', "cannot bring TorchScript; save the network as safetensors"),
    ],
)
def test_a_client_can_neither_name_files_nor_bring_programs(network: str, problem: str, tmp_path: Path) -> None:
    given = f'{{"name": "ours/network", "network": {network}}}'
    for chosen in (f'"scheme": {given}', f'"scheme": "ours/random", "baselines": [{given}]'):
        body = f'{{"world": "d2d_underlay", {chosen}, "slots": 5}}'
        with pytest.raises(ConfigError, match=problem):
            resolve_submission(body.encode(), is_yaml=False, max_memory_bytes=2**30, runs=tmp_path)


def test_a_client_may_bring_weights(tmp_path: Path) -> None:
    text = embedded(fitting(_world(), VIEW))
    body = (
        '{"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}, "slots": 5, '
        f'"scheme": {{"name": "ours/network", "network": "{text}", "view": "{VIEW}"}}}}'
    )
    assert resolve_submission(body.encode(), is_yaml=False, max_memory_bytes=2**30, runs=tmp_path).agents == 3

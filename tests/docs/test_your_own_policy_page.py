"""docs/your-own-policy.md, played: its script trains a network, its run gives its table, its facts hold."""

import os
import re
import runpy
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from airtoll.cli import commands
from controller.api.request_body import MAX_CONFIG_BYTES
from controller.config.errors import ConfigError
from controller.config.formats import parse_yaml
from controller.config.layers import from_mapping
from controller.config.resolved import load
from controller.run_folder.reader import RunFolder
from schemes.parts.embedded_file import MAX_BYTES
from schemes.parts.numpy_nets.architecture import ActivationName, Layer
from tests.docs.pages import block, page, states, table

PAGE = "your-own-policy.md"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page's script has run, and which has the page's run."""
    folder, before = tmp_path_factory.mktemp("policy"), Path.cwd()
    (folder / "train_policy.py").write_text(block(PAGE, "# train_policy.py"), "utf-8")
    (folder / "mine.yaml").write_text(block(PAGE, "# mine.yaml"), "utf-8")
    os.chdir(folder)
    try:
        runpy.run_path("train_policy.py")
    finally:
        os.chdir(before)
    return folder


def test_the_run_gives_the_table(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    arguments = ["run", "mine.yaml", "--placement", "in-process", "--format", "json"]
    result = CliRunner().invoke(commands.app, arguments)
    assert result.exit_code == 0, result.output
    shown = {
        line.split()[0]: line.split()[1:] for line in block(PAGE, "$ airtoll run mine.yaml").splitlines() if "/" in line
    }
    rows = {name: figures for name, figures in shown.items() if re.fullmatch(r"(?:ours|li2020)/\w+", name)}
    assert list(rows) == ["ours/random", "li2020/best_own_rb", "li2020/greedy_central", "ours/network"]
    [folder] = (trained / "runs").iterdir()
    run = RunFolder.open(folder)
    for name, figures in rows.items():
        summary = run.summary if name == "ours/network" else RunFolder.open(_baseline(folder, name)).summary
        reward = summary["metrics"]["reward_total"]
        assert reward == pytest.approx(float(figures[0]), rel=0.1 if name == "ours/network" else 1e-3)
        bits = sum(toll["note_bytes"] for toll in summary["toll"].values()) / (1000 * 10)
        assert bits == float(figures[-1])


def test_networks_are_baselines_of_each_other(trained: Path, tmp_path: Path) -> None:
    for name in ("policy.safetensors", "older.safetensors"):
        (tmp_path / name).write_bytes((trained / "policy.safetensors").read_bytes())
    (tmp_path / "two.yaml").write_text(block(PAGE, "# two.yaml"), "utf-8")
    run = load(tmp_path / "two.yaml")
    assert list(run.baselines) == ["ours/random", "ours/network network=older.safetensors view=observation"]


def _baseline(folder: Path, name: str) -> Path:
    [found] = [path for path in (folder / "baselines").iterdir() if path.name == name.replace("/", "_")]
    return found


def test_the_world_is_shown_as_on_the_page() -> None:
    printed = CliRunner().invoke(commands.app, ["worlds", "d2d_underlay"]).stdout
    lines = {" ".join(line.split()) for line in printed.splitlines()}
    for line in block(PAGE, "$ airtoll worlds d2d_underlay").splitlines()[1:]:
        assert line.strip() == "..." or " ".join(line.split()) in lines, line


def test_a_network_that_does_not_fit_is_rejected_as_on_the_page(trained: Path) -> None:
    given: dict[str, Any] = parse_yaml(block(PAGE, "# mine.yaml"))
    given["scheme"]["view"] = "receiver"
    with pytest.raises(ConfigError) as rejected:
        load(from_mapping(given | {"baselines": []}, trained).data)
    assert str(rejected.value) in page(PAGE)


def test_the_layers_are_all_there() -> None:
    tags = {layer.__struct_config__.tag for layer in get_args(Layer)}
    listed = {name for cell, *_ in table(PAGE, "layer") for name in cell.split(", ")}
    assert listed == tags
    [functions] = [keys for cell, keys, _ in table(PAGE, "layer") if cell == "activation"]
    assert functions == f"function: {', '.join(get_args(ActivationName))}"


def test_the_limits_are_those_of_the_code() -> None:
    assert MAX_BYTES == 8 * 2**20
    assert states(PAGE, "8 MiB")
    assert 0.7e6 * 4 / 3 < MAX_CONFIG_BYTES == 1_000_000


def test_every_command_exists() -> None:
    named = {words.split()[0] for words in re.findall(r"^    airtoll (.+)$", page(PAGE), re.MULTILINE)}
    assert named == {"worlds", "run", "new"}
    assert named <= commands.COMMANDS.keys()

"""The examples of outside learners, in small: they train, write a policy, and nodes play it as the learner did."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pettingzoo", reason="the extra envs is not installed")
torch = pytest.importorskip("torch", reason="the extra learn is not installed")

from airtoll.environments.network_file import save
from airtoll.environments.pettingzoo import Observation
from airtoll.environments.scaling import Scale, measured_scale
from examples.outside import cell, networked


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cell, "EVAL_SLOTS", 20)
    monkeypatch.setattr(cell, "EPISODE_SLOTS", 10)
    monkeypatch.setattr(cell, "CONFIG", cell.CONFIG | {"episode_slots": 10})
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def untrained(path: Path, scale: Scale) -> None:
    torch.manual_seed(1)
    save(path, [torch.nn.Linear(7, 16), torch.nn.Tanh(), torch.nn.Linear(16, 5)], scale)


def test_nodes_play_a_file_as_the_environment_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    untrained(tmp_path / "policy.safetensors", cell.scale())
    verdict = networked.main(tmp_path / "policy.safetensors", slots=20)
    assert verdict.equal, verdict.lines
    [line, *_] = capsys.readouterr().out.splitlines()
    learner, nodes = re.findall(r"\d+\.\d+", line)
    assert float(learner) == pytest.approx(float(nodes), rel=1e-12)


def test_a_file_computes_what_torch_computes(tmp_path: Path) -> None:
    scale = cell.scale()
    untrained(tmp_path / "policy.safetensors", scale)
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(7, 16), torch.nn.Tanh(), torch.nn.Linear(16, 5))

    def policy(rows: dict[str, Observation]) -> dict[str, int]:
        return {name: int(network(torch.as_tensor(row)).argmax()) for name, row in rows.items()}

    learner = cell.evaluate(policy, scale, 20)
    assert learner == networked.in_environment(tmp_path / "policy.safetensors", tmp_path / "runs", 20)


def test_only_layers_that_nodes_compute_are_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a layer Softplus cannot be written: use Linear, ReLU"):
        save(tmp_path / "policy.safetensors", [torch.nn.Linear(2, 2), torch.nn.Softplus()])
    with pytest.raises(ValueError, match="needs a Linear layer"):
        save(tmp_path / "policy.safetensors", [])


def test_a_scale_makes_mean_0_and_deviation_1() -> None:
    scale = measured_scale(cell.CONFIG, view=cell.VIEW, slots=40)
    again = measured_scale(cell.CONFIG, view=cell.VIEW, slots=40)
    assert scale.mean.tolist() == again.mean.tolist()
    env = cell.training_env(scale)
    observations, _ = env.reset()
    rows = list(observations.values())
    assert abs(sum(row.mean() for row in rows) / len(rows)) < 2
    assert (scale.std > 0).all()


def test_training_begins_after_the_slots_for_evaluation() -> None:
    env = cell.training_env(cell.scale())
    _, infos = env.reset()
    assert infos["pair_0"]["slot"] == 20
    while env.agents:
        env.step(dict.fromkeys(env.agents, 1))
    _, infos = env.reset()
    assert infos["pair_0"]["slot"] == 30


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("algorithm", ["ppo", "trpo"])
def test_stable_baselines3_trains(algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("supersuit", "stable_baselines3", "sb3_contrib"):
        pytest.importorskip(package, reason="the extra sb3 is not installed")
    from examples.outside import sb3

    monkeypatch.setitem(sb3.SETTINGS, "n_steps", 10)
    monkeypatch.setitem(sb3.SETTINGS, "batch_size", 20)
    path = tmp_path / "policy.safetensors"
    assert sb3.main(algorithm, 20, str(path)) == networked.in_environment(path, tmp_path / "runs", 20)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("algorithm", ["mappo", "qmix"])
def test_benchmarl_trains(algorithm: str, tmp_path: Path) -> None:
    pytest.importorskip("benchmarl", reason="benchmarl is not installed (docs/outside-learners.md)")
    pytest.importorskip("tqdm", reason="tqdm is not installed (docs/outside-learners.md)")
    from examples.outside import benchmarl

    path = tmp_path / "policy.safetensors"
    assert benchmarl.main(algorithm, 800, str(path)) == networked.in_environment(path, tmp_path / "runs", 20)
    assert list((tmp_path / "policy").rglob("*.json"))

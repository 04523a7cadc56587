"""docs/outside-learners.md: its code runs, its senses and results are there."""

from importlib import import_module
from pathlib import Path

import pytest

import airtoll
from tests.docs.pages import block, states, table

pytest.importorskip("pettingzoo", reason="the extra envs is not installed")

PAGE = "outside-learners.md"


def test_its_code_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block(PAGE, "# play.py"), "play.py", "exec"), {})
    assert "'neighbour'" in capsys.readouterr().out


def test_its_senses_exist() -> None:
    for name, _ in table(PAGE, "sense, in `airtoll.environments`"):
        module, function = name.partition("(")[0].split(".")
        assert callable(getattr(import_module(f"airtoll.environments.{module}"), function))


def test_its_floor_is_what_random_choices_earn(tmp_path: Path) -> None:
    from examples.outside import cell

    floor = next(row for row in table(PAGE, "learner") if row[0] == "native: ours/random")
    config = cell.CONFIG | {"slots": cell.EVAL_SLOTS, "placement": "in-process"}
    summary = airtoll.run(config, folder=tmp_path / "run")
    assert floor[2] == f"{summary['metrics']['reward_total']:.2f}"


def test_its_speeds_make_the_ratio() -> None:
    rates = {row[0]: float(row[1].replace(",", "")) for row in table(PAGE, "environment")}
    assert rates["AirtollTorchEnv, 64 replicas"] > 20 * rates["TorchRL's PettingZooWrapper around airtoll.parallel_env"]
    assert states(PAGE, "AirtollTorchEnv(config, replicas=64)", "python -m benchmarks.environments")

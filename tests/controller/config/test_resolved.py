"""Resolving: how often worlds are built and settings validated, and what is rejected."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import airtoll
from channel_server.worlds import d2d_underlay
from channel_server.worlds.d2d_underlay import world
from controller.config.errors import ConfigError
from controller.config.layers import from_assignment
from controller.config.resolved import load
from controller.config.run_config import RunConfig
from controller.run_folder.reader import RunFolder

CELL: dict[str, Any] = {
    "world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2},
    "scheme": "li2020/random",
    "slots": 10,
    "placement": "in-process",
}
PHASES = {"warmup": 5, "train": 10, "eval": 5}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts of worlds built and run configurations validated in this process."""
    counts: Counter[str] = Counter()
    build, validate = d2d_underlay.WORLD.build, BaseModel.model_validate_json.__func__  # type: ignore[attr-defined]

    def counting_build(*args: Any, **kwargs: Any) -> Any:
        counts["worlds"] += 1
        return build(*args, **kwargs)

    def counting_validate(cls: type[BaseModel], *args: Any, **kwargs: Any) -> Any:
        counts["validations"] += 1
        return validate(cls, *args, **kwargs)

    object.__setattr__(d2d_underlay.WORLD, "build", counting_build)
    monkeypatch.setattr(RunConfig, "model_validate_json", classmethod(counting_validate))
    yield counts
    object.__setattr__(d2d_underlay.WORLD, "build", build)


def test_a_run_validates_once_and_builds_two_worlds(counted: Counter[str], tmp_path: Path) -> None:
    airtoll.run(CELL, folder=tmp_path / "run")
    assert counted == {"worlds": 2, "validations": 1}  # one world to resolve, one in the channel server


def test_baselines_share_the_world_that_resolves_the_run(counted: Counter[str], tmp_path: Path) -> None:
    baselines = ["li2020/random", "li2020/best_own_rb", {"name": "li2020/greedy_central"}, "li2020/sla"]
    summary = airtoll.run(CELL | {"baselines": baselines}, folder=tmp_path / "run")
    assert len(summary["baselines"]) == 4
    assert counted == {"worlds": 1 + (1 + 4), "validations": 1 + 4}


def test_a_run_in_processes_builds_one_world_in_its_parent(counted: Counter[str], tmp_path: Path) -> None:
    airtoll.run(CELL | {"placement": "processes"}, folder=tmp_path / "run")
    assert counted == {"worlds": 1, "validations": 1}


def test_reading_a_folder_resolves_nothing(counted: Counter[str], tmp_path: Path) -> None:
    airtoll.run(CELL, folder=tmp_path / "run")
    counted.clear()
    folder = RunFolder.open(tmp_path / "run")
    assert (folder.meta.agents, folder.names[:2]) == (3, ["pair-0", "pair-1"])
    assert folder.summary["metrics"].keys() == folder.meta.units.keys()
    assert (len(folder.windows()), folder.delivery_stats(), folder.toll.by("kind")) == (1, {}, {})
    assert counted == {}


def test_the_plan_names_the_nodes_that_join() -> None:
    assert load(CELL).plan.nodes == ("pair-0", "pair-1", "pair-2")
    assert load(CELL | {"scheme": "li2020/greedy_central"}).plan.nodes[-1] == "trainer"


@pytest.mark.parametrize("scheme", ["li2020/maac", "li2020/dqn"])
@pytest.mark.parametrize("length", [{"slots": 10}, {"phases": {"eval": 10}}, {"phases": {"warmup": 5, "eval": 5}}])
def test_a_scheme_that_learns_needs_training_slots(scheme: str, length: dict[str, Any]) -> None:
    cell = {key: value for key, value in CELL.items() if key != "slots"} | length | {"scheme": scheme}
    with pytest.raises(ConfigError) as rejected:
        load(cell)
    assert all(part in str(rejected.value) for part in (scheme, "phases: {", "train", "untrained: true"))
    assert load(cell | {"untrained": True}).learns
    assert load({key: value for key, value in cell.items() if key != "slots"} | {"phases": PHASES}).learns


def test_baselines_need_a_world_that_sums_rewards(monkeypatch: pytest.MonkeyPatch) -> None:
    unnamed = [metric._replace(name=f"my_{metric.name}") for metric in world.D2DCell.metrics]
    monkeypatch.setattr(world.D2DCell, "metrics", unnamed)
    with pytest.raises(ConfigError, match=r"^baselines: d2d_underlay has no metric reward_total .*: leave it out"):
        load(CELL | {"baselines": ["li2020/sla"]})


def test_baselines_that_learn_are_trained_in_the_runs_phases() -> None:
    with pytest.raises(ConfigError, match=r"^baselines: .*li2020/maac"):
        load(CELL | {"baselines": ["li2020/maac"]})
    phased = {key: value for key, value in CELL.items() if key != "slots"} | {"phases": PHASES}
    resolved = load(phased | {"baselines": ["li2020/maac"]})
    assert resolved.baselines["li2020/maac"].plan.phases == resolved.plan.phases


def test_phases_win_over_the_slots_of_a_weaker_layer_and_the_other_way_round() -> None:
    phases = load(CELL, overrides=[from_assignment("phases={train: 4, eval: 3}")])
    assert [(phase.name, phase.slots) for phase in phases.plan.phases] == [("train", 4), ("eval", 3)]
    slots = load({**CELL, "slots": 10}, environment={"AIRTOLL_SLOTS": "7"}, overrides=[])
    assert slots.plan.slots == 7

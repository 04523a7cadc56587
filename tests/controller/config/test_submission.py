"""Runs that are submitted: what a client's text may not do to the controller that checks it."""

import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from controller.config.errors import ConfigError
from controller.config.resolved import ResolvedRun, load
from controller.config.submission import resolve_submission

CELL: dict[str, Any] = {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}, "scheme": "li2020/sla", "slots": 5}


def _submitted(settings: dict[str, Any], *, gib: float = 1.0) -> ResolvedRun:
    return resolve_submission(
        json.dumps(settings).encode(), is_yaml=False, max_memory_bytes=int(gib * 2**30), runs=Path("runs")
    )


def _fault(settings: dict[str, Any], *, gib: float = 1.0) -> str:
    with pytest.raises(ConfigError) as rejected:
        _submitted(settings, gib=gib)
    return str(rejected.value)


def test_it_is_the_run_that_a_file_would_describe_also_in_another_process() -> None:
    settings = CELL | {"baselines": ["li2020/random", {"name": "li2020/sla", "step": 0.5}]}
    resolved = pickle.loads(pickle.dumps(_submitted(settings)))
    assert resolved == load(settings)


@pytest.mark.parametrize("graph", ["/etc/passwd", "other.yaml", "other.yml", "/dev/zero"])
def test_no_file_of_the_machine_is_read(graph: str) -> None:
    fault = _fault({"world": {"name": "conflict_graph", "graph": graph}, "scheme": "zhang2025/llq", "slots": 5})
    assert "cannot name files of the controller's machine" in fault or "give 'fig2'" in fault
    assert "root" not in fault


def test_a_baseline_names_no_file_either() -> None:
    fault = _fault(CELL | {"baselines": [{"name": "li2020/sla", "from": "other.yaml"}]})
    assert fault.startswith("baselines.from: 'other.yaml' is not allowed: a run submitted by REST cannot name files")


def test_a_run_that_needs_more_memory_than_allowed_is_rejected_before_anything_is_built() -> None:
    huge = CELL | {"world": {"name": "d2d_underlay", "pairs": 500, "rbs": 500}, "replicas": 10_000}
    tracemalloc.start()
    try:
        fault = _fault(huge, gib=6)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "10000 replicas of this d2d_underlay need about" in fault
    assert fault.endswith("allows a run 6.0: make it smaller, or start the controller with a larger --max-run-memory")
    assert peak < 2**24


def test_checking_a_large_run_builds_none_of_its_arrays() -> None:
    """One array of its gains has a GB."""
    tracemalloc.start()
    try:
        resolved = _submitted(CELL | {"world": {"name": "d2d_underlay", "pairs": 500, "rbs": 500}}, gib=6)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert resolved.agents == 500
    assert peak < 2**26


@pytest.mark.parametrize("baseline", [{"name": 3}, {"name": {"a": 1}}, {"nam": "x"}, {}])
def test_a_baseline_without_a_name_is_rejected(baseline: Any) -> None:
    assert _fault(CELL | {"baselines": [baseline]}).startswith("baselines: scheme")


def test_a_baseline_whose_folder_could_not_be_named_is_rejected() -> None:
    baseline = {"name": "li2020/maac", "actor_hidden": [16] * 100}
    assert "give it fewer parameters" in _fault(CELL | {"baselines": [baseline]})


@pytest.mark.parametrize(
    ("scheme", "fault"),
    [
        ({"name": "li2020/maac", "critic_hidden": [16]}, "scheme: critic_hidden [16]: actions join after the first"),
        ({"name": "li2020/maac", "actor_hidden": [10**9]}, "scheme.actor_hidden.0: 1000000000 is not allowed: must be"),
        ({"name": "li2020/dqn", "hidden": [8] * 17}, "must have at most 16"),
        ({"name": "li2020/dqn", "batch": 65, "replay_capacity": 64}, "scheme: batch 65 is more than the 64 slots"),
        ({"name": "li2020/naac", "batch": 64, "replay_capacity": 63, "neighbours": 1}, "or raise replay_capacity"),
    ],
)
def test_networks_that_cannot_learn_are_rejected(scheme: dict[str, Any], fault: str) -> None:
    settings = CELL | {"scheme": scheme, "phases": {"train": 10}}
    settings.pop("slots")
    assert fault in _fault(settings)


def test_of_many_faults_the_first_are_listed() -> None:
    lines = _fault(CELL | {f"key{n}": n for n in range(5_000)}).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "and 4980 more faults; correct these first"


def test_a_fault_shows_no_more_than_the_beginning_of_a_key() -> None:
    fault = _fault(CELL | {"k" * 100_000: 1, "line\nbreak": 2})
    assert len(fault) < 2_000
    assert len(fault.splitlines()) == 2

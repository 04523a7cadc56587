"""distributions.csv: what is counted in a phase, over checkpoints and rounds, and its percentiles."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import airtoll
from channel_server.distributions import OpenDistributions
from channel_server.worlds.contract import Distribution
from controller.execution.in_process import run_in_process
from controller.run_folder.distributions import Histogram, percentiles
from controller.run_folder.files import DamagedFileError
from controller.run_folder.layout import DISTRIBUTIONS
from controller.run_folder.reader import RunFolder
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.telemetry import Occurrences
from tests.airtoll.folders import make
from tests.recording import CELLS, Checkpointed, plan_for

DELAY = Distribution("delay_ms", "ms", 20.0, "of a packet")
RUN: dict[str, Any] = {"world": CELLS | {"load_packets_s": 10.0}, "scheme": "ours/random", "seed": 3}


def histogram(values: dict[float, int]) -> Histogram:
    ordered = sorted(values)
    return Histogram("eval", 0, 9, "delay_ms", np.array(ordered), np.array([values[v] for v in ordered]))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=50), st.lists(st.integers(1, 99), min_size=1, max_size=50))
def test_percentiles_are_numpys(first: list[int], second: list[int]) -> None:
    parts = [histogram({float(v): values.count(v) for v in set(values)}) for values in (first, second)]
    found = percentiles(parts)
    for name, percent in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)):
        assert found[f"delay_ms_{name}"] == np.percentile(first + second, percent, method="inverted_cdf")
    assert percentiles([]) == {}


def test_counts_of_a_phase_are_summed_and_the_next_begins_with_none() -> None:
    counted = OpenDistributions([DELAY])
    assert counted.close(0) == []
    counted.add("train", 4, (np.array([0, 2]),))
    counted.add("train", 5, (np.array([0, 1, 0, 5]),))
    resumed = OpenDistributions([DELAY])
    resumed.restore(unpack(pack(counted.snapshot())))
    for one in (counted, resumed):
        one.add("train", 6, (np.array([1]),))
        assert one.close(6) == [Occurrences("train", 4, 6, "delay_ms", 20.0, [1, 3, 0, 5])]
        assert one.close(7) == []


def test_a_runs_distribution_is_that_of_its_metric(tmp_path: Path) -> None:
    phases = {"warmup": 30, "train": 0, "eval": 60}
    airtoll.run(RUN | {"phases": phases}, folder=tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    warmup, evaluated = folder.histograms()
    assert (warmup.phase, warmup.first, warmup.last) == ("warmup", 0, 29)
    assert (evaluated.phase, evaluated.first, evaluated.last) == ("eval", 30, 89)
    mean = (evaluated.values * evaluated.counts).sum() / evaluated.counts.sum()
    assert mean == pytest.approx(folder.summary["metrics"]["delay_ms"])
    assert folder.summary["percentiles"] == percentiles([evaluated])
    assert folder.meta.distribution_units == {"delay_ms": "ms"}


def test_a_resumed_run_counts_each_value_once() -> None:
    plan = plan_for("ours/random", RUN["world"], slots=20, checkpoint_every=8)
    whole = Checkpointed()
    run_in_process(plan, whole)
    [part] = whole.occurrences
    assert (part.first, part.last) == (0, 19)
    for past, resumed in whole.pasts:
        run_in_process(plan, resumed, past=past)
        assert resumed.occurrences == whole.occurrences


def test_a_world_without_distributions_writes_no_file(tmp_path: Path) -> None:
    airtoll.run({"world": "conflict_graph", "scheme": "ours/random", "slots": 5}, folder=tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    assert not (folder.path / DISTRIBUTIONS).exists()
    assert folder.histograms() == []
    assert folder.summary["percentiles"] == {}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "run", [Occurrences("eval", 0, 3, "delay_ms", 20.0, [0, 2, 0, 1])])
    assert (folder.path / DISTRIBUTIONS).read_text().splitlines()[1:] == [
        "eval,0,3,delay_ms,20,2",
        "eval,0,3,delay_ms,60,1",
    ]
    (folder.path / DISTRIBUTIONS).write_text("phase,first,last,name,value,count\neval,0,3,delay_ms,20,many\n")
    with pytest.raises(DamagedFileError, match=r"distributions\.csv is damaged"):
        folder.histograms()

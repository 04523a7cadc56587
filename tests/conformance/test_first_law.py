"""First law, for every scheme in each of its worlds: one run has one trace in every placement."""

import pytest

from controller.config.catalogue import schemes
from tests.conformance.homes import IN_PROCESSES_HOMES, home_plan, homes, homes_in_processes
from tests.impairments import MODELS
from tests.recording import assert_same_trace, in_process, in_processes
from tests.tiers import EVERYTHING

SEEDS = (1, 2, 3)
# Real processes take their time: `make test` plays one seed of a sample of schemes, `make test-all` and CI play all.
SEEDED = [
    (scheme, world, seed)
    for number, (scheme, world) in enumerate(IN_PROCESSES_HOMES)
    for seed in (SEEDS if EVERYTHING else (SEEDS[number % len(SEEDS)],))
]


@pytest.mark.parametrize(("scheme", "world", "seed"), SEEDED)
def test_in_process_and_processes_agree_bit_for_bit(scheme: str, world: str, seed: int) -> None:
    plan = home_plan(scheme, world, slots=200 if schemes()[scheme].learns else 500, seed=seed)
    here, there = in_process(plan), in_processes(plan)
    assert here.ended is not None
    assert there.ended is not None
    assert (here.ended.state, there.ended.state) == ("SUCCEEDED", "SUCCEEDED")
    assert_same_trace(here, there)
    assert here.air == there.air
    assert [w.sums for w in here.windows] == [w.sums for w in there.windows]
    assert here.scalars == there.scalars  # in the order in which they are written


@homes_in_processes
def test_placements_agree_when_notes_are_late_lost_and_limited(scheme: str, world: str) -> None:
    plan = home_plan(scheme, world, slots=60, signalling=MODELS["all of it"])
    here, there = in_process(plan), in_processes(plan)
    assert_same_trace(here, there)
    assert here.air == there.air


@homes_in_processes
def test_placements_agree_with_replicas(scheme: str, world: str) -> None:
    plan = home_plan(scheme, world, slots=20, replicas=3)
    assert_same_trace(in_process(plan), in_processes(plan))


@homes
def test_another_seed_is_another_run(scheme: str, world: str) -> None:
    one, two = (home_plan(scheme, world, slots=20, seed=seed) for seed in (1, 2))
    assert in_process(one).trace != in_process(two).trace

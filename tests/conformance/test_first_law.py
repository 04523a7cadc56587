"""First law, for every scheme in each of its worlds: one run has one trace in every placement."""

import pytest

from airtoll.testing import laws
from controller.config.catalogue import schemes
from protocol.messages.plan import RunPlan
from tests.conformance.homes import IN_PROCESSES_HOMES, home_plan, homes, homes_in_processes
from tests.impairments import MODELS
from tests.preloading import preload_torch_for
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
    _check_processes(home_plan(scheme, world, slots=200 if schemes()[scheme].learns else 500, seed=seed))


@homes_in_processes
def test_placements_agree_when_notes_are_late_lost_and_limited(scheme: str, world: str) -> None:
    _check_processes(home_plan(scheme, world, slots=60, signalling=MODELS["all of it"]))


@homes_in_processes
def test_placements_agree_with_replicas(scheme: str, world: str) -> None:
    plan = home_plan(scheme, world, slots=20, replicas=3)
    assert_same_trace(in_process(plan), in_processes(plan))


@homes
def test_a_run_repeats_and_another_seed_is_another_run(scheme: str, world: str) -> None:
    laws.check_one_trace(home_plan(scheme, world, slots=20))


def _check_processes(plan: RunPlan) -> None:
    preload_torch_for(plan)
    laws.check_processes(plan)

"""The sample of schemes that `make test` plays in real processes."""

import subprocess
import sys

import pytest

from controller.config.catalogue import schemes
from tests import tiers


@pytest.mark.parametrize(("names", "size"), [(5, 2), (13, 4), (3, 3), (2, 4), (35, 4)])
def test_it_comes_round_to_every_scheme(names: int, size: int) -> None:
    given = [str(name) for name in range(names)]
    windows = [tiers.window(given, size, number) for number in range(100, 100 + -(-names // size))]
    assert {name for window in windows for name in window} == set(given)
    assert all(len(set(window)) == min(size, names) for window in windows)


def _sampled(number: int, tier: str = "") -> list[str]:
    code = "from tests import tiers; print(*tiers.IN_PROCESSES)"
    environment = {"TEST_SAMPLE": str(number), "TEST_TIER": tier}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return ran.stdout.split()


def test_a_number_chooses_it_and_the_tier_for_all_has_every_scheme() -> None:
    learn = {name for name, scheme in schemes().items() if scheme.learns}
    one = _sampled(1)
    assert one == _sampled(1) != _sampled(2)
    assert len(learn.intersection(one)) == min(tiers.LEARNING_SIZE, len(learn))
    assert len(one) < len(schemes())
    assert _sampled(1, "all") == list(schemes())


def test_the_summary_has_what_repeats_it() -> None:
    assert tiers.EVERYTHING or f"TEST_SAMPLE={tiers.NUMBER}" in tiers.summary()
    assert all(name in tiers.summary() for name in tiers.IN_PROCESSES) or tiers.EVERYTHING

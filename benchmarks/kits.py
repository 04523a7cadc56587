"""CPU seconds that the conformance kits take per scheme, in one process and in real processes.

One scheme of each sort; what pytest takes to collect the tests is left out. From these the last lines reckon both tiers
of the kits for a number of schemes, in minutes on two cores: `make test`, which plays a sample in real processes, and
`make test-all`. What the runs' processes take is in it.

    python -m benchmarks.kits [schemes]
"""

import ctypes
import os
import resource
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass

from tests.tiers import LEARNING_SIZE, SIZE

KITS = ("tests/conformance", "tests/system/test_second_law.py")
REAL = "agree_bit_for_bit or placements_agree or both_books"
SHARE_LEARNING = 0.4  # of many schemes
CORES = 2
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Sort:
    """A sort of schemes, by one of them."""

    name: str
    scheme: str


SORTS = (
    Sort("sends nothing", "li2020/random"),
    Sort("sends notes", "zhang2025/gms"),
    Sort("learns at the trainer", "li2020/maac"),
    Sort("learns on the nodes", "li2020/dqn"),
)


def cpu_s(scheme: str, tests: str, tier: str) -> float:
    """Of the kits' tests of a scheme that `tests`, an expression of pytest's, selects; RuntimeError if one fails."""
    chosen = f"{scheme} and ({tests})"
    return _pytest_s(["-k", chosen], tier) - _pytest_s(["-k", chosen, "--collect-only"], tier)


def _pytest_s(arguments: list[str], tier: str) -> float:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--timeout", "900", *KITS, *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(command, env=os.environ | {"TEST_TIER": tier}, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stdout)
    _reap_orphans()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _adopt_orphans() -> None:
    """The parent that a test process forks runs from outlives it by a moment; what it took counts once it is reaped."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1):
        raise RuntimeError("needs Linux: no other system hands orphans to a process that asks for them")


def _reap_orphans() -> None:
    with suppress(ChildProcessError):  # there are none left
        while True:
            os.wait()


def main() -> None:
    """Print the table and the two tiers."""
    _adopt_orphans()
    schemes = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    print(f"{'a scheme that':24}{'in process':>12}{'real processes':>16}   CPU seconds", flush=True)
    inside, real = [], []
    for sort in SORTS:
        inside.append(cpu_s(sort.scheme, f"not ({REAL})", "all"))
        real.append(cpu_s(sort.scheme, REAL, "all"))
        print(f"{sort.name:24}{inside[-1]:12.1f}{real[-1]:16.1f}", flush=True)
    learning = round(SHARE_LEARNING * schemes)
    acting = schemes - learning
    kits_s = acting * max(inside[:2]) + learning * max(inside[2:])
    sampled_s = SIZE * max(real[:2]) + LEARNING_SIZE * max(real[2:])
    all_s = acting * max(real[:2]) + learning * max(real[2:])
    print(
        f"{schemes} schemes, {learning} of them learn: make test {(kits_s + sampled_s) / 60 / CORES:.1f} min at most,"
    )
    print(f"make test-all {(kits_s + all_s) / 60 / CORES:.1f} min at most, of the kits, on {CORES} cores")


if __name__ == "__main__":
    main()

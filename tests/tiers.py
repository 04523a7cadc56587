"""How many schemes the kits play in real processes: `make test` a sample of them, `make test-all` all.

The sample moves on every Monday, so that it comes round to every scheme; the kits in one process play all schemes in
both tiers. TEST_SAMPLE, a number, chooses the sample instead of the week; pytest's last lines have the number and the
schemes, so that a failure can be repeated later:

    TEST_SAMPLE=105706 make test
    TEST_TIER=all .venv/bin/python -m pytest tests/conformance -k li2020/maac
"""

import os
from collections.abc import Sequence
from datetime import date

from controller.config.catalogue import schemes

EVERYTHING = os.environ.get("TEST_TIER") == "all"  # make test-all, and CI
SIZE, LEARNING_SIZE = 4, 2  # of the sample: of schemes that only act, and of those that learn

# In the environment, where xdist's workers find it: all have to collect the same tests, also around midnight on Sunday.
NUMBER = int(os.environ.setdefault("TEST_SAMPLE", str((date.today().toordinal() - 1) // 7)))


def window(names: Sequence[str], size: int, number: int) -> list[str]:
    """`size` of the names: those after the ones of the number before, from the end on to the beginning."""
    first = number * size
    return [names[place % len(names)] for place in range(first, first + min(size, len(names)))]


def _sample() -> list[str]:
    """What `make test` plays in real processes."""
    acting = sorted(name for name, scheme in schemes().items() if not scheme.learns)
    learning = sorted(name for name, scheme in schemes().items() if scheme.learns)
    return [*window(acting, SIZE, NUMBER), *window(learning, LEARNING_SIZE, NUMBER)]


IN_PROCESSES: Sequence[str] = list(schemes()) if EVERYTHING else _sample()


def summary() -> str:
    """The sample in words, with the command that repeats it."""
    if EVERYTHING:
        return f"in real processes: all {len(IN_PROCESSES)} schemes"
    return (
        f"in real processes: {len(IN_PROCESSES)} of {len(schemes())} schemes, sample {NUMBER} "
        f"(again: TEST_SAMPLE={NUMBER}; all: TEST_TIER=all): {', '.join(IN_PROCESSES)}"
    )

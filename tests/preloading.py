"""The parent that this test process forks runs from, with torch loaded, so that not every node that learns loads it.

Loading takes seconds of each process's time, and most of that of a short run. Users' runs have no torch in the parent:
nodes that only act would carry it, and `tests/system/test_startup.py` checks that they do not.
"""

import multiprocessing
from functools import cache
from multiprocessing import forkserver
from typing import Any

from protocol.messages.plan import RunPlan
from schemes.contract import load

_LOADED_BY_OPTIMISERS = ("torch", "torch._dynamo")  # the second at the first step: more modules than the first


def preload_torch_for(plan: RunPlan) -> None:
    """Let the parent have torch from the first run that learns on."""
    if load(plan.scheme).learns:
        _restart_with_torch()


@cache
def _restart_with_torch() -> None:
    parent: Any = forkserver
    parent._forkserver._stop()  # there for tests; a parent that runs already would not take another list
    multiprocessing.set_forkserver_preload([*_LOADED_BY_OPTIMISERS, "controller.execution.preload"])
    forkserver.ensure_running()

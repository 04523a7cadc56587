"""Slots per second of 20 agents in containers, as a ratio to 20 processes in the same session, step by step.

    processes        the placement `processes`: loopback, no keys, every node forked by the run
    pool             workers on loopback instead, without keys
    encrypted pool   the same with keys: the cost of CURVE
    dense            one container with a capacity of 20, another for the channel server: the cost of a bridge
    containers       20 containers: the cost of a network namespace, a virtual cable and a control group per node

Policy: the 40-512-128-10 actor in li2020's cell. Median over rounds, each of which measures all steps. Needs docker, as
root, and the images of compose.yaml (`docker-compose build`).

    python -m benchmarks.containers [rounds]
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from airtoll.client import Controller
from protocol.transports.keys import Keys
from tests.containers.engine import Stack
from tests.system.pool import WorkerProcesses

AGENTS, SLOTS, ROUNDS = 20, 1500, 3
RUN: dict[str, Any] = {
    "world": {"name": "d2d_underlay", "pairs": AGENTS},
    "scheme": "li2020/untrained_actor",
    "slots": SLOTS,
}
Speed = Callable[[], float]


def speed(client: Controller, placement: str) -> float:
    """Slots per second, from the first slot to the end of the last."""
    run = client.wait(client.submit(RUN | {"placement": placement})["id"])
    if run["state"] != "SUCCEEDED":
        raise RuntimeError(run["reason"])
    return float(json.loads(client.file(run["id"], "summary.json"))["slots_per_s"])


@contextmanager
def on_loopback(folder: Path, *, encrypted: bool) -> Iterator[Controller]:
    """A controller and its workers on this machine."""
    folder.mkdir()
    options = ["--keys", str(Keys.make(folder / "keys").folder)] if encrypted else []
    pool = WorkerProcesses(folder)
    try:
        pool.start("channel", *options)
        pool.start("agent", "--capacity", str(AGENTS), *options)
        with pool.serving(*options) as service:
            yield service.client
    finally:
        pool.close()


@contextmanager
def in_containers(project: str, *options: str, **scale: int) -> Iterator[Controller]:
    """The services of compose.yaml."""
    stack = Stack(project, AIRTOLL_REST="127.0.0.1:0", AIRTOLL_CAPACITY=str(AGENTS))
    try:
        stack.up(*options, **scale)
        yield stack.client()
    finally:
        stack.down()


def main() -> None:
    """Print a row per step."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else ROUNDS
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        loopback = stack.enter_context(on_loopback(Path(name, "open"), encrypted=False))
        encrypted = stack.enter_context(on_loopback(Path(name, "encrypted"), encrypted=True))
        dense = stack.enter_context(in_containers("airtoll-dense", "--profile", "dense", agent=0))
        containers = stack.enter_context(in_containers("airtoll-bench", agent=AGENTS))
        steps: dict[str, Speed] = {
            "processes": lambda: speed(loopback, "processes"),
            "pool": lambda: speed(loopback, "pool"),
            "encrypted pool": lambda: speed(encrypted, "pool"),
            "dense": lambda: speed(dense, "pool"),
            "containers": lambda: speed(containers, "pool"),
        }
        measured = [{step: measure() for step, measure in steps.items()} for _ in range(rounds)]
    print(f"{AGENTS} agents, {SLOTS} slots, median of {rounds} rounds")
    for step in steps:
        ratio = statistics.median(by_step[step] / by_step["processes"] for by_step in measured)
        slots = statistics.median(by_step[step] for by_step in measured)
        print(f"{step:14}  {slots:7.0f} slots/s  {ratio:.2f} of processes")


if __name__ == "__main__":
    main()

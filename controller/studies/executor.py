"""Cells over the cores: a process for each, so many at a time."""

import json
import multiprocessing
import shutil
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from multiprocessing import connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

from controller.config.run_config import as_mapping, load
from controller.execution.children import leave_with_parent
from controller.execution.local_machine import start_process
from controller.execution.run import execute, ignore_telemetry
from controller.run_folder.folder import RunFolder
from controller.studies.cells import Cell

_TRIES = 2


class Carried(NamedTuple):
    """What became of a cell: the run's summary, or why there is none. `last`: it is not tried again."""

    cell: Cell
    summary: dict[str, Any] | None
    reason: str
    last: bool


class _Worker(NamedTuple):
    cell: Cell
    folder: Path
    process: ForkServerProcess


def run_cells(
    cells: Sequence[Cell], folder_of: Callable[[Cell], Path], *, workers: int
) -> Generator[Carried, None, None]:
    """Carry out each cell in a process and a run's folder of its own, and tell of each as it is done.

    A process that dies is told, and its cell tried once more. Processes that are still at work when the generator is
    closed or interrupted are killed, and their folders removed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["controller.execution.preload", __name__])
    waiting, deaths = deque(cells), Counter[str]()
    at_work: list[_Worker] = []
    try:
        while waiting or at_work:
            while waiting and len(at_work) < workers:
                cell = waiting.popleft()
                at_work.append(_start(context, cell, folder_of(cell)))
            ended = connection.wait([worker.process.sentinel for worker in at_work])
            for worker in [worker for worker in at_work if worker.process.sentinel in ended]:
                at_work.remove(worker)
                carried = _collected(worker, deaths)
                if not carried.last:
                    waiting.append(carried.cell)
                yield carried
    finally:
        for worker in at_work:
            worker.process.kill()
            worker.process.join()
            worker.process.close()
            shutil.rmtree(worker.folder, ignore_errors=True)


def play_cell(config: str, folder: str) -> None:
    """A cell's process: an ordinary run, in one process."""
    leave_with_parent()
    run = RunFolder.create(load(json.loads(config)), at=Path(folder))
    execute(run.config.plan(run.meta["run_id"]), "in-process", run, ignore_telemetry)
    run.summarise()


def _start(context: ForkServerContext, cell: Cell, folder: Path) -> _Worker:
    shutil.rmtree(folder, ignore_errors=True)  # what a study that was killed left of it
    arguments = (json.dumps(as_mapping(cell.config)), str(folder))
    return _Worker(cell, folder, start_process(context, play_cell, arguments))


def _collected(worker: _Worker, deaths: Counter[str]) -> Carried:
    cell, folder, process = worker
    process.join()
    exitcode = process.exitcode or 0
    process.close()
    if exitcode == 0:
        return Carried(cell, RunFolder.open(folder).summary, "", last=True)
    shutil.rmtree(folder, ignore_errors=True)
    cause = f"signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"
    deaths[cell.digest] += 1
    return Carried(cell, None, f"its process died ({cause})", last=deaths[cell.digest] == _TRIES)

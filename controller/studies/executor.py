"""Executes a study's cells, each in a process of its own, as many at a time as there are workers."""

import json
import multiprocessing
import shutil
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from multiprocessing import connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

from controller.config.resolved import load
from controller.config.run_config import as_mapping
from controller.execution.children import exit_with_parent
from controller.execution.local_machine import cause, start_process
from controller.execution.run import ignore_telemetry, run
from controller.run_folder.reader import RunFolder
from controller.run_folder.writer import RunWriter
from controller.studies.cells import StudyCell
from controller.studies.measures import recorded

_TRIES = 2


class CellResult(NamedTuple):
    """The summary of a cell's run, or the reason why there is none. `last`: the cell is not tried again."""

    cell: StudyCell
    summary: dict[str, Any] | None
    reason: str
    last: bool


class _Worker(NamedTuple):
    cell: StudyCell
    folder: Path
    process: ForkServerProcess


def run_cells(
    cells: Sequence[StudyCell],
    folder_of: Callable[[StudyCell], Path],
    weights_of: Callable[[StudyCell], Path | None],
    *,
    workers: int,
) -> Generator[CellResult, None, None]:
    """Execute each cell in a process and a run's folder of its own, and yield each result when its process ends.

    `weights_of`: the file of the weights that a cell starts from, None for a cell that starts from none. A cell waits
    until its file exists; when nothing runs any more that could write it, the cell has failed.
    A process that dies yields a result, too, and its cell is tried once more. When the generator is closed or
    interrupted, running processes are killed, and their folders removed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["controller.execution.preload", __name__])
    pending, deaths = deque(cells), Counter[str]()
    running: list[_Worker] = []
    try:
        while pending or running:
            for cell in [cell for cell in pending if _is_ready(weights_of(cell))][: workers - len(running)]:
                pending.remove(cell)
                running.append(_start(context, cell, folder_of(cell), weights_of(cell)))
            if not running:
                yield CellResult(pending.popleft(), None, "the run that it starts from failed", last=True)
                continue
            ended = connection.wait([worker.process.sentinel for worker in running])
            for worker in [worker for worker in running if worker.process.sentinel in ended]:
                running.remove(worker)
                result = _result_of(worker, deaths)
                if not result.last:
                    pending.append(result.cell)
                yield result
    finally:
        for worker in running:
            worker.process.kill()
            worker.process.join()
            worker.process.close()
            shutil.rmtree(worker.folder, ignore_errors=True)


def run_cell(config: str, folder: str) -> None:
    """The entry point of a cell's process: an ordinary run, placed in-process."""
    exit_with_parent()
    resolved = load(json.loads(config))
    run(resolved, RunWriter.create(resolved, at=Path(folder)), ignore_telemetry)


def _is_ready(weights: Path | None) -> bool:
    return weights is None or weights.exists()


def _start(context: ForkServerContext, cell: StudyCell, folder: Path, weights: Path | None) -> _Worker:
    settings = as_mapping(cell.run.config)
    if weights is not None:
        settings |= {"start": {"weights": str(weights.absolute())}, "untrained": False}
    shutil.rmtree(folder, ignore_errors=True)  # left by a study that was killed
    arguments = (json.dumps(settings), str(folder))
    return _Worker(cell, folder, start_process(context, run_cell, arguments))


def _result_of(worker: _Worker, deaths: Counter[str]) -> CellResult:
    cell, folder, process = worker
    process.join()
    exitcode = process.exitcode
    process.close()
    if exitcode == 0:
        return CellResult(cell, recorded(RunFolder.open(folder)), "", last=True)
    shutil.rmtree(folder, ignore_errors=True)
    deaths[cell.digest] += 1
    return CellResult(cell, None, f"its process died ({cause(exitcode)})", last=deaths[cell.digest] == _TRIES)

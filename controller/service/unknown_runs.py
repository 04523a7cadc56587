"""Runs that lie in the data folder and are not in the index, because the database was lost or replaced."""

import logging
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

from controller.config import layers
from controller.run_folder.reader import NotARunError, RunFolder
from controller.run_folder.status import FINAL_STATES, State
from controller.service import endings
from controller.service.run_process_handle import RunProcessHandle
from controller.service.store import Run, RunResults

SERVICE_COMMAND = "airtoll serve"  # in the meta data of a service's runs
_DELETED = ".deleted"
_LOG = logging.getLogger("airtoll")


def hide(folder: Path) -> None:
    """Rename the folder of a run that is to be deleted: at once, so that it is there for others or is not."""
    try:
        folder.rename(_hidden(folder))
    except FileNotFoundError:
        return  # hidden before, or removed by hand


def delete_hidden(folder: Path) -> None:
    """Delete a folder that was hidden."""
    rmtree(_hidden(folder), ignore_errors=True)


def unknown_runs(runs: Path, known: Collection[str]) -> Iterator[Run]:
    """The runs of a service in the folder `runs` that are not `known`; deletes the hidden folders of the others."""
    for path in sorted(runs.iterdir()) if runs.is_dir() else ():
        if path.name.startswith(".") and path.name.endswith(_DELETED):
            if path.name[1 : -len(_DELETED)] not in known:
                rmtree(path, ignore_errors=True)
        elif path.name not in known and path.is_dir():
            try:
                yield _run_in(path)
            except (ValueError, OSError) as error:  # damaged, of no service, or unreadable
                _LOG.warning("the folder %s is not in the index, and is left alone: %s", path, error)


def _hidden(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_DELETED}")


def _run_in(path: Path) -> Run:
    """The run of a folder. ValueError for one that is damaged, or that no service made."""
    folder = RunFolder.open(path)
    meta = folder.meta
    if meta.command != [SERVICE_COMMAND] or meta.run_id != path.name:
        raise NotARunError(f"no controller made it under this name (run {meta.run_id}, command {meta.command})")
    state, results, ended = _present_state(path, meta.state)
    return Run(
        id=meta.run_id,
        state=state,
        reason=results.reason,
        world=meta.world,
        scheme=meta.scheme,
        seed=meta.seed,
        slots=meta.planned_slots,
        slot=results.slot,
        created=_written(folder.config_file),
        ended=ended,
        metrics=results.metrics,
        trace_digest=results.trace_digest,
        config=layers.from_file(folder.config_file).data,
        folder=path,
    )


def _present_state(path: Path, state: State) -> tuple[State, RunResults, datetime | None]:
    """State, results and end time. A run that has begun is RUNNING: its follower finds out what became of it."""
    if not endings.started(path):  # also one that was stopped while it waited
        return state, RunResults(), _written(path) if state in FINAL_STATES else None
    process = RunProcessHandle.find(path)
    if process is not None:
        process.close()
    elif endings.ended(path) and (ending := endings.end(path, "", killed=False)):
        return ending.state, ending.results, _written(path)
    return State.RUNNING, RunResults(), None


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)

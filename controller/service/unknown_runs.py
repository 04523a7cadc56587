"""Runs that lie in the data folder and are not in the index: its database was lost or replaced, or `airtoll run` made
them there, or they were imported from another folder."""

import logging
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

from controller.config import layers
from controller.config.errors import ConfigError
from controller.run_folder.files import DamagedFileError
from controller.run_folder.layout import CONFIG, META
from controller.run_folder.orders import ORDERS
from controller.run_folder.reader import NotARunError, RunFolder
from controller.run_folder.status import FINAL_STATES, LOCK, State
from controller.service import endings
from controller.service.run_process_handle import RunProcessHandle
from controller.service.store import Run, RunResults

SERVICE_COMMAND = "airtoll serve"  # in the meta data of a service's runs
_DELETED = ".deleted"
_OF_PROCESSES = (LOCK, ORDERS)  # of the run process that another service had
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
    """The runs in the folder `runs` that are not `known`: a service's, and others that have ended. Deletes the hidden
    folders of runs that were deleted."""
    for path in sorted(runs.iterdir()) if runs.is_dir() else ():
        if path.name.startswith(".") and path.name.endswith(_DELETED):
            if path.name[1 : -len(_DELETED)] not in known:
                rmtree(path, ignore_errors=True)
        elif path.name not in known and (path / CONFIG).is_file():  # a study's folder has none
            try:
                yield _run_in(path)
            except (ValueError, OSError) as error:  # damaged, not ended, or unreadable
                _LOG.warning("the folder %s is not in the index, and is left alone: %s", path, error)


def import_runs(sources: Iterable[Path], runs: Path) -> list[str]:
    """Copy the runs of folders, or of the folders inside them, into the folder `runs`; their ids. Those that lie there
    already stay as they are. ConfigError for a folder without runs."""
    folders = [folder for source in sources for folder in _run_folders(source)]
    return [run_id for folder in folders if (run_id := _imported(folder, runs))]


def _run_folders(source: Path) -> list[Path]:
    if (source / CONFIG).is_file():
        return [source]
    if found := sorted(path.parent for path in source.glob(f"*/{CONFIG}")):
        return found
    raise ConfigError(f"--import {source}: no run's folder there; give one, or a folder that has some, such as runs")


def _imported(folder: Path, runs: Path) -> str:
    """The id of a copied run; empty for one that cannot be taken in."""
    try:
        meta = RunFolder(folder).meta
    except DamagedFileError as damage:
        _LOG.warning("%s is not imported: %s", folder, damage)
        return ""
    if meta.state not in FINAL_STATES:
        fix = "airtoll resume continues it" if meta.state is not State.PENDING else "it has not begun"
        _LOG.warning("%s is not imported: its run is %s; %s", folder, meta.state.value, fix)
        return ""
    target = runs / meta.run_id
    if not target.exists():
        draft = _hidden(target)  # a copy that is cut off is deleted by the next service
        rmtree(draft, ignore_errors=True)
        copytree(folder, draft, ignore=ignore_patterns(*_OF_PROCESSES))
        draft.rename(target)
    return meta.run_id


def _hidden(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_DELETED}")


def _run_in(path: Path) -> Run:
    """The run of a folder. ValueError for one that is damaged, that has another name than its run, or that no service
    made and that has not ended."""
    folder = RunFolder.open(path)
    meta = folder.meta
    if meta.run_id != path.name:
        raise NotARunError(f"the folder of run {meta.run_id} has another name: airtoll serve --import {path} copies it")
    if meta.command != [SERVICE_COMMAND] and meta.state not in FINAL_STATES:
        raise NotARunError(f"airtoll run made it, and it is {meta.state.value}: it can be taken in once it has ended")
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
    if not endings.started(path):  # one that was stopped while it waited, or that no service ran
        if state in FINAL_STATES:
            return state, endings.results_of(path), _written(path / META)
        return state, RunResults(), None
    process = RunProcessHandle.find(path)
    if process is not None:
        process.close()
    elif endings.ended(path) and (ending := endings.end(path, "", killed=False)):
        return ending.state, ending.results, _written(path)
    return State.RUNNING, RunResults(), None


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)

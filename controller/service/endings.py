"""How a run ended whose run process is gone: read from its folder, and written there if the process has not done so."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from controller.run_folder.files import DamagedFileError, is_transient
from controller.run_folder.reader import NotARunError, RunFolder
from controller.run_folder.status import FINAL_STATES, RunStatus, State
from controller.run_folder.writer import set_state
from controller.service.run_process_handle import RunProcessHandle
from controller.service.store import RunResults

_LOG = logging.getLogger("airtoll")


class Ending(NamedTuple):
    """A run's final state and what the index stores of it."""

    state: State
    results: RunResults


def started(folder: Path) -> bool:
    """Whether a run process has ever written a status, readable or not."""
    try:
        return RunStatus.read(folder) is not None
    except DamagedFileError:
        return True


def ended(folder: Path) -> bool:
    """Whether the run process has written a final status."""
    with suppress(DamagedFileError):
        status = RunStatus.read(folder)
        return status is not None and status.state in FINAL_STATES
    return False


def end(folder: Path, died: str, *, killed: bool) -> Ending | None:
    """The ending of a run whose run process is gone; None if one is alive after all.

    `died`: why, if the run process has not written an end. OSError for what `is_transient`; any other fault of the
    folder becomes part of the reason.
    """
    status = _status(folder, died, killed=killed)
    if status.state in FINAL_STATES and not ended(folder):
        try:
            if not RunProcessHandle.write_final_status(folder, status):
                return None
        except OSError as error:
            if is_transient(error):
                raise
            _LOG.warning("the end of the run in %s cannot be written there: %s", folder, error)
    write_folder_state(folder, status)
    return Ending(status.state, _results(folder, status))


def results_of(path: Path) -> RunResults:
    """What the index stores of a run that ended without a run process. DamagedFileError."""
    meta = RunFolder.open(path).meta
    return _results(path, RunStatus(meta.state, meta.slots or 0, meta.reason))


def newest_checkpoint(path: Path) -> int | None:
    """The slot of a lost run's newest checkpoint; None if there is none, or if the run itself has succeeded."""
    with suppress(DamagedFileError, NotARunError):
        folder = RunFolder.open(path)
        if folder.meta.state is not State.SUCCEEDED:
            return next(iter(folder.checkpoints.slots), None)
    return None


def write_folder_state(path: Path, status: RunStatus) -> None:
    """Write the end of a run into its folder's meta data, unless its run process has written one. OSError."""
    with suppress(DamagedFileError, NotARunError):
        folder = RunFolder.open(path)
        if folder.meta.state not in FINAL_STATES:
            set_state(path, status.state, status.reason)


def _status(folder: Path, died: str, *, killed: bool) -> RunStatus:
    """The final status that the run process has written, or the one that it lacks."""
    slot = 0
    try:
        if (status := RunStatus.read(folder)) is not None:
            if status.state in FINAL_STATES:
                return status
            slot = status.slot
    except DamagedFileError as damage:
        died = f"{died}; {damage}"
    if killed:
        return RunStatus(
            State.STOPPED, slot, "its run process did not stop in time and was killed: there is no summary"
        )
    return RunStatus(State.FAILED, slot, died)


def _results(path: Path, status: RunStatus) -> RunResults:
    """What the index stores of an ended run; a run that was cut off has no summary."""
    summary: dict[str, Any] = {}
    with suppress(DamagedFileError, NotARunError):
        summary = RunFolder.open(path).summary
    return RunResults(
        reason=status.reason,
        slot=status.slot,
        metrics=summary.get("metrics", {}),
        trace_digest=summary.get("trace_digest", ""),
    )

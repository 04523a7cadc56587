"""The status of a run that has a run process: its states, their order, and status.json, where the process writes it."""

import json
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import msgspec

from controller.run_folder.files import DamagedFileError, replace_file

LOCK = "run_process.lock"
ALREADY_RUNNING = 3  # exit code of a run process that finds another one alive
_FILE = "status.json"


class State(Enum):
    """PENDING: waits for its run process; STOPPING: asked to stop; the last three are final."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"


FINAL_STATES = frozenset({State.SUCCEEDED, State.FAILED, State.STOPPED})
ACTIVE_STATES = frozenset(State) - FINAL_STATES - {State.PENDING}  # the run has a run process, or should have one

# An active run may end in any final state: a signal may come from elsewhere than the service.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.RUNNING, State.STOPPED, State.FAILED}),
    State.RUNNING: frozenset({State.PAUSED, State.STOPPING}) | FINAL_STATES,
    State.PAUSED: frozenset({State.RUNNING, State.STOPPING}) | FINAL_STATES,
    State.STOPPING: FINAL_STATES,
    **{end: frozenset() for end in FINAL_STATES},
}


def predecessors(state: State) -> frozenset[State]:
    """The states that `state` may follow."""
    return frozenset(earlier for earlier, later in TRANSITIONS.items() if state in later)


class RunStatus(NamedTuple):
    """A run's state, the slots that are done, and why it failed.

    `port`: where the pool's workers that are leased to the run connect, while it needs any. `waiting`: what it waits
    for, such as lost nodes or the end of a baseline; empty while it runs at full speed. `remarks`: what a person must
    know of its results so far (`controller.run_folder.remarks`); of a run that has succeeded they are the reason.
    """

    state: State
    slot: int = 0
    reason: str = ""
    port: int = 0
    waiting: str = ""
    remarks: str = ""

    @classmethod
    def read(cls, folder: Path) -> "RunStatus | None":
        """The newest status of a folder's run process; None if there has been none. DamagedFileError."""
        try:
            found = json.loads((folder / _FILE).read_bytes())
            return msgspec.convert([(cls._field_defaults | found)[field] for field in cls._fields], cls)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFileError(f"{folder / _FILE} cannot be read: {error}") from error

    def write(self, folder: Path, *, durable: bool = True) -> None:
        """Replace the folder's status. `durable`: it survives a power cut, which progress within a state need not."""
        data = json.dumps(self._asdict() | {"state": self.state.value}).encode()
        replace_file(folder / _FILE, data, durable=durable)

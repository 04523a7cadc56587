"""The status of a run that has a run process: its states, their order, and status.json, where the process writes it."""

import json
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from controller.run_folder.files import replace_file

LOCK = "run_process.lock"
TAKEN = 3  # the exit code of a run process that finds another one at work
_FILE = "status.json"


class State(Enum):
    """PENDING: waits for its run process; STOPPING: asked to stop; the last three are ends."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"


ENDS = frozenset({State.SUCCEEDED, State.FAILED, State.STOPPED})
AT_WORK = frozenset(State) - ENDS - {State.PENDING}  # has a run process, or should

# A run may end in any way from wherever its run process is at work: a signal may come from elsewhere than the service.
FOLLOWING: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.RUNNING, State.STOPPED, State.FAILED}),
    State.RUNNING: frozenset({State.PAUSED, State.STOPPING}) | ENDS,
    State.PAUSED: frozenset({State.RUNNING, State.STOPPING}) | ENDS,
    State.STOPPING: ENDS,
    **{end: frozenset() for end in ENDS},
}


def before(state: State) -> frozenset[State]:
    """The states that `state` may follow."""
    return frozenset(earlier for earlier, later in FOLLOWING.items() if state in later)


class RunStatus(NamedTuple):
    """A run's state, the slots that are done, and why it failed.

    `port`: where the pool's workers that are leased to the run connect, while it needs any. `waiting`: what it waits
    for, such as lost nodes or the end of a baseline; empty while it runs at full speed.
    """

    state: State
    slot: int = 0
    reason: str = ""
    port: int = 0
    waiting: str = ""

    @classmethod
    def read(cls, folder: Path) -> "RunStatus | None":
        """The newest status of a folder's run process; None if there has been none."""
        try:
            status = json.loads((folder / _FILE).read_bytes())
        except FileNotFoundError:
            return None
        return cls(**status | {"state": State(status["state"])})

    def write(self, folder: Path) -> None:
        """Replace the folder's status."""
        replace_file(folder / _FILE, json.dumps(self._asdict() | {"state": self.state.value}).encode())

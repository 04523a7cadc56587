"""How far a kept run is: its states, which of them may follow which, and the file in which its run process says so."""

import json
from enum import Enum
from pathlib import Path
from typing import NamedTuple

LOCK = "run_process.lock"
TAKEN = 3  # the exit code of a run process that finds another at work
_FILE = "status.json"


class State(Enum):
    """PENDING waits for its run process; STOPPING has been asked to stop; the last three are ends."""

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
    """How far a run is: its state, the slots that are done, and why it failed. `port`: where workers of the pool that
    are leased to it shall come to, while it needs any."""

    state: State
    slot: int = 0
    reason: str = ""
    port: int = 0

    @classmethod
    def read(cls, folder: Path) -> "RunStatus | None":
        """What the run process of a folder said last; None if there has been none."""
        try:
            told = json.loads((folder / _FILE).read_bytes())
        except FileNotFoundError:
            return None
        return cls(State(told["state"]), told["slot"], told["reason"], told.get("port", 0))

    def write(self, folder: Path) -> None:
        """Whole or not at all."""
        draft = folder / f".{_FILE}.tmp"
        draft.write_text(json.dumps(self._asdict() | {"state": self.state.value}), "utf-8")
        draft.replace(folder / _FILE)

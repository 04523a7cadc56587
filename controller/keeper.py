"""A run's keeper: a process of its own that carries out the run of a folder, and says there how far it is.

python -m controller.keeper DIR

It depends on nobody's life. SIGINT stops the run, SIGUSR1 pauses it, SIGUSR2 lets it go on. Beside the run's own files:

keeper.lock   locked while the keeper lives: a run never has two, and the lock tells who it is
keeper.json   how far the run is: state, slot, reason, replaced as a whole
keeper.log    what the keeper's processes wrote to stdout and stderr
"""

from protocol import threads

threads.pin()  # before anything imports numpy

import fcntl  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import BinaryIO  # noqa: E402

from controller.run_folder import RunFolder  # noqa: E402
from controller.runs import (  # noqa: E402
    HEARD,
    Wishes,
    carry_out,
    carry_out_beside,
    checkpoint_to_resume,
    wishes_by_signal,
)
from controller.standing import ENDS, LOCK, TAKEN, Standing, State  # noqa: E402
from protocol.telemetry import Event, Progress, Telemetry  # noqa: E402


def main() -> None:
    """Keep the run of the folder that is given. Whoever starts a keeper blocks its signals until it can hear them."""
    path = Path(sys.argv[1])
    with (path / LOCK).open("a+b") as lock, wishes_by_signal() as wishes:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
        if not _locked(lock):
            sys.exit(TAKEN)
        before = Standing.read(path)
        if before is None or before.state not in ENDS:  # else it comes too late
            Keeper(path, wishes, lost=before is not None).keep()


class Keeper:
    """Carries out the run of a folder, and keeps its standing there up to date. `lost`: the keeper before this one."""

    def __init__(self, path: Path, wishes: Wishes, *, lost: bool) -> None:
        self._path = path
        self._wishes = wishes
        self._lost = lost
        self._standing = Standing(State.RUNNING)

    def keep(self) -> None:
        """To the run's end, whatever that is."""
        self._say(Standing(State.RUNNING))
        try:
            end = self._carry_out()
        except KeyboardInterrupt:
            end = Standing(State.STOPPED, self._standing.slot)
        except Exception as error:
            traceback.print_exc()
            end = Standing(State.FAILED, self._standing.slot, f"{type(error).__name__}: {error}")
        self._say(end)

    def _carry_out(self) -> Standing:
        folder = RunFolder.take_up(self._path)
        config = folder.config
        checkpoint = None
        if self._lost:
            checkpoint = checkpoint_to_resume(folder, at=None, told=partial(print, file=sys.stderr))
        summary = carry_out(config, folder, self._watch, checkpoint=checkpoint, wishes=self._wishes)
        if summary["state"] != "done":
            return Standing(State.FAILED, summary["slots"], summary["reason"])
        for name, other in carry_out_beside(config, folder, wishes=self._wishes).items():
            if other["state"] != "done":
                return Standing(State.FAILED, summary["slots"], f"beside, {name}: {other['reason']}")
        return Standing(State.SUCCEEDED, summary["slots"])

    def _watch(self, telemetry: Telemetry, /) -> None:
        match telemetry:
            case Progress(slot):
                self._say(Standing(self._standing.state, slot))
            case Event("paused", slot):
                self._say(Standing(State.PAUSED, slot))
            case Event("continued", slot):
                self._say(Standing(State.RUNNING, slot))
            case _:
                pass

    def _say(self, standing: Standing) -> None:
        if standing != self._standing or standing.slot == 0:
            self._standing = standing
            standing.write(self._path)


def _locked(lock: BinaryIO) -> bool:
    """Whether this process is the folder's keeper now; False when there is another."""
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    main()

"""A run's run process: a process of its own that carries out the run of a folder, and says there how far it is.

python -m controller.run_process DIR [HOST:FIRST-LAST [KEYS]]

The second argument says where workers of the pool come to, see `controller.pool.leased_workers.Ports`; the third is the
folder of keys that their lines are locked with.
It depends on nobody's life. SIGINT stops the run, SIGUSR1 pauses it, SIGUSR2 lets it go on. Beside the run's own files:

run_process.lock   locked while the run process lives: a run never has two, and the lock tells who it is
status.json   how far the run is: state, slot, reason, replaced as a whole
orders/       what is asked of the run meanwhile: controller.run_folder.orders
run_process.log    what the run process's processes wrote to stdout and stderr
"""

from protocol.determinism import threads

threads.pin()  # before anything imports numpy

import fcntl  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import BinaryIO  # noqa: E402

from controller.config.run_config import RunConfig  # noqa: E402
from controller.execution.run import (  # noqa: E402
    HEARD,
    RunControls,
    checkpoint_to_resume,
    controls_by_signal,
    run,
    run_baselines,
)
from controller.pool.leased_workers import LeasedWorkers, Ports  # noqa: E402
from controller.run_folder.folder import RunFolder  # noqa: E402
from controller.run_folder.orders import Orders  # noqa: E402
from controller.run_folder.status import ENDS, LOCK, TAKEN, RunStatus, State  # noqa: E402
from protocol.messages.telemetry import Event, OrderDone, Progress, Telemetry  # noqa: E402
from protocol.transports.keys import Keys  # noqa: E402


def main() -> None:
    """Keep the run of the folder that is given. Whoever starts a run process blocks its signals until it can hear them."""
    path = Path(sys.argv[1])
    with (path / LOCK).open("a+b") as lock, controls_by_signal() as controls:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
        if not _locked(lock):
            sys.exit(TAKEN)
        before = RunStatus.read(path)
        if before is not None and before.state in ENDS:
            return  # it comes too late
        ports = Ports.parse(sys.argv[2]) if sys.argv[2:] else Ports()
        keys = Path(sys.argv[3]) if sys.argv[3:] else None
        RunProcess(path, controls, ports, keys, lost=before is not None).keep()


class RunProcess:
    """Carries out the run of a folder, and keeps its standing there up to date. `lost`: the run process before this one."""

    def __init__(self, path: Path, controls: RunControls, ports: Ports, keys: Path | None, *, lost: bool) -> None:
        self._path = path
        self._ports = ports
        self._keys = keys
        self._orders = Orders(path)
        self._controls = controls._replace(interrupted=self._interrupted, orders=self._orders.taken_up)
        self._heard = controls.interrupted
        self._lost = lost
        self._status = RunStatus(State.RUNNING)

    def keep(self) -> None:
        """To the run's end, whatever that is."""
        self._say(RunStatus(State.RUNNING))
        try:
            end = self._run()
        except KeyboardInterrupt:
            end = RunStatus(State.STOPPED, self._status.slot)
        except Exception as error:
            traceback.print_exc()
            end = RunStatus(State.FAILED, self._status.slot, f"{type(error).__name__}: {error}")
        self._orders.close()
        self._say(end)

    def _run(self) -> RunStatus:
        folder = RunFolder.reopen(self._path)
        config = folder.config
        checkpoint = None
        if self._lost:
            checkpoint = checkpoint_to_resume(folder, at=None, told=partial(print, file=sys.stderr))
        with self._leased(config) as machine:
            summary = run(config, folder, self._watch, checkpoint=checkpoint, controls=self._controls, machine=machine)
        ended = RunStatus(State(summary["state"]), summary["slots"], summary["reason"])
        if ended.state is not State.SUCCEEDED:
            return ended
        for name, other in run_baselines(config, folder, controls=self._controls._replace(orders=tuple)).items():
            if State(other["state"]) is not State.SUCCEEDED:
                return RunStatus(State.FAILED, summary["slots"], f"baseline {name}: {other['reason']}")
        return ended

    def _interrupted(self) -> bool:
        """Whether the run shall stop; that this was heard is said at once, or the run process is taken for deaf."""
        heard = self._heard()
        if heard and self._status.state is not State.STOPPING:
            self._say(self._status._replace(state=State.STOPPING))
        return heard

    @contextmanager
    def _leased(self, config: RunConfig) -> Iterator[LeasedWorkers | None]:
        """Workers of the pool, if the run wants them, for as long as it wants them."""
        if config.placement != "pool":
            yield None
            return
        keys = None if self._keys is None else Keys.read(self._keys)
        with LeasedWorkers(self._ports, config.capacity, keys) as workers:
            self._say(self._status._replace(port=workers.port))
            try:
                yield workers
            finally:
                self._say(self._status._replace(port=0))

    def _watch(self, telemetry: Telemetry, /) -> None:
        match telemetry:
            case Progress(slot):
                self._say(self._status._replace(slot=slot))
            case Event("paused", slot) if self._status.state is State.RUNNING:
                self._say(self._status._replace(state=State.PAUSED, slot=slot))
            case Event("continued", slot) if self._status.state is State.PAUSED:
                self._say(self._status._replace(state=State.RUNNING, slot=slot))
            case OrderDone():
                self._orders.answered(telemetry)
            case Event("rolled back"):
                self._orders.take_again()
            case _:
                pass

    def _say(self, status: RunStatus) -> None:
        if status != self._status or status.slot == 0:
            self._status = status
            status.write(self._path)


def _locked(lock: BinaryIO) -> bool:
    """Whether this process is the folder's run process now; False when there is another."""
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    main()

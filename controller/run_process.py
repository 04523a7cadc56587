"""A run process: executes the run of a folder and reports its status there.

python -m controller.run_process DIR [HOST:FIRST-LAST [KEYS]]

The second argument says where the pool's workers connect, see `controller.pool.leased_workers.Ports`; the third is the
folder of keys that encrypt their connections. The process outlives the service that started it. SIGINT stops the run,
SIGUSR1 pauses it, SIGUSR2 resumes it. It keeps these files next to the run's:

run_process.lock   locked while the process lives, so that a run never has two
status.json        state, slot, reason, what the run waits for; replaced as a whole
orders/            requests to the run: controller.run_folder.orders
run_process.log    stdout and stderr of the process and its children
"""

from protocol.determinism import threads

threads.pin()  # before anything imports numpy

import fcntl  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager, suppress  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import BinaryIO  # noqa: E402

from controller.config.resolved import ResolvedRun  # noqa: E402
from controller.execution.controls import SIGNALS, RunControls, controls_by_signal  # noqa: E402
from controller.execution.run import BaselineNumber, checkpoint_to_resume, reopen, run, run_baselines  # noqa: E402
from controller.pool.leased_workers import LeasedWorkers, Ports  # noqa: E402
from controller.run_folder.files import DamagedFileError  # noqa: E402
from controller.run_folder.orders import Orders  # noqa: E402
from controller.run_folder.reader import RunFolder  # noqa: E402
from controller.run_folder.status import ALREADY_RUNNING, FINAL_STATES, LOCK, RunStatus, State  # noqa: E402
from controller.run_folder.writer import RunWriter, failure  # noqa: E402
from protocol.messages.telemetry import Event, OrderDone, Progress, Sink, Telemetry  # noqa: E402
from protocol.transports.keys import Keys  # noqa: E402


def main() -> None:
    """Execute the run of the folder that is given as an argument.

    The parent blocks this process's signals: one that arrived before the handlers are installed would kill it.
    """
    path = Path(sys.argv[1])
    with (path / LOCK).open("a+b") as lock, controls_by_signal() as controls:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if not _locked(lock):
            sys.exit(ALREADY_RUNNING)
        try:
            before = RunStatus.read(path)
        except DamagedFileError as damage:
            print(f"{damage}: its run process is taken for lost", file=sys.stderr)
            before = RunStatus(State.RUNNING)
        if before is not None and before.state in FINAL_STATES:
            return  # another process has finished the run
        ports = Ports.parse(sys.argv[2]) if sys.argv[2:] else Ports()
        keys = Path(sys.argv[3]) if sys.argv[3:] else None
        RunProcess(path, controls, ports, keys, resume=before is not None).execute()


class RunProcess:
    """Executes the run of a folder, and keeps its status.json up to date. `resume`: an earlier process died."""

    def __init__(self, path: Path, controls: RunControls, ports: Ports, keys: Path | None, *, resume: bool) -> None:
        self._path = path
        self._ports = ports
        self._keys = keys
        self._orders = Orders(path)
        self._controls = controls._replace(interrupted=self._interrupted, orders=self._orders.take)
        self._stop_requested = controls.interrupted
        self._resume = resume
        self._status = RunStatus(State.RUNNING)
        self._writer: RunWriter | None = None

    def execute(self) -> None:
        """Execute the run and its baselines, and write the final status, however they end."""
        self._set_status(RunStatus(State.RUNNING))
        try:
            end = self._run()
        except KeyboardInterrupt:
            end = RunStatus(State.STOPPED, self._status.slot)
        except Exception as error:
            end = RunStatus(State.FAILED, self._status.slot, failure(error))
            with suppress(OSError):  # the log is on the disk that may be full
                traceback.print_exc()
        self._orders.close()
        self._set_status(end)

    def _run(self) -> RunStatus:
        resolved, writer = reopen(self._path)
        self._writer = writer
        checkpoint = None
        if self._resume:
            checkpoint = checkpoint_to_resume(writer.folder, at=None, warn=partial(print, file=sys.stderr))
        with self._leased_workers(resolved) as machine:
            summary = run(
                resolved, writer, self._watch, checkpoint=checkpoint, controls=self._controls, machine=machine
            )
        ended = RunStatus(State(summary["state"]), summary["slots"], summary["reason"])
        return self._run_baselines(resolved, writer.folder, ended) if ended.state is State.SUCCEEDED else ended

    def _run_baselines(self, resolved: ResolvedRun, folder: RunFolder, ended: RunStatus) -> RunStatus:
        """The status after the baselines of a run that has succeeded."""

        @contextmanager
        def watch(baseline: BaselineNumber) -> Iterator[Sink]:
            slots = resolved.baselines[baseline.name].plan.slots

            def report(slot: int) -> None:
                waiting = f"{baseline}, slot {slot:,} of {slots:,}"
                self._set_status(self._status._replace(waiting=waiting))

            def sink(telemetry: Telemetry, /) -> None:
                if isinstance(telemetry, Progress):
                    report(telemetry.slot)

            report(0)
            yield sink

        controls = self._controls._replace(orders=tuple)  # orders are for the run itself, which has ended
        for name, summary in run_baselines(resolved, folder, controls=controls, watch=watch).items():
            if State(summary["state"]) is not State.SUCCEEDED:
                return RunStatus(State.FAILED, ended.slot, f"baseline {name}: {summary['reason']}")
        return ended

    def _interrupted(self) -> bool:
        """Whether the run is to stop. Reports STOPPING at once: the service kills a process that does not confirm."""
        requested = self._stop_requested()
        if requested and self._status.state is not State.STOPPING:
            self._set_status(self._status._replace(state=State.STOPPING))
        return requested

    @contextmanager
    def _leased_workers(self, resolved: ResolvedRun) -> Iterator[LeasedWorkers | None]:
        """The pool's workers that are leased to the run; None in another placement."""
        if resolved.config.placement != "pool":
            yield None
            return
        keys = None if self._keys is None else Keys.read(self._keys)
        with LeasedWorkers(self._ports, resolved.capacity, keys) as workers:
            self._set_status(self._status._replace(port=workers.port))
            try:
                yield workers
            finally:
                self._set_status(self._status._replace(port=0))

    def _watch(self, telemetry: Telemetry, /) -> None:
        match telemetry:
            case Progress(slot):
                remarks = "" if self._writer is None else self._writer.remarks.now()
                self._set_status(self._status._replace(slot=slot, waiting=_waiting(telemetry), remarks=remarks))
            case Event("paused", slot) if self._status.state is State.RUNNING:
                self._set_status(self._status._replace(state=State.PAUSED, slot=slot))
            case Event("continued", slot) if self._status.state is State.PAUSED:
                self._set_status(self._status._replace(state=State.RUNNING, slot=slot))
            case OrderDone():
                self._orders.done(telemetry)
            case Event("rolled back"):
                self._orders.take_again()
            case _:
                pass

    def _set_status(self, status: RunStatus) -> None:
        if status != self._status or status.slot == 0:
            # Progress is written several times a second, and lost in a power cut together with the run itself.
            durable = _lasting(status) != _lasting(self._status)
            self._status = status
            status.write(self._path, durable=durable)


def _lasting(status: RunStatus) -> RunStatus:
    """The status without what changes with every slot."""
    return status._replace(slot=0, waiting="", remarks="")


def _waiting(progress: Progress) -> str:
    """What a run waits for, if a person should know; empty while it waits for replies, as it always does."""
    reasons = {"NODES_TO_JOIN": "waits for nodes to join", "LOST_NODES": "waits for lost nodes to come back"}
    if progress.waiting not in reasons:
        return ""
    more = progress.awaited_count - len(progress.awaited)
    names = ", ".join([*progress.awaited, *([f"{more} more"] if more else [])])
    return f"{reasons[progress.waiting]}: {names}"


def _locked(lock: BinaryIO) -> bool:
    """Whether this process now holds the folder's lock; False when another one does."""
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    main()

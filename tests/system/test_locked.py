"""A run with encrypted connections, and clients that it must reject."""

from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from controller.execution.processes import NodeProcesses
from protocol.messages.telemetry import Progress, Telemetry
from protocol.transports.keys import ClientKeys, Keys
from protocol.transports.router import FOR_ANOTHER_SERVER, NOT_ON_THE_LIST, WITHOUT_A_KEY
from tests.knocking import knock, unlisted_keys, wrong_server_keys
from tests.recording import assert_same_trace, in_process, plan_for, reasons
from tests.system.processes import Meanwhile, play

TRIES = 100  # of each kind
LOGGED = 20


def test_rejected_connections_change_nothing_and_are_counted(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path / "keys")
    plan = plan_for("li2020/sla", slots=3000)
    unknown = [unlisted_keys(keys) for _ in range(TRIES)]
    tries = [*unknown, *(wrong_server_keys(keys) for _ in range(TRIES)), *(None for _ in range(TRIES))]
    recording = play(plan, _while_they_knock(tries), keys=keys.folder)
    assert recording.ended is not None
    assert recording.ended.dropped == dict.fromkeys((NOT_ON_THE_LIST, FOR_ANOTHER_SERVER, WITHOUT_A_KEY), TRIES)
    logged = reasons(recording.events, "dropped")
    assert len(logged) == 3 * LOGGED
    first = {f"{NOT_ON_THE_LIST}: {own.public[:8].decode()}..." for own in unknown}
    assert len(first & set(logged)) == LOGGED
    assert_same_trace(recording, in_process(plan))


def _while_they_knock(tries: Sequence[ClientKeys | None]) -> Meanwhile:
    """Connect from slot 100 on; the run is paused until all connections are rejected."""
    knocking: list[Thread] = []

    def idle_work(run: NodeProcesses, telemetry: Telemetry) -> None:
        if not isinstance(telemetry, Progress):
            return
        if not knocking and telemetry.slot >= 100:
            knocking.append(Thread(target=knock, args=(run.endpoint, tries)))
            knocking[0].start()
        elif knocking and knocking[0].is_alive():
            run.pause()
            knocking[0].join()
            run.resume()

    return idle_work

"""A run whose connections are locked, and those who should not have come."""

from pathlib import Path

from protocol.keys import Keys
from protocol.transports.router import FOR_ANOTHER_SERVER, NOT_ON_THE_LIST, WITHOUT_A_KEY
from tests.knocking import knock, lost, stranger
from tests.recording import assert_same_trace, in_process, plan_for, reasons
from tests.system.processes import at_slot, play

TRIES = 100  # of each kind
LOGGED = 20


def test_strangers_change_nothing_and_are_counted(tmp_path: Path) -> None:
    keys = Keys.make(tmp_path / "keys")
    plan = plan_for("li2020/sla", slots=3000)
    unknown = [stranger(keys) for _ in range(TRIES)]
    tries = [*unknown, *(lost(keys) for _ in range(TRIES)), *(None for _ in range(TRIES))]
    recording = play(plan, at_slot(100, lambda run: knock(run.endpoint, tries)), keys=keys.folder)
    assert recording.ended is not None
    assert recording.ended.dropped == dict.fromkeys((NOT_ON_THE_LIST, FOR_ANOTHER_SERVER, WITHOUT_A_KEY), TRIES)
    told = reasons(recording.events, "dropped")
    assert len(told) == 3 * LOGGED
    first = {f"{NOT_ON_THE_LIST}: {own.public[:8].decode()}..." for own in unknown}
    assert len(first & set(told)) == LOGGED
    assert not any(keys.server().secret[:8].decode() in line for line in told)
    assert_same_trace(recording, in_process(plan))

"""docs/rest.md: a running controller answers as it says."""

import re
from pathlib import Path

from controller.run_folder.status import FOLLOWING, State
from controller.service.limits import MAX_QUEUED, MAX_READERS, MAX_UNREAD_EVENTS, REQUEST_TIMEOUT_S
from tests.docs.pages import page, table
from tests.docs.rest_page import PAGE, console, played
from tests.system.service import serving


def _masked(text: str) -> list[str]:
    """Without what is another with every run, or on another machine; a line that was cut, up to there."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"-s1-[0-9a-f]{4}", "-s1-ID", text)
    text = re.sub(r"-?\d+\.\d+(e-?\d+)?|id: [\d-]+", "NUMBER", text)
    return [line if not line.endswith("...") else line[:150] for line in text.splitlines()]


def test_a_controller_answers_as_shown(tmp_path: Path) -> None:
    with serving(tmp_path / "runs") as service:
        answers = played(service, tmp_path)
    assert _masked(answers) == _masked(console())


def test_the_states_shown_are_those_there_are() -> None:
    shown = set(re.findall(r"\b[A-Z]{6,9}\b", page(PAGE).partition("## What happens")[2].partition("A run waits")[0]))
    assert shown == {state.value for state in State}
    assert State.PAUSED in FOLLOWING[State.RUNNING]


def test_the_limits_shown_are_those_there_are() -> None:
    shown = {row[0]: row[1] for row in table(PAGE, "limit")}
    assert shown["runs that wait"] == f"--queue, {MAX_QUEUED}"
    assert shown["readers of events"] == f"--readers, {MAX_READERS}"
    assert shown["events that a reader leaves lying"] == str(MAX_UNREAD_EVENTS)
    assert shown["an answer of which nothing is taken"] == f"--request-timeout, {REQUEST_TIMEOUT_S:g} s"

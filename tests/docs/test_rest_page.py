"""docs/rest.md: a running controller gives its answers; its states, limits, routes, methods are those of the code."""

import json
import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from airtoll.client import Controller
from controller.config.formats import parse_yaml
from controller.run_folder.status import TRANSITIONS, State
from controller.service.limits import MAX_QUEUED, MAX_READERS, MAX_UNREAD_EVENTS, REQUEST_TIMEOUT_S
from tests.docs.pages import DOCS, block, page, states, table
from tests.docs.rest_page import PAGE, console, played
from tests.system.service import serving


def _masked(text: str) -> list[str]:
    """Without what differs between runs and machines; of a line that was cut, the beginning."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    text = re.sub(r"-s1-[0-9a-f]{4}", "-s1-ID", text)
    text = re.sub(r"-?\d+\.\d+(e-?\d+)?|id: [\d-]+", "NUMBER", text)
    return [line if not line.endswith("...") else line[:150] for line in text.splitlines()]


def test_a_controller_answers_as_shown(tmp_path: Path) -> None:
    with serving(tmp_path / "runs") as service:
        answers = played(service, tmp_path)
    assert _masked(answers) == _masked(console())


def test_the_fields_of_events_are_listed(tmp_path: Path) -> None:
    with serving(tmp_path / "runs") as service:
        controller = Controller(service.url)
        run_id = controller.submit(parse_yaml(block(PAGE, "# cell.yaml")), slots=20)["id"]
        events = list(controller.watch(run_id))
    assert events[-1]["state"] == "SUCCEEDED"
    fields = {field for event in events for field in event}
    assert fields > {"metrics", "scalars", "toll", "log"}
    assert states(PAGE, "update", "end", *fields)


def test_version_1_is_gone(tmp_path: Path) -> None:
    with serving(tmp_path / "runs") as service, pytest.raises(HTTPError) as rejected:
        urlopen(f"{service.url}/api/v1/runs")
    with rejected.value:
        assert states(PAGE, "Version 1", rejected.value.code)


def test_every_state_is_shown() -> None:
    shown = set(
        re.findall(r"\b[A-Z]{6,9}\b", page(PAGE).partition("## States of a run")[2].partition("A run waits")[0])
    )
    assert shown == {state.value for state in State}
    assert State.PAUSED in TRANSITIONS[State.RUNNING]


def test_the_limits_are_those_of_the_code() -> None:
    shown = {row[0]: row[1] for row in table(PAGE, "limit")}
    assert shown["waiting runs"] == f"--queue, {MAX_QUEUED}"
    assert shown["readers of events"] == f"--readers, {MAX_READERS}"
    assert shown["events that a reader does not read"] == str(MAX_UNREAD_EVENTS)
    assert shown["time without progress in sending an answer"] == f"--request-timeout, {REQUEST_TIMEOUT_S:g} s"


def test_every_route_is_listed() -> None:
    paths = json.loads((DOCS / "openapi.json").read_text("utf-8"))["paths"]
    routes = {(verb.upper(), re.sub(r"^/api/v\d+", "", path)) for path, verbs in paths.items() for verb in verbs}
    listed = [(verb, path) for verbs, path, _ in table(PAGE, "method") for verb in verbs.split(", ")]
    assert len(listed) == len(set(listed))
    assert set(listed) == routes


def test_the_examples_use_the_prefix_of_the_interface() -> None:
    paths = json.loads((DOCS / "openapi.json").read_text("utf-8"))["paths"]
    prefixes = {match[0] for path in paths if (match := re.match(r"/api/v\d+", path))}
    assert prefixes == set(re.findall(r"/api/v\d+", console()))


def test_every_method_of_the_client_is_listed() -> None:
    [listed] = [text for text in page(PAGE).split("\n\n") if "airtoll.connect(url)" in " ".join(text.split())]
    named = set(re.findall(r"`(\w+)`", listed.partition("connect")[2]))
    assert named == {name for name in vars(Controller) if not name.startswith("_")}

"""The page and its files as the controller serves them, and the maps that it draws."""

import gzip
import re
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from anyio import create_task_group, fail_after, lowlevel, run, to_thread

from controller.api.page import page_routes
from controller.run_folder.status import FINAL_STATES, State
from protocol.messages.drawing import Drawing
from protocol.messages.kinds import Kind
from tests.system.service import CELL, LONG, Service, serving

GRAPH = CELL | {"world": "conflict_graph", "scheme": "zhang2025/llq", "slots": 40}
_OWN = sorted(path.name for path in files("controller.page").iterdir() if path.name.endswith((".html", ".css", ".js")))
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A controller with a token, which its page does not need."""
    with serving(tmp_path_factory.mktemp("controller"), AIRTOLL_TOKEN="open sesame") as served:
        yield served


def _get(service: Service, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(urlsplit(service.url).netloc, timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def _source(name: str) -> str:
    return files("controller.page").joinpath(name).read_text("utf-8")


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/page/style.css", "/page/icon.svg", "/page/plotly.min.js"])
def test_a_file_is_served_with_type_policy_and_etag(service: Service, path: str) -> None:
    answer, body = _get(service, path)
    assert answer.status == 200
    assert (
        answer.getheader("content-type", "").partition(";")[0]
        == _TYPES[path.rpartition(".")[2] if "." in path else "html"]
    )
    assert answer.getheader("x-content-type-options") == "nosniff"
    policy = answer.getheader("content-security-policy", "")
    assert "default-src 'none'" in policy
    assert not re.search(r"unsafe|http|\*", policy)
    unchanged, nothing = _get(service, path, If_None_Match=answer.getheader("etag", ""))
    assert (unchanged.status, nothing) == (304, b"")
    changed, again = _get(service, path, If_None_Match='"another"')
    assert (changed.status, again) == (200, body)
    compressed, smaller = _get(service, path, Accept_Encoding="gzip")
    assert compressed.getheader("content-encoding") == "gzip"
    assert gzip.decompress(smaller) == body


def test_caches_revalidate_the_page(service: Service) -> None:
    answer, _ = _get(service, "/page/main.js")
    assert (answer.getheader("cache-control"), answer.getheader("vary")) == ("no-cache", "Accept-Encoding")


def test_requests_that_wait_in_all_threads_do_not_delay_the_page() -> None:
    async def ask() -> None:
        released = threading.Event()
        to_thread.current_default_thread_limiter().total_tokens = 1
        [home, _] = page_routes()

        async def occupy() -> None:
            await to_thread.run_sync(released.wait)

        async with create_task_group() as waiting:
            waiting.start_soon(occupy)
            await lowlevel.checkpoint()
            scope = {"type": "http", "method": "HEAD", "path": "/", "headers": [], "root_path": ""}
            sent: list[Any] = []

            async def send(message: Any) -> None:
                sent.append(message)

            try:
                with fail_after(60):
                    await home.app(scope, None, send)
            finally:
                released.set()
        assert sent[0]["status"] == 200

    run(ask)


@pytest.mark.parametrize(
    "path",
    [
        "/page/nothing.js",
        "/page/",
        "/page/__init__.py",
        "/page/..%2f__init__.py",
        "/page/../run_process.py",
        "/page/datasets/iris.csv.gz",
    ],
)
def test_a_path_that_is_no_file_of_the_page_is_not_found(service: Service, path: str) -> None:
    answer, body = _get(service, path)
    assert answer.status == 404
    assert b'"status":404' in body


@pytest.mark.parametrize("name", _OWN)
def test_a_file_loads_only_files_of_the_page(name: str) -> None:
    source = _source(name)
    imported = set(re.findall(r'(?:from |import\()"\./([\w.]+)"', source))
    linked = set(re.findall(r'"page/([\w.]+)"', source)) - {"plotly.min.js", "icon.svg"}
    assert imported | linked <= set(_OWN)
    assert set(re.findall(r"https?://[^\"'\s]*", source)) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", [name for name in _OWN if name.endswith(".js")])
def test_no_file_turns_data_into_html_or_code(name: str) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setTimeout\(\s*[\"'`]"
    assert not re.search(forbidden, _source(name))


def test_the_page_knows_all_kinds_of_notes_and_all_states() -> None:
    kinds = re.search(r"KINDS = \[(.*?)\]", _source("toll.js"))
    assert kinds is not None
    assert re.findall(r'"(\w+)"', kinds[1]) == [kind.name.lower() for kind in Kind]
    signs = re.search(r"SYMBOLS = \{(.*?)\}", _source("states.js"), re.DOTALL)
    assert signs is not None
    assert re.findall(r"([A-Z]+):", signs[1]) == [state.value for state in State]
    ends = re.search(r"FINAL_STATES = \[(.*?)\]", _source("states.js"))
    assert ends is not None
    assert set(re.findall(r'"(\w+)"', ends[1])) == {state.value for state in FINAL_STATES}


def test_the_page_is_open_and_data_is_not(service: Service) -> None:
    for path in ("/page/../api/v2/runs", "/api/v2/runs", "/api/v2/runs/none/map", "/metrics"):
        answer, _ = _get(service, path)
        assert answer.status in (401, 404), path
        assert answer.status == 401 or path.startswith("/page/")


@pytest.mark.parametrize("placement", ["in-process", "processes"])
def test_the_map_of_a_cell(service: Service, placement: str) -> None:
    config = CELL | {"slots": 60, "placement": placement}
    answer = service.client._object("GET", f"/runs/{_done(service, config)}/map")
    assert (answer["world"], answer["slot"]) == ("d2d_underlay", 59)
    shown = msgspec.convert(answer["map"], Drawing)
    transmitters = [point for point in shown.points if point.shape == "marker"]
    receivers = [point for point in shown.points if point.about.startswith("receiver")]
    assert (len(transmitters), len(receivers), len([p for p in shown.points if p.label])) == (3, 3, 2)
    for tx, rx in zip(transmitters, receivers, strict=True):
        assert tx.resource == rx.resource
        assert (tx.x - rx.x) ** 2 + (tx.y - rx.y) ** 2 <= 30.03**2


def test_the_map_of_a_conflict_graph(service: Service) -> None:
    answer = service.client._object("GET", f"/runs/{_done(service, GRAPH)}/map")
    assert (answer["world"], answer["slot"]) == ("conflict_graph", 39)
    shown = msgspec.convert(answer["map"], Drawing)
    assert [label.text for label in shown.labels] == ["ap1", "ap2", "ap3", "ap4"]
    assert [point.label for point in shown.points if point.label] == [*"12345678"]
    assert len(shown.bars) == 8


def test_before_the_first_slot_there_is_no_map(service: Service) -> None:
    long, waits = (service.client.submit(config)["id"] for config in (LONG, CELL))
    answer = service.client._object("GET", f"/runs/{waits}/map")
    service.client.stop(waits)
    service.client.stop(long)
    assert answer == {"world": "d2d_underlay", "slot": None, "map": {}}
    assert service.client.wait(long)["state"] == "STOPPED"


def _done(service: Service, config: dict[str, Any]) -> str:
    run_id: str = service.client.submit(config)["id"]
    assert service.client.wait(run_id)["state"] == "SUCCEEDED"
    return run_id

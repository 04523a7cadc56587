"""Hostile clients of a controller with a run in progress: each is rejected or disconnected, and the run is not
disturbed."""

import http.client
import json
import resource
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import airtoll
from airtoll.client import ControllerError
from controller.service.run_process_handle import RunProcessHandle
from tests.system.service import CELL, LONG, Service, serving

TIMEOUT_S = 3.0  # more than a busy machine keeps a client waiting that sends at once
ANSWERS_WITHIN_S = 60.0
BUSY = CELL | {"slots": 10**6, "baselines": []}
_JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    options = ("--request-timeout", str(TIMEOUT_S), "--queue", "3", "--readers", "64", "--max-run-memory", "6")
    with serving(tmp_path_factory.mktemp("controller"), *options) as served:
        yield served


@pytest.fixture(scope="module", autouse=True)
def busy(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A run that plays meanwhile; at the end it must have the trace of an undisturbed one."""
    run_id: str = service.client.submit(BUSY)["id"]
    service.until(run_id, lambda run: run["slot"] > 0)
    yield run_id
    service.client.stop(run_id)
    run = service.client.wait(run_id)
    assert (run["state"], run["reason"]) == ("STOPPED", "")
    trace = (Path(run["folder"]) / "trace.bin").read_bytes()
    alone = airtoll.run(BUSY, slots=200, folder=tmp_path_factory.mktemp("alone") / "run")
    undisturbed = (Path(tmp_path_factory.getbasetemp()) / "alone0" / "run" / "trace.bin").read_bytes()
    assert alone["slots"] == 200
    assert run["slot"] > 200
    assert trace.startswith(undisturbed[: len(undisturbed) * 9 // 10])  # up to its closing turn


def _connected(service: Service) -> socket.socket:
    parts = urlsplit(service.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=ANSWERS_WITHIN_S)


def _posted(service: Service, body: Any, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=ANSWERS_WITHIN_S)
    connection.request("POST", "/api/v2/runs", body, headers)
    answer = connection.getresponse()
    document = json.load(answer)
    connection.close()
    assert answer.getheader("content-type") == "application/problem+json"
    return answer.status, document["detail"]


def _received(connection: socket.socket) -> bytes:
    """All bytes until the service closes the connection."""
    received = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize("chunked", [True, False])
def test_a_gigabyte_is_cut_short(service: Service, chunked: bool) -> None:
    """Far less than all of it is read: the allowed megabyte and the kernel's buffers."""
    piece = bytes(1 << 16)
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {1 << 30}"
    sent = 0
    with _connected(service) as connection:
        head = f"POST /api/v2/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
        connection.sendall(head.encode())
        with suppress(ConnectionError):
            while sent < 1 << 30:
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                sent += len(piece)
        answer = _received(connection)
    assert sent < 1 << 26
    assert answer == b"" or b" 413 " in answer.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a":' * 100_000, 400),
        (b"[" * 900_000 + b"]" * 50_000, 400),
        (b'{"seed": Infinity}', 400),
        (b'{"seed": -Infinity}', 400),
        (b'{"world": "d2d_underlay", "scheme": "li2020/sla", "slots": 1e999}', 422),
        (b'{"world": "d2d_underlay", "scheme": "li2020/sla", "slots": ' + b"9" * 5000 + b"}", 400),
        (b'{"world": "d2d_underlay", "scheme": "../../etc/passwd"}', 422),
        (b'{"world": "../d2d_underlay", "scheme": "li2020/sla"}', 422),
        (b'{"world": "d2d_underlay", "scheme": "li2020/sla", "slots": "\\ud800"}', 400),
        (b'"' + b"\\" * 900_000, 400),
        (b'\\"' * 490_000, 400),
        (b'{"world": {"name": "d2d_underlay", "\\ud800": "x.yaml"}, "scheme": "li2020/sla"}', 400),
        (b'{"world": "d2d_underlay", "scheme": "li2020/sla", "baselines": [{"name": 3}]}', 422),
        (b'{"world": {"name": "conflict_graph", "graph": "/etc/passwd"}, "scheme": "zhang2025/llq"}', 422),
        (
            b'{"world": {"name": "d2d_underlay", "pairs": 500, "rbs": 500}, "scheme": "li2020/sla", "replicas": 9999}',
            422,
        ),
    ],
)
def test_a_malicious_body_is_rejected(service: Service, body: bytes, status: int) -> None:
    began = time.monotonic()
    answer, detail = _posted(service, body, _JSON)
    assert answer == status, detail
    assert len(detail) < 3000
    assert "root" not in detail
    assert time.monotonic() - began < ANSWERS_WITHIN_S


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"2026-01-01: 3", 422),
        (b"slots: !!binary aGVs", 400),
        (b"? [a]\n: 3", 400),
        (b"? {a: 1}\n: 3", 400),
        (b"slots: !!bool abc", 400),
        (b"slots: !!int ''", 400),
        (b"slots: 0x" + b"f" * 6000, 400),
        (b"slots: " + b"9" * 6000, 400),
        (b'slots: "\\UFFFFFFFF"', 400),
    ],
)
def test_yaml_that_is_no_configuration_is_rejected(service: Service, body: bytes, status: int) -> None:
    answer, detail = _posted(service, body, {"Content-Type": "application/yaml"})
    assert (answer, len(detail) < 3000) == (status, True), detail


@pytest.mark.parametrize(
    "event",
    ["99999999999999999-0-0-0", "99999999999999999-0-0", "0-0-0-4611686018427387904", "-1-0-0-0", "1-1-1-1", "a"],
)
def test_an_event_id_of_no_event_is_rejected(service: Service, busy: str, event: str) -> None:
    asked = urllib.request.Request(f"{service.url}/api/v2/runs/{busy}/events", headers={"Last-Event-ID": event})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked, timeout=ANSWERS_WITHIN_S)
    with refused.value as answer:
        assert answer.status == 422
        assert "is not the id of an event of this run; leave it out" in json.load(answer)["detail"]


def test_a_body_with_two_lengths_is_rejected_and_the_connection_closed(service: Service) -> None:
    with _connected(service) as connection:
        connection.sendall(
            b"POST /api/v2/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        )
        answer = _received(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_half_sent_heads_keep_nobody_out(service: Service) -> None:
    """More than the 320 connections that this controller keeps, in less time than a head may take."""
    with ExitStack() as stack:
        held = [stack.enter_context(_connected(service)) for _ in range(400)]
        for connection in held:
            with suppress(ConnectionError):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        with urllib.request.urlopen(f"{service.url}/healthz", timeout=ANSWERS_WITHIN_S) as answer:
            assert answer.status == 200


def test_the_kernel_limits_the_memory_of_a_run(service: Service, busy: str) -> None:
    process = RunProcessHandle.find(Path(service.client.show(busy)["folder"]))
    assert process is not None
    assert resource.prlimit(process.pid, resource.RLIMIT_DATA) == (6 * 2**30, 6 * 2**30)
    process.close()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2/runs/..%2F..%2Fairtoll.db",
        "/api/v2/runs/../../airtoll.db",
        "/api/v2/runs/%2e%2e/weights/pair-0",
        "/api/v2/runs/{run}/files/..%2f..%2f..%2fairtoll.db",
        "/api/v2/runs/{run}/files/%2e%2e/%2e%2e/airtoll.db",
        "/api/v2/runs/{run}/files/%00",
        "/api/v2/runs/{run}/weights/..%2f..%2fconfig.yaml",
        "/api/v2/runs/{run}/weights/%2e%2e",
        "/api/v2/runs/{run}/weights/node-0%00?version=0",
    ],
)
def test_a_path_in_a_name_is_rejected(service: Service, busy: str, path: str) -> None:
    request = urllib.request.Request(service.url + path.format(run=busy))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=ANSWERS_WITHIN_S)
    with refused.value as answer:
        assert answer.status in (404, 422)
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /api/v2/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
        b"POST /api/v2/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /healthz HTT",
        b"POST /api/v2/runs/x/stop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n",
        b"\x16\x03\x01" * 10,
    ],
)
def test_a_client_that_sends_too_slowly_is_disconnected(service: Service, sent: bytes) -> None:
    with _connected(service) as connection:
        connection.sendall(sent)
        connection.settimeout(0.2)
        answer = b""
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while time.monotonic() < deadline:
            try:
                connection.sendall(b"x" if sent else b"")  # the request never ends
                piece = connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not piece:
                break
            answer += piece
        assert time.monotonic() < deadline
    status = answer.rpartition(b"HTTP/1.1 ")[2][:3]
    assert status in (b"", b"200", b"400", b"404", b"408")


def test_event_streams_beyond_the_limit_are_rejected(service: Service, busy: str) -> None:
    asked = f"GET /api/v2/runs/{busy}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with ExitStack() as stack:
        readers = [stack.enter_context(_connected(service)) for _ in range(70)]
        for connection in readers:
            connection.sendall(asked)
        statuses = [connection.recv(12) for connection in readers]
    assert sorted(set(statuses)) == [b"HTTP/1.1 200", b"HTTP/1.1 503"]
    assert statuses.count(b"HTTP/1.1 200") == 64
    assert service.client.show(busy)["state"] == "RUNNING"


def test_runs_beyond_the_queue_are_rejected(service: Service) -> None:
    waiting = [service.client.submit(LONG)["id"] for _ in range(3)]
    with pytest.raises(ControllerError, match="3 runs are waiting; stop one, or try again later") as refused:
        service.client.submit(LONG)
    assert refused.value.status == 503
    for run_id in waiting:
        assert service.client.stop(run_id)["state"] == "STOPPED"


def test_a_flood_of_connections_does_not_block_others_for_long(service: Service, busy: str) -> None:
    with ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(_connected(service))
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while time.monotonic() < deadline:
            with suppress(ControllerError):
                assert service.client.show(busy)["state"] == "RUNNING"
                break
        assert time.monotonic() < deadline

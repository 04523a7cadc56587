"""Runs submitted, followed and compared with urllib, with curl and with airtoll.connect: the same answers."""

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import airtoll
from tests.system.service import CELL, Service, serving

Answers = dict[str, Any]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("controller")) as served:
        yield served


def _by_urllib(url: str) -> Callable[..., bytes]:
    def ask(method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body else {}
        request = urllib.request.Request(f"{url}/api/v2{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    return ask


def _by_curl(url: str) -> Callable[..., bytes]:
    def ask(method: str, path: str, body: bytes | None = None) -> bytes:
        words = ["-H", "Content-Type: application/json", "--data-binary", "@-"] if body else []
        command = ["curl", "-sSfN", "--max-time", "60", "-X", method, *words, f"{url}/api/v2{path}"]
        return subprocess.run(command, input=body, capture_output=True, check=True).stdout

    return ask


def _uploaded(ask: Callable[..., bytes]) -> Answers:
    """All answers, by a client that sends and receives bytes."""
    ids = [json.loads(ask("POST", "/runs", json.dumps(CELL | {"seed": seed}).encode()))["id"] for seed in (1, 2)]
    watched = [ask("GET", f"/runs/{run_id}/events").decode() for run_id in ids]
    events = [
        [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]
        for stream in watched
    ]
    compared = json.loads(ask("GET", f"/compare?runs={','.join(ids)}"))
    return {
        "run": json.loads(ask("GET", f"/runs/{ids[0]}")),
        "metrics": json.loads(ask("GET", f"/runs/{ids[0]}/metrics")),
        "toll": json.loads(ask("GET", f"/runs/{ids[0]}/toll?by=node")),
        "watched": events[0],
        "compared": compared,
        "trace": ask("GET", f"/runs/{ids[0]}/files/trace.bin"),
        "ids": ids,
    }


def _by_client(url: str) -> Answers:
    client = airtoll.connect(url)
    ids = [client.submit(CELL, seed=seed)["id"] for seed in (1, 2)]
    watched = [list(client.watch(run_id)) for run_id in ids]
    return {
        "run": client.show(ids[0]),
        "metrics": client.metrics(ids[0]),
        "toll": client.toll(ids[0], by="node"),
        "watched": watched[0],
        "compared": client.compare(*ids),
        "trace": client.file(ids[0], "trace.bin"),
        "ids": ids,
    }


def _normal(answers: Answers) -> Answers:
    """The answers without what differs between equal runs: ids, folders, times, and how events were grouped."""
    text = json.dumps({key: value for key, value in answers.items() if key not in ("trace", "ids", "watched")})
    for number, run_id in enumerate(answers["ids"]):
        text = text.replace(run_id, f"run {number}")
    normal = json.loads(text)
    for run in (normal["run"], *normal["compared"]["runs"]):
        assert all(run.pop(moment) for moment in ("created", "started", "ended"))
    windows = [row for event in answers["watched"] for row in event.get("metrics", [])]
    end = {key: value for key, value in answers["watched"][-1].items() if key != "run"}
    result: Answers = normal | {"trace": answers["trace"], "windows": windows, "end": end}
    return result


def test_urllib_curl_and_the_client_get_the_same_answers(service: Service) -> None:
    by_urllib, by_curl = (_uploaded(ask) for ask in (_by_urllib(service.url), _by_curl(service.url)))
    wanted = _normal(by_urllib)
    assert wanted["run"]["state"] == "SUCCEEDED"
    assert wanted["windows"]
    assert wanted["trace"] == (Path(by_urllib["run"]["folder"]) / "trace.bin").read_bytes()
    assert _normal(by_curl) == wanted
    assert _normal(_by_client(service.url)) == wanted

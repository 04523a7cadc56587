"""Connections that must be rejected: they are counted and logged, and change nothing."""

import json
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from protocol.transports.router import FOR_ANOTHER_SERVER, NOT_ON_THE_LIST, WITHOUT_A_KEY
from tests import knocking
from tests.containers import strangers
from tests.containers.engine import Stack
from tests.containers.runs import PLAIN, at_slot, in_one_process

TRIES = 84  # of each of three kinds at each of four endpoints: a thousand
KINDS = {NOT_ON_THE_LIST, FOR_ANOTHER_SERVER, WITHOUT_A_KEY}


def _knock(town: Stack, *endpoints: str) -> str:
    """What a container of strangers in the nodes' network says, which has the nodes' keys too."""
    words = ["docker", "run", "--rm", "--interactive", "--network", f"{town.project}_nodes", "--entrypoint", "python3"]
    words += ["--volume", f"{town.project}_node-keys:/keys:ro", "airtoll-agent", "-", str(TRIES), *endpoints]
    source = "\n".join(Path(str(module.__file__)).read_text("utf-8") for module in (knocking, strangers))
    done = subprocess.run(words, input=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _rejected(town: Stack) -> dict[str, int]:
    """By the pool, as Prometheus reads it."""
    request = urllib.request.Request(f"{town.url}/metrics", headers={"Authorization": f"Bearer {town.token()}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = re.findall(
            r'^airtoll_pool_rejected_connections\{reason="(.*)"\} (\d+)', answer.read().decode(), re.MULTILINE
        )
    return {reason: int(count) for reason, count in found}


def test_a_thousand_strangers_at_every_door_change_nothing(town: Stack) -> None:
    client, before = town.client(), _rejected(town)
    run_id = client.submit(PLAIN)["id"]
    at_slot(client, run_id, 200)
    [door] = re.findall(r"listening at (tcp://\S+)", client.file(run_id, "log.txt").decode())
    said = _knock(town, "tcp://controller:8771", "tcp://controller:8772", "tcp://controller:8773", door)
    assert "another" not in said
    assert "install the same airtoll for the worker and the controller" in said
    assert client.show(run_id)["state"] == "RUNNING", "the run is too short for this test"
    run = client.wait(run_id)
    assert (run["state"], run["slot"]) == ("SUCCEEDED", 6000), run["reason"]
    assert run["trace_digest"] == in_one_process(client, PLAIN)["trace_digest"]
    _check_counted(town, run_id, before)


def _check_counted(town: Stack, run_id: str, before: dict[str, int]) -> None:
    """At the pool's line, the run process's line and the channel server; the first of each kind in their logs."""
    after = _rejected(town)
    assert {kind: after[kind] - before.get(kind, 0) for kind in KINDS} == dict.fromkeys(KINDS, TRIES)
    client = town.client()
    dropped = json.loads(client.file(run_id, "summary.json"))["dropped"]
    # The channel server's key is its own and of this run: nobody has a right one.
    assert dropped == {WITHOUT_A_KEY: TRIES, FOR_ANOTHER_SERVER: 2 * TRIES}
    logs = town.compose("logs", "--no-color", "controller"), client.file(run_id, "run_process.log").decode()
    for log in logs:
        assert all(f"rejected a {kind}" in log for kind in KINDS)
        assert len(re.findall("rejected a", log)) == 20 * len(KINDS)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic d3Jvbmc="}])
def test_rest_without_the_token_is_refused(town: Stack, headers: dict[str, str]) -> None:
    for path in ("/api/v2/runs", "/api/v2/nodes", "/metrics"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{town.url}{path}", headers=headers), timeout=30)
        with refused.value as answer:
            assert answer.code == 401
            assert json.load(answer)["detail"].startswith("no valid token")

"""The controller as a process, used by REST."""

import json
import os
import signal
import socket
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from typer.testing import CliRunner

import airtoll
from airtoll.cli.commands import app
from airtoll.client import ControllerError
from controller.run_folder.reader import RunFolder
from controller.run_folder.toll import TOLL_COLUMNS
from controller.service.run_process_handle import RunProcessHandle
from tests.recording import is_stop
from tests.system.fuzz import fuzz
from tests.system.processes import children_of, outlive, until
from tests.system.service import CELL, LONG, Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("controller"), "--at-once", "2") as served:
        yield served


@pytest.fixture(scope="module")
def ended(service: Service) -> dict[str, Any]:
    """A run that has succeeded."""
    return service.client.wait(service.client.submit(CELL)["id"])


def _answer(
    service: Service, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Status and problem document."""
    connection = HTTPConnection(urlsplit(service.url).netloc, timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body_sent = answer.read()
    connection.close()
    assert answer.getheader("content-type") == "application/problem+json", body_sent
    document = json.loads(body_sent)
    assert document["status"] == answer.status
    return answer.status, document


@pytest.mark.parametrize("placement", ["in-process", "processes"])
def test_first_law_a_run_by_rest_has_the_trace_of_a_local_run(service: Service, tmp_path: Path, placement: str) -> None:
    config = CELL | {"placement": placement, "baselines": ["li2020/random", "li2020/greedy_central"]}
    run = service.client.wait(service.client.submit(config)["id"])
    uploaded = airtoll.run(CELL, folder=tmp_path / "run")
    assert (run["state"], run["slot"], run["reason"]) == ("SUCCEEDED", 300, "")
    assert run["trace_digest"] == uploaded["trace_digest"]
    assert run["metrics"] == uploaded["metrics"]
    assert {path.name for path in (Path(run["folder"]) / "baselines").iterdir()} == set(map(_flat, config["baselines"]))


def _flat(scheme: str) -> str:
    return scheme.replace("/", "_")


@pytest.mark.parametrize("placement", ["in-process", "processes"])
def test_a_paused_and_resumed_run_has_the_trace_of_an_undisturbed_one(
    service: Service, tmp_path: Path, placement: str
) -> None:
    slots = 2000  # enough that it is paused in time on a busy machine, too
    config = CELL | {"placement": placement, "slots": slots}
    run_id = service.client.submit(config)["id"]
    service.until_state(run_id, "RUNNING")
    assert until(lambda: service.client.pause(run_id)["state"] == "PAUSED")
    paused = service.client.show(run_id)
    assert paused["slot"] < slots
    assert _state_in_folder(paused) == "PAUSED"
    assert service.client.resume(run_id)["state"] != "PAUSED"
    run = service.client.wait(run_id)
    assert run["state"] == _state_in_folder(run) == "SUCCEEDED"
    events = [event for event in RunFolder.open(Path(run["folder"])).events() if not is_stop(event)]
    assert [(event.event, event.slot, event.turn) for event in events] == [
        ("paused", paused["slot"], 0),
        ("continued", paused["slot"], 0),
    ]
    assert run["trace_digest"] == airtoll.run(CELL, slots=slots, folder=tmp_path / "run")["trace_digest"]


def _state_in_folder(run: dict[str, Any]) -> str:
    """The state in meta.json."""
    return RunFolder.open(Path(run["folder"])).meta.state.value


def test_a_stopped_run_keeps_its_results(service: Service) -> None:
    run_id = service.client.submit(LONG)["id"]
    service.until(run_id, lambda run: run["slot"] > 100)
    assert service.client.stop(run_id)["state"] == "STOPPING"
    run = service.client.wait(run_id)
    assert run["state"] == _state_in_folder(run) == "STOPPED"
    assert run["slot"] > 100
    assert run["trace_digest"]
    with pytest.raises(ControllerError, match="a run that is STOPPED cannot be paused: it must be RUNNING or PAUSED"):
        service.client.pause(run_id)
    with pytest.raises(
        ControllerError, match="STOPPED cannot be stopped: it must be PENDING, RUNNING, PAUSED or STOPPING"
    ):
        service.client.stop(run_id)


def test_a_paused_run_can_be_stopped(service: Service) -> None:
    run_id = service.client.submit(LONG)["id"]
    service.until_state(run_id, "RUNNING")
    assert service.client.pause(run_id)["state"] == "PAUSED"
    assert service.client.stop(run_id)["state"] == "STOPPING"
    assert service.client.wait(run_id)["state"] == "STOPPED"


def test_a_run_without_room_waits_and_can_be_stopped(service: Service) -> None:
    first, second, third = (service.client.submit(LONG)["id"] for _ in range(3))
    service.until_state(second, "RUNNING")
    waiting = service.client.show(third)
    assert waiting["state"] == _state_in_folder(waiting) == "PENDING"
    assert service.client.stop(third)["state"] == _state_in_folder(waiting) == "STOPPED"
    fourth = service.client.submit(CELL)["id"]
    for run_id in (first, second):
        service.client.stop(run_id)
    assert service.client.wait(fourth)["state"] == "SUCCEEDED"


def test_a_run_whose_run_process_is_killed_can_resume_from_its_checkpoint(tmp_path: Path) -> None:
    """It is PAUSED again if it was."""
    config = CELL | {"slots": 6000, "checkpoint_every": 500}
    with serving(tmp_path / "data", "--on-loss", "resume") as served:
        run_id = served.client.submit(config)["id"]
        folder = Path(served.until(run_id, lambda run: run["slot"] > 600)["folder"])
        served.client.pause(run_id)
        served.until_state(run_id, "PAUSED")
        first = RunProcessHandle.find(folder)
        assert first is not None
        first.send_signal(signal.SIGKILL)
        first.close()
        served.until(run_id, lambda _: "resumed" in (folder / "log.txt").read_text("utf-8"))
        served.until_state(run_id, "PAUSED")
        served.client.resume(run_id)
        run = served.client.wait(run_id)
        kept = served.client.checkpoints(run_id)["checkpoints"]
    assert run["state"] == "SUCCEEDED"
    assert [(one["slot"], one["damage"]) for one in kept] == [(5500, ""), (5000, "")]
    assert RunFolder.open(folder).summary["resumes"] == 1
    assert run["trace_digest"] == airtoll.run(config, folder=tmp_path / "run", checkpoint_every=0)["trace_digest"]


def test_a_run_whose_run_process_is_killed_fails(service: Service) -> None:
    run_id = service.client.submit(LONG)["id"]
    run = service.until(run_id, lambda run: run["slot"] > 0)
    process = RunProcessHandle.find(Path(run["folder"]))
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.close()
    run = service.until_state(run_id, "FAILED")
    assert _state_in_folder(run) == "FAILED"
    assert run["reason"] == "its run process died without reporting an end (signal 9); see run_process.log"


def test_an_unresponsive_run_process_is_killed_with_its_children(tmp_path: Path) -> None:
    with serving(tmp_path, "--stop-timeout", "1") as served:
        run_id = served.client.submit(LONG | {"placement": "processes"})["id"]
        run = served.until(run_id, lambda run: run["slot"] > 0)
        process = RunProcessHandle.find(Path(run["folder"]))
        assert process is not None
        everybody = {process.pid} | children_of(process.pid)
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        assert served.client.stop(run_id)["state"] == "STOPPING"
        run = served.client.wait(run_id)
    assert (run["state"], _state_in_folder(run)) == ("STOPPED", "STOPPED")
    assert run["reason"] == "its run process did not stop in time and was killed: there is no summary"
    assert run["slot"] > 0
    assert len(everybody) > 4
    assert outlive(everybody) == []
    process.close()


def test_a_failed_run_has_a_reason(service: Service) -> None:
    config = CELL | {"placement": "processes", "slots": 10**5, "on_node_loss": {"action": "fail"}}
    run_id = service.client.submit(config)["id"]
    run = service.until(run_id, lambda run: run["slot"] > 0)
    process = RunProcessHandle.find(Path(run["folder"]))
    assert process is not None
    victim = max(children_of(process.pid))  # the node that was started last
    process.close()
    os.kill(victim, signal.SIGKILL)
    run = service.client.wait(run_id)
    assert (run["state"], "is lost" in run["reason"]) == ("FAILED", True)


def test_a_run_process_outlives_the_service_and_is_found_again(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        first, second = (served.client.submit(LONG | {"seed": seed})["id"] for seed in (1, 2))
        before = served.until(first, lambda run: run["slot"] > 0)
        served.kill()
        with serving(tmp_path) as again:
            after = again.until(first, lambda run: run["slot"] > before["slot"])
            assert (after["state"], after["started"]) == ("RUNNING", before["started"])
            assert again.client.show(second)["state"] == "PENDING"
            again.client.stop(first)
            assert again.client.wait(first)["state"] == "STOPPED"
            again.until_state(second, "RUNNING")


def test_runs_that_end_while_no_service_is_running_are_recorded_later(tmp_path: Path) -> None:
    with serving(tmp_path, "--at-once", "2") as served:
        ids = [served.client.submit(LONG | {"slots": slots})["id"] for slots in (4000, 10**6)]
        runs = [served.until(run_id, lambda run: run["slot"] > 0) for run_id in ids]
        processes = [RunProcessHandle.find(Path(run["folder"])) for run in runs]
        served.kill()
        alive = [process for process in processes if process is not None]
        alive[-1].send_signal(signal.SIGKILL)
        assert outlive({process.pid for process in alive}, within_s=30.0) == []
        for process in alive:
            process.close()
        with serving(tmp_path) as again:
            run = again.until_state(ids[0], "SUCCEEDED")
            assert (run["slot"], bool(run["trace_digest"])) == (4000, True)
            run = again.until_state(ids[1], "FAILED")
            assert run["reason"] == "its run process died without reporting an end, while no service was running"


def test_a_stop_during_the_start_takes_effect(service: Service) -> None:
    run_id = service.client.submit(LONG)["id"]
    service.client.stop(run_id)
    assert service.client.wait(run_id)["state"] == "STOPPED"


def test_a_folder_has_one_service(service: Service, ended: dict[str, Any]) -> None:
    data = Path(ended["folder"]).parents[1]
    result = CliRunner().invoke(app, ["serve", "--port", "0", "--data", str(data)])
    assert result.exit_code == 2
    assert f"--data: {data} is in use by another controller; give another folder" in result.stderr


def test_results(service: Service, ended: dict[str, Any]) -> None:
    folder, run_id = RunFolder.open(Path(ended["folder"])), ended["id"]
    metrics = service.client.metrics(run_id, windows=1)
    assert metrics["series"]["reward_total"]["mean"] == [pytest.approx(ended["metrics"]["reward_total"])]
    assert [(w["first"], w["last"]) for w in service.client.metrics(run_id, first=100)["windows"]] == [
        (100, 199),
        (200, 299),
    ]
    [window] = service.client.toll(run_id)["windows"]
    assert {
        kind: {key: toll[key] for key in folder.summary["toll"][kind]} for kind, toll in window["tolls"].items()
    } == (folder.summary["toll"])
    by_node = service.client.toll(run_id, by="node", windows=3)["windows"]
    assert [list(window["tolls"]) for window in by_node] == [["bs"]] * 3
    assert service.client.file(run_id, "trace.bin") == folder.read("trace.bin")
    names = [node["name"] for node in service.client._object("GET", "/nodes", run=run_id)["nodes"]]
    assert names == [name for name in folder.names if name != "trainer"]


def test_a_long_toll_is_answered_fast_and_so_is_everything_else(service: Service) -> None:
    run = service.client.wait(service.client.submit(CELL)["id"])
    row = "eval,{0},{0},bs,feedback,downlink,2,0,0,0,0,0,0,0,0,0\n"
    with (Path(run["folder"]) / "toll.csv").open("a") as stream:
        stream.writelines(row.format(slot % 300) for slot in range(50_000))
    asked, answers = list[float](), list[dict[str, Any]]()
    asking = threading.Thread(target=lambda: answers.append(service.client.toll(run["id"])))
    asking.start()
    while asking.is_alive() or not asked:
        began = time.monotonic()
        urllib.request.urlopen(f"{service.url}/healthz", timeout=30).close()
        asked.append(time.monotonic() - began)
    assert statistics.median(asked) < 0.2
    [window] = answers[0]["windows"]
    assert window["tolls"]["feedback"]["notes"] > 100_000
    assert (window["first"], window["last"]) == (0, 299)


def test_a_damaged_toll_is_reported_and_whole_ones_are_answered(service: Service, ended: dict[str, Any]) -> None:
    run = service.client.wait(service.client.submit(CELL)["id"])
    (Path(run["folder"]) / "toll.csv").write_bytes(b"?\n")
    with pytest.raises(ControllerError, match=r"toll\.csv is damaged"):
        service.client.toll(run["id"])
    assert service.client.toll(ended["id"])["windows"]


def test_runs_are_listed_the_newest_first(service: Service, ended: dict[str, Any]) -> None:
    other = service.client.submit(CELL | {"scheme": "li2020/random"})
    everything = service.client.list(limit=500)
    assert everything["runs"][0]["id"] == other["id"]
    assert everything["total"] == len(everything["runs"])
    chosen = service.client.list(state="SUCCEEDED", scheme="li2020/sla", world="d2d_underlay", limit=500)["runs"]
    assert ended["id"] in [run["id"] for run in chosen]
    assert {(run["state"], run["scheme"]) for run in chosen} == {("SUCCEEDED", "li2020/sla")}
    service.client.wait(other["id"])


def test_runs_are_compared(service: Service, ended: dict[str, Any]) -> None:
    other = service.client.wait(service.client.submit(CELL, scheme="li2020/random")["id"])
    answer = service.client.compare(ended["id"], other["id"])
    assert (answer["same_channels"], answer["same_trace"]) == (True, False)
    assert answer["metrics"]["reward_total"]["values"] == {
        run["id"]: run["metrics"]["reward_total"] for run in (ended, other)
    }
    assert (list(answer["toll"][ended["id"]]), answer["toll"][other["id"]]) == (["feedback"], {})


def test_events_continue_after_the_last_event_id(service: Service, ended: dict[str, Any]) -> None:
    path = f"{service.url}/api/v2/runs/{ended['id']}/events"
    with urllib.request.urlopen(path, timeout=30) as answer:
        stream = answer.read().decode()
    ids = [line.removeprefix("id: ") for line in stream.splitlines() if line.startswith("id: ")]
    assert stream.count("event: end") == 1
    assert "reward_total_sum" in stream
    events = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]
    rows = [row for event in events for row in event.get("toll", [])]
    assert [list(row) for row in rows] == [list(TOLL_COLUMNS)] * len(rows)
    assert {(row["phase"], row["node"], row["kind"], row["link"]) for row in rows} == {
        ("eval", "bs", "feedback", "downlink")
    }
    assert (
        sum(row["notes"] for row in rows)
        == RunFolder.open(Path(ended["folder"])).summary["toll"]["feedback"]["notes"]
        > 0
    )
    again = urllib.request.Request(path, headers={"Last-Event-ID": ids[0]})
    with urllib.request.urlopen(again, timeout=30) as answer:
        rest = answer.read().decode()
    assert "event: end" in rest
    assert "reward_total_sum" not in rest


def test_a_run_that_has_ended_is_deleted_with_its_folder(service: Service) -> None:
    run_id = service.client.submit(LONG)["id"]
    folder = Path(service.until(run_id, lambda run: run["slot"] > 0)["folder"])
    with pytest.raises(ControllerError, match="cannot be deleted: it must be SUCCEEDED, FAILED or STOPPED"):
        service.client.delete(run_id)
    service.client.stop(run_id)
    service.client.wait(run_id)
    service.client.delete(run_id)
    assert not folder.exists()
    with pytest.raises(ControllerError, match="no run has the id"):
        service.client.show(run_id)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/runs", 410),
        ("POST", "/api/v1/runs/a/stop", 410),
        ("GET", "/api/v2/nothing", 404),
        ("GET", "/api/v2/runs/no-such-run", 404),
        ("GET", "/api/v2/runs/no-such-run/events", 404),
        ("PUT", "/api/v2/runs", 405),
        ("GET", "/api/v2/runs?limit=0", 422),
        ("GET", "/api/v2/runs/a%20b", 422),
        ("GET", "/api/v2/compare?runs=one", 422),
        ("GET", "/api/v2/compare?runs=one,two", 404),
        ("POST", "/api/v2/runs/no-such-run/stop", 404),
        ("DELETE", "/api/v2/runs/no-such-run", 404),
    ],
)
def test_every_error_is_a_problem_document(service: Service, method: str, path: str, status: int) -> None:
    assert _answer(service, method, path)[0] == status


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"{}", "text/plain", 415, "send the configuration as application/json or application/yaml"),
        (b"{", "application/json", 400, "the body is not JSON"),
        (b"[" * 100 + b"]" * 100, "application/json", 400, "nested deeper than 32 levels"),
        (b'{"seed": 1, "seed": 2}', "application/json", 400, "key 'seed' appears twice"),
        (b'{"seed": NaN}', "application/json", 400, "NaN is not a JSON number"),
        (b"[1]", "application/json", 422, "body: [1] is not allowed"),
        (b" " * 1_000_001, "application/json", 413, "the body is longer than 1000000 bytes"),
        (b"a: &x 1\nb: *x", "application/yaml", 400, "the alias *x is not allowed"),
        (b"a: [" * 40, "application/yaml", 400, "nested deeper than 32 levels"),
        (b"\xff", "application/yaml", 400, "not UTF-8"),
        (b"world: d2d_underley\nscheme: li2020/sla", "application/yaml", 422, "did you mean 'd2d_underlay'?"),
        (b'{"world": "d2d_underlay", "scheme": "li2020/sla", "out": "/"}', "application/json", 422, "out: '/' is not"),
        (
            b'{"world": {"name": "conflict_graph", "graph": "/etc/x.yaml"}, "scheme": "zhang2025/llq"}',
            "application/json",
            422,
            "world.graph: '/etc/x.yaml' is not allowed: a run submitted by REST cannot name files",
        ),
    ],
)
def test_an_invalid_body_is_rejected_with_a_reason(
    service: Service, body: bytes, kind: str, status: int, message: str
) -> None:
    answer, document = _answer(service, "POST", "/api/v2/runs", body, content_type=kind)
    assert answer == status
    assert message in document["detail"]


def test_errors_name_the_field_and_a_fix(service: Service) -> None:
    body = json.dumps(CELL | {"seed": -1, "colour": "red"}).encode()
    _, document = _answer(service, "POST", "/api/v2/runs", body, content_type="application/json")
    assert {error["field"] for error in document["errors"]} == {"seed", "colour"}
    assert "seed: -1 is not allowed: must be at least 0" in [error["detail"] for error in document["errors"]]


def test_yaml_is_accepted(service: Service) -> None:
    body = b"world: {name: d2d_underlay, pairs: 3, rbs: 2}\nscheme: li2020/sla\nslots: 5\nplacement: in-process\n"
    request = urllib.request.Request(
        f"{service.url}/api/v2/runs", body, {"Content-Type": "application/yaml"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202
        run = json.load(answer)
        assert answer.headers["Location"] == f"/api/v2/runs/{run['id']}"
    assert service.client.wait(run["id"])["slot"] == 5


@pytest.mark.parametrize("name", ["..%2F..%2Fairtoll.db", "../../airtoll.db", "%2Fetc%2Fpasswd", ".status.json.tmp"])
def test_no_file_outside_the_folder_is_served(service: Service, ended: dict[str, Any], name: str) -> None:
    assert _answer(service, "GET", f"/api/v2/runs/{ended['id']}/files/{name}")[0] == 404


def test_links_out_of_the_folder_are_not_followed(service: Service, ended: dict[str, Any]) -> None:
    link = Path(ended["folder"]) / "link"
    link.symlink_to("/etc")
    assert _answer(service, "GET", f"/api/v2/runs/{ended['id']}/files/link/passwd")[0] == 404
    link.unlink()


@pytest.mark.parametrize("last", ["x", "1-2", "3-3-3", "9999999-0-0"])
def test_an_invalid_event_id_is_rejected(service: Service, ended: dict[str, Any], last: str) -> None:
    answer, document = _answer(service, "GET", f"/api/v2/runs/{ended['id']}/events", Last_Event_ID=last)
    assert (answer, "leave it out" in document["detail"]) == (422, True)


@pytest.mark.parametrize("foreign", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_requests_from_pages_of_other_sites_are_rejected(service: Service, foreign: dict[str, str]) -> None:
    assert _answer(service, "GET", "/api/v2/runs", None, **foreign)[0] == 403


def test_a_client_that_reads_nothing_stalls_no_other(service: Service, ended: dict[str, Any]) -> None:
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as stalled:
        for _ in range(50):
            stalled.sendall(
                f"GET /api/v2/runs/{ended['id']}/files/trace.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
            )
        assert service.client.show(ended["id"])["state"] == "SUCCEEDED"


def test_prometheus_and_probes(service: Service, ended: dict[str, Any]) -> None:
    def text(path: str) -> str:
        with urllib.request.urlopen(f"{service.url}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    assert json.loads(text("/healthz")) == json.loads(text("/readyz")) == {"status": "ok"}
    assert 'airtoll_runs{state="SUCCEEDED"}' in text("/metrics")
    assert 'route="/runs/{run_id}"' in text("/metrics")


def test_requests_without_the_token_are_rejected(tmp_path: Path) -> None:
    with serving(tmp_path, AIRTOLL_TOKEN="open sesame") as served:
        assert served.client.list()["total"] == 0
        for headers in ({}, {"Authorization": "Bearer sesame"}, {"Authorization": "Basic open sesame"}):
            assert _answer(served, "GET", "/api/v2/runs", None, **headers)[0] == 401


def test_no_process_of_a_run_inherits_the_token_or_the_database(tmp_path: Path) -> None:
    secret, database = "open-sesame-and-more", f"sqlite:///{tmp_path}/secret.db"
    with serving(tmp_path / "data", AIRTOLL_TOKEN=secret, AIRTOLL_DB=database) as served:
        run = served.client.submit(LONG | {"placement": "processes"})
        served.until(run["id"], lambda run: run["slot"] > 0)
        environments = []
        for child in psutil.Process(served.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                environments.append(child.environ())
        assert len(environments) > 4  # the run's process, its channel server and nodes, and the one that checked it
        assert not [name for one in environments for name in ("AIRTOLL_TOKEN", "AIRTOLL_DB") if name in one]


def test_without_a_token_only_the_loopback_interface_is_allowed(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["serve", "--host", "0.0.0.0", "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "--host: '0.0.0.0' is not allowed: without a token only this machine may connect" in result.stderr


def test_the_command_line(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRTOLL_URL", service.url)
    (tmp_path / "cell.yaml").write_text(json.dumps(CELL))

    def call(*words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == 0, result.output
        return result.stdout

    a, b = (call("submit", str(tmp_path / "cell.yaml"), "--set", f"seed={seed}").strip() for seed in (1, 2))
    for run_id in (a, b):
        assert "SUCCEEDED, slot 300 of 300" in call("watch", run_id).splitlines()
    assert a in call("list", "--state", "SUCCEEDED")
    assert "d2d_sum_rate_bps_hz" in call("show", a)
    assert "not on the same channels" in call("compare", a, b)
    shown = json.loads(call("show", a, "--format", "json"))
    assert (shown["id"], len(shown["trace_digest"])) == (a, 32)
    refused = CliRunner().invoke(app, ["pause", a])
    assert (refused.exit_code, refused.stderr) == (
        2,
        "a run that is SUCCEEDED cannot be paused: it must be RUNNING or PAUSED\n",
    )


def test_resume_takes_the_id_of_a_run_too(
    service: Service, ended: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRTOLL_URL", service.url)
    result = CliRunner().invoke(app, ["resume", ended["id"]])
    assert result.exit_code == 2
    assert "a run that is SUCCEEDED cannot be resumed: it must be RUNNING or PAUSED" in result.stderr


def test_a_missing_controller_is_reported_with_a_suggested_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AIRTOLL_URL", f"http://127.0.0.1:{port}")
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 1
    assert "start one with `airtoll serve`, or set AIRTOLL_URL" in result.stderr


def test_ctrl_c_ends_the_service_at_once_while_an_event_stream_is_open(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        events = served.client.watch(served.client.submit(LONG)["id"])
        next(events)
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(timeout=30) == 130
    assert outlive({served.process.pid}) == []


def test_every_operation_conforms_to_the_document(service: Service, ended: dict[str, Any]) -> None:
    assert fuzz(service.url, ended["id"], examples=5) > 15

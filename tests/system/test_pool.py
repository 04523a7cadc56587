"""Runs in a pool of workers: the same traces, whatever process dies."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import zmq
from typer.testing import CliRunner

import airtoll
from airtoll.cli.commands import app
from airtoll.client import ControllerError
from controller.run_folder.reader import RunFolder
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Heartbeat, Refusal, decode_from_service, encode
from schemes.li2020 import maac
from tests.conformance.homes import SMALL_NETWORKS
from tests.recording import is_stop
from tests.soak.campaign.sockets import Proxy
from tests.system.pool import WorkerProcesses, pooled
from tests.system.processes import until
from tests.system.service import CELL, LONG, Service, serving

POOLED = {"placement": "pool"}
KNOWN = {field.name for field in fields(maac.SCHEME.params)}
LEARNS: dict[str, Any] = {
    "world": CELL["world"],
    "scheme": {"name": "li2020/maac"} | {key: SMALL_NETWORKS[key] for key in SMALL_NETWORKS if key in KNOWN},
    "phases": {"warmup": 20, "train": 60, "eval": 20},
    "on_node_loss": {"lost_after_s": 60},  # loading torch takes its time on a busy machine
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WorkerProcesses, Service]]:
    """Room for one run of three pairs."""
    with pooled(tmp_path_factory.mktemp("pool"), agents=3) as made:
        yield made


def _check_trace(config: dict[str, Any], run: dict[str, Any], folder: Path) -> None:
    """The run has succeeded with the trace of an undisturbed one in one process."""
    assert (run["state"], run["reason"]) == ("SUCCEEDED", "")
    alone = airtoll.run(config, folder=folder, placement="in-process", checkpoint_every=0)
    assert run["trace_digest"] == alone["trace_digest"]


@pytest.mark.parametrize("config", [CELL, LEARNS], ids=["acts", "learns"])
def test_first_law_a_run_in_the_pool_has_the_trace_of_one_process(
    there: tuple[WorkerProcesses, Service], tmp_path: Path, config: dict[str, Any]
) -> None:
    _, service = there
    run = service.client.wait(service.client.submit(config | POOLED)["id"])
    _check_trace(config, run, tmp_path / "run")
    until(lambda: all(worker["idle"] == worker["capacity"] for worker in service.client.nodes()["workers"]))


def test_a_paused_and_resumed_run_has_the_trace_of_an_undisturbed_one(
    there: tuple[WorkerProcesses, Service], tmp_path: Path
) -> None:
    _, service = there
    config = CELL | POOLED | {"slots": 2000}  # enough that it is paused in time on a busy machine, too
    run_id = service.client.submit(config)["id"]
    service.until_state(run_id, "RUNNING")
    assert until(lambda: service.client.pause(run_id)["state"] == "PAUSED")
    service.client.resume(run_id)
    run = service.client.wait(run_id)
    events = [event for event in RunFolder.open(Path(run["folder"])).events() if not is_stop(event)]
    assert [event.event for event in events] == ["paused", "continued"]
    _check_trace(config, run, tmp_path / "run")


def test_nodes_show_their_workers(there: tuple[WorkerProcesses, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    _, service = there
    run_id = service.client.submit(LONG | POOLED)["id"]
    service.until(run_id, lambda run: run["slot"] > 0)
    answer = until(lambda: _if_all_placed(service.client.nodes(run_id)))
    assert {node["worker"] for node in answer["nodes"] if node["role"] == "agent"} == {"agent-1"}
    assert {node["worker"] for node in answer["nodes"] if node["role"] == "network"} == {"channel-0"}
    [agent, _] = sorted(answer["workers"], key=lambda worker: str(worker["role"]))
    assert (agent["capacity"], agent["idle"]) == (3, 0)
    assert {lease["node"] for lease in agent["leases"]} == {"pair-0", "pair-1", "pair-2"}
    assert agent["fingerprint"] == answer["nodes"][0]["fingerprint"]
    monkeypatch.setenv("AIRTOLL_URL", service.url)
    result = CliRunner().invoke(app, ["nodes", run_id])
    assert result.exit_code == 0, result.output
    for shown in ("agent-1", "channel-0", "pair-2", "channel server"):
        assert shown in result.stdout
    as_json = json.loads(CliRunner().invoke(app, ["nodes", "--format", "json"]).stdout)
    assert [node["name"] for node in as_json["nodes"]] == [node["name"] for node in answer["nodes"]]
    assert "waits for" not in CliRunner().invoke(app, ["list"]).stdout
    service.client.stop(run_id)
    assert service.client.wait(run_id)["state"] == "STOPPED"


def _if_all_placed(answer: dict[str, Any]) -> dict[str, Any] | None:
    return answer if all(node["worker"] for node in answer["nodes"]) else None


def test_a_run_without_workers_has_a_reason_and_does_not_block_others(there: tuple[WorkerProcesses, Service]) -> None:
    _, service = there
    large = CELL | POOLED | {"world": CELL["world"] | {"pairs": 7, "rbs": 4}}
    waiting = service.client.submit(large)["id"]
    other = service.client.submit(CELL)["id"]
    assert service.client.wait(other)["state"] == "SUCCEEDED"
    run = until(lambda: _if_reason(service.client.show(waiting)))
    assert (run["state"], run["reason"]) == ("PENDING", "waits for 4 agents (7 needed, 3 idle)")
    assert service.client.stop(waiting)["state"] == "STOPPED"


def _if_reason(run: dict[str, Any]) -> dict[str, Any] | None:
    return run if run["reason"] else None


def test_another_protocol_version_is_refused_with_a_reason(there: tuple[WorkerProcesses, Service]) -> None:
    pool, service = there
    heartbeat = Heartbeat(PROTOCOL_VERSION + 1, "w", "agent", "other", "nowhere", 1, 1, {}, {})
    foreign = msgspec.msgpack.encode([*msgspec.msgpack.decode(encode(heartbeat)), "a field of a later version"])
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.setsockopt(zmq.LINGER, 0)
        client.connect(pool.endpoint)
        for frame in (b"", b"\xc1garbage", bytes(1000), foreign):
            client.send(frame)
        assert client.poll(30_000)
        refusal = decode_from_service(client.recv())
    assert isinstance(refusal, Refusal)
    assert f"protocol version {PROTOCOL_VERSION + 1} is not supported, only {PROTOCOL_VERSION}" in refusal.reason
    assert "other" not in {worker["name"] for worker in service.client.nodes()["workers"]}


def test_a_killed_agent_is_replaced_by_the_next_worker_and_the_run_replays(
    there: tuple[WorkerProcesses, Service],
) -> None:
    """Also if the node may not be started again where it fails by itself."""
    pool, service = there
    victim = pool.start("agent")
    on_loss = {"action": "restart", "max_restarts": 0}
    four = {"world": CELL["world"] | {"pairs": 4}, "on_node_loss": on_loss}
    run_id = service.client.submit(LONG | POOLED | four)["id"]
    folder = Path(service.until(run_id, lambda run: run["slot"] > 50)["folder"])
    victim.kill()
    until(lambda: service.client.show(run_id)["reason"] == "lacks 1 agent (4 needed, 3 present)")
    assert service.client.show(run_id)["state"] == "RUNNING"
    lost = until(lambda: next((n for n in service.client.nodes(run_id)["nodes"] if not n["present"]), None))
    assert lost["worker"] is None
    other = pool.start("agent")
    until(lambda: "rejoined" in (folder / "events.jsonl").read_text())
    until(lambda: service.client.show(run_id)["reason"] == "")
    service.client.stop(run_id)
    assert service.client.wait(run_id)["state"] == "STOPPED"
    assert other.leave(signal.SIGINT) == 0
    [gone, back] = RunFolder.open(folder).past()[:2]
    assert (gone.event, back.event, gone.node, back.node) == ("lost", "rejoined", lost["name"], lost["name"])
    assert RunFolder.open(folder).meta.missed == {lost["name"]: back.slot - gone.slot}
    replayed = CliRunner().invoke(app, ["replay", str(folder)])
    assert replayed.exit_code == 0, replayed.output


def test_a_worker_whose_connections_are_cut_for_an_instant_keeps_its_nodes(tmp_path: Path) -> None:
    pool, config = WorkerProcesses(tmp_path), CELL | POOLED | {"slots": 1500}
    first = int(pool.endpoint.rpartition(":")[2])
    ports = range(first, first + 4)  # the pool's, and those of run processes
    with ExitStack() as stack:
        stack.callback(pool.close)
        lines = [Proxy(("127.0.0.2", port), ("127.0.0.1", port), Random(1)) for port in ports]
        for line in lines:
            stack.callback(line.close)
        service = stack.enter_context(pool.serving("--run-process-ports", f"{first + 1}-{first + 3}"))
        pool.start("channel")
        worker = pool.start("agent", "--capacity", "3", pool=f"tcp://127.0.0.2:{first}")
        run_id = service.client.submit(config)["id"]
        folder = Path(service.until(run_id, lambda run: run["slot"] > 100)["folder"])
        for line in lines:
            line.break_all("cut")
        run = service.client.wait(run_id)
        assert worker.log.count("connected to the pool") == 2
    assert [event.event for event in RunFolder.open(folder).events()] == []
    _check_trace(config, run, tmp_path / "alone")


def test_after_the_channel_server_is_killed_the_run_rolls_back_to_another_worker(
    there: tuple[WorkerProcesses, Service], tmp_path: Path
) -> None:
    pool, service = there
    pool.start("channel")
    config = CELL | POOLED | {"slots": 4000, "checkpoint_every": 200, "on_channel_server_loss": "rollback"}
    run_id = service.client.submit(config)["id"]
    folder = Path(service.until(run_id, lambda run: run["slot"] > 400)["folder"])
    workers = service.client.nodes(run_id)["workers"]
    [name] = [worker["name"] for worker in workers if worker["role"] == "channel"]
    [victim] = [worker for worker in pool.workers if worker.name == name]
    victim.kill()
    run = service.client.wait(run_id)
    [event] = [event for event in RunFolder.open(folder).events() if event.event == "rolled back"]
    assert f"its worker {name} on " in event.reason
    _check_trace(config, run, tmp_path / "alone")


def test_runs_and_workers_continue_without_a_service_and_the_next_one_finds_them(tmp_path: Path) -> None:
    pool = WorkerProcesses(tmp_path)
    try:
        workers = [pool.start("channel"), pool.start("agent", "--capacity", "3")]
        until(lambda: all("connects to the pool" in worker.log for worker in workers))
        with pool.serving() as first:
            run_id = first.client.submit(LONG | POOLED)["id"]
            before = first.until(run_id, lambda run: run["slot"] > 0)
            first.kill()
            until(lambda: all("waiting for the pool" in worker.log for worker in workers))
            with pool.serving() as second:
                second.until(run_id, lambda run: run["slot"] > before["slot"])
                until(lambda: _if_all_placed(second.client.nodes(run_id)))
                assert second.client.show(run_id)["reason"] == ""
                assert [worker.leave() for worker in reversed(workers)] == [0, 0]
                run = second.client.wait(run_id)
    finally:
        pool.close()
    assert (run["state"], run["reason"].startswith("no agent is left at slot")) == ("FAILED", True)


def test_without_a_pool_a_fix_is_suggested(tmp_path: Path) -> None:
    with serving(tmp_path) as service, pytest.raises(ControllerError, match="start it with `airtoll serve --pool"):
        service.client.submit(CELL | POOLED)
    with pytest.raises(ValueError, match="`airtoll submit FILE` puts the run into its queue"):
        airtoll.run(CELL | POOLED, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_invalid_pool_addresses_are_rejected(tmp_path: Path) -> None:
    for words in (["agent", "--pool", "http://here"], ["channel", "--pool", "tcp://here:0"]):
        result = CliRunner().invoke(app, words)
        assert (result.exit_code, "write it as tcp://HOST:8771" in result.stderr) == (2, True)
    for words in (["agent"], ["agent", "--pool", "tcp://here:1", "--capacity", "0"]):
        assert CliRunner().invoke(app, words).exit_code == 2
    result = CliRunner().invoke(app, ["serve", "--port", "0", "--data", str(tmp_path), "--pool", "8771"])
    assert (result.exit_code, "write it as tcp://127.0.0.1:8771" in result.stderr) == (2, True)
    result = CliRunner().invoke(app, ["serve", "--port", "0", "--data", str(tmp_path), "--pool", "tcp://0.0.0.0:*"])
    assert (result.exit_code, "without keys only workers of this machine may connect" in result.stderr) == (2, True)

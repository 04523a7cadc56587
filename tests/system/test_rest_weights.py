"""Weights by REST: downloaded while a run plays, uploaded to it, and replayed."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from safetensors.numpy import load, save
from typer.testing import CliRunner

from airtoll.cli.commands import app
from airtoll.client import ControllerError
from controller.run_folder.reader import RunFolder
from tests.system.service import CELL, Service, serving

LEARNING: dict[str, Any] = {
    "world": {"name": "d2d_underlay", "pairs": 2, "rbs": 2},
    "scheme": {
        "name": "li2020/maac",
        "actor_hidden": [8],
        "critic_hidden": [8, 8],
        "batch": 4,
        "upload_every_slots": 5,
        "push_every_slots": 10,
    },
    "phases": {"train": 10**6, "eval": 10},
    "on_node_loss": {"lost_after_s": 60},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("controller"), "--at-once", "3") as served:
        yield served


@pytest.fixture(scope="module")
def paused(service: Service) -> str:
    """A run that learns, in processes, paused after weights were sent to its nodes."""
    run_id: str = service.client.submit(LEARNING)["id"]
    _until_weights(service, run_id)
    assert service.client.pause(run_id)["state"] == "PAUSED"
    return run_id


def _until_weights(service: Service, run_id: str) -> None:
    """Wait until the trainer has sent weights, which it reports as a scalar."""
    service.until(run_id, lambda run: b"policy_version" in RunFolder.open(Path(run["folder"])).read("scalars.csv"))
    assert service.client.stored_weights(run_id)["weights"]


def _status(service: Service, path: str, body: bytes, kind: str = "application/octet-stream") -> tuple[int, str]:
    connection = HTTPConnection(urlsplit(service.url).netloc, timeout=30)
    connection.request("PUT", f"/api/v2/runs/{path}", body, {"Content-Type": kind})
    answer = connection.getresponse()
    document = json.load(answer)
    connection.close()
    return answer.status, document["detail"]


def test_weights_are_downloaded_while_the_run_plays(service: Service, paused: str) -> None:
    stored = service.client.stored_weights(paused)["weights"]
    assert {one["node"] for one in stored} == {"pair-0", "pair-1"}
    newest = next(one for one in stored if one["node"] == "pair-1")
    assert newest["origin"] == "trainer"
    data = service.client.weights(paused, "pair-1")
    assert len(data) == newest["bytes"]
    assert data == service.client.weights(paused, "pair-1", sent_slot=newest["sent_slot"])
    assert {tensor.dtype for tensor in load(data).values()} == {np.dtype(np.float32)}
    versions = {node["name"]: node["policy_version"] for node in service.client.nodes(paused)["nodes"]}
    assert versions["trainer"] >= 1
    with pytest.raises(ControllerError, match="sent_slot: no weights of pair-1 from slot 7 are stored, only "):
        service.client.weights(paused, "pair-1", sent_slot=7)
    with pytest.raises(ControllerError, match="no agent is named 'bs'; the run has pair-0, pair-1"):
        service.client.weights(paused, "bs")


def _changed(data: bytes, **tensors: Any) -> bytes:
    return save(load(data) | tensors)


def test_weights_that_do_not_fit_the_node_are_rejected(service: Service, paused: str) -> None:
    path, own = f"{paused}/weights/pair-0", service.client.weights(paused, "pair-0")
    bias = load(own)["0.bias"]
    fewer = save({name: tensor for name, tensor in load(own).items() if name != "0.bias"})
    more = _changed(own, extra=bias)
    longer = _changed(own, **{"0.bias": np.append(bias, bias[:1])})
    halved = _changed(own, **{"0.bias": bias.astype(np.float16)})
    named = save(load(own), {"of": "x" * 2**20})
    endless = _changed(own, **{"0.bias": np.full_like(bias, np.inf)})
    for body, status, message in (
        (fewer, 422, "the tensor '0.bias' is missing; the node has 0.bias, 0.weight, "),
        (more, 422, "the node has no tensor 'extra', only "),
        (longer, 422, "the tensor '0.bias' has shape [9], the node's has [8]"),
        (halved, 422, "the tensor '0.bias' has dtype F16, the node's has F32"),
        (endless, 422, "the tensor '0.bias' has numbers that are not finite"),
        (named, 400, "its header has 10"),
        (b"nonsense", 400, "the body is not in safetensors format: "),
        (bytes(16 * 2**20 + 1), 413, "the body is longer than 16777216 bytes"),
    ):
        answer, detail = _status(service, path, body)
        assert (answer, message in detail) == (status, True), detail
    assert _status(service, path, own, "text/plain")[0] == 415
    assert _status(service, f"{paused}/weights/trainer", own)[0] == 404


def test_first_law_a_run_with_uploaded_weights_replays(service: Service, paused: str, tmp_path: Path) -> None:
    """The last test that uses this run, which it stops."""
    own = service.client.weights(paused, "pair-0")
    mine = save({name: -tensor for name, tensor in load(own).items()})
    assert service.client.put_weights(paused, "pair-0", mine)["state"] == "PAUSED"
    slot = service.client.show(paused)["slot"]
    service.client.resume(paused)
    run = service.until(paused, lambda run: run["slot"] > slot + 20)
    folder = RunFolder.open(Path(run["folder"]))
    service.client.stop(paused)
    service.client.wait(paused)
    assert [(event.node, event.slot) for event in folder.events() if event.event == "uploaded"] == [("pair-0", slot)]
    assert list((folder.path / "weights" / "node-0").glob("*.put"))[0].read_bytes() == mine  # noqa: RUF015
    assert not (folder.path / "orders").exists()
    replayed = CliRunner().invoke(app, ["replay", str(folder.path), "--out", str(tmp_path / "again")])
    assert replayed.exit_code == 0, replayed.output
    again = RunFolder.open(tmp_path / "again")
    assert again.read("air_book.msgpack") == folder.read("air_book.msgpack")
    assert again.past() == folder.past()
    assert _status(service, f"{paused}/weights/pair-0", mine)[0] == 409
    # the tensors: the file names the run that it comes from
    stored = [load(again.weights.read(0, weights.sent_slot)) for weights in again.weights.stored(0)]
    assert _as_bytes(load(service.client.weights(paused, "pair-0"))) in map(_as_bytes, stored)


def test_a_run_that_sends_no_weights_accepts_none(service: Service) -> None:
    run_id = service.client.submit(CELL | {"slots": 10**6})["id"]
    service.until_state(run_id, "RUNNING")
    assert service.client.stored_weights(run_id) == {"weights": []}
    with pytest.raises(ControllerError, match="li2020/sla sends no weights"):
        service.client.put_weights(run_id, "pair-0", b"")
    service.client.stop(run_id)


def test_the_command_line(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRTOLL_URL", service.url)
    run_id = service.client.submit(LEARNING | {"placement": "in-process"})["id"]
    _until_weights(service, run_id)

    def call(*words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == 0, result.output
        return result.stdout

    file = tmp_path / "mine.safetensors"
    assert call("weights", run_id, "pair-0", "-o", str(file)) == f"{file}\n"
    assert "pair-0 receives them over the air in the next slot" in call("put-weights", run_id, "pair-0", str(file))
    service.until(run_id, lambda run: b"uploaded pair-0" in RunFolder.open(Path(run["folder"])).read("log.txt"))
    assert "pair-1" in call("weights", run_id)
    stored = json.loads(call("weights", run_id, "--format", "json"))["weights"]
    assert {one["origin"] for one in stored} <= {"trainer", "uploaded"}
    service.client.stop(run_id)
    assert service.client.wait(run_id)["state"] == "STOPPED"
    assert service.client.weights(run_id, "pair-0")


def _as_bytes(tensors: dict[str, Any]) -> dict[str, bytes]:
    return {name: tensor.tobytes() for name, tensor in tensors.items()}

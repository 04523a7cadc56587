"""What the service answers when folders and files of its runs are gone or damaged."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from controller.api.app import create_app
from controller.config.resolved import load
from controller.run_folder.status import RunStatus, State
from controller.service.run_manager import RunManager
from controller.service.settings import ServiceSettings
from controller.service.store import Run, Store
from tests.system.service import CELL

RESULTS = ("metrics", "toll", "map", "wire", "log", "files", "files/meta.json", "checkpoints", "events", "weights")


class _Client:
    """Requests to a service in this process, with one run in its index."""

    def __init__(self, data: Path, store: Store) -> None:
        self.manager = RunManager(ServiceSettings(data), store)
        self._app = create_app(self.manager, "")

    async def get(self, path: str, query: str = "", method: str = "GET") -> tuple[int, dict[str, Any]]:
        """Status and document."""
        sent: list[dict[str, Any]] = []
        headers = [(b"host", b"127.0.0.1")]
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": query.encode()}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)  # type: ignore[arg-type]
        return sent[0]["status"], json.loads(b"".join(part.get("body", b"") for part in sent) or b"{}")

    async def stopped(self) -> Run:
        """A run that has ended."""
        run = await self.manager.submit(load(CELL))
        return await self.manager.stop(run.id)


def test_every_route_of_a_run_whose_folder_is_gone_says_so(tmp_path: Path) -> None:
    async def play(store: Store) -> None:
        client = _Client(tmp_path, store)
        run, other = await client.stopped(), await client.stopped()
        shutil.rmtree(run.folder)
        api, path = "/api/v2", f"/api/v2/runs/{run.id}"
        for result in (*RESULTS, "weights/pair-0"):
            status, document = await client.get(f"{path}/{result}")
            assert (status, run.id in document["detail"]) == (410, True), (result, document)
        assert (await client.get(f"{api}/compare", f"runs={run.id},{other.id}"))[0] == 410
        assert (await client.get(f"{api}/nodes", f"run={run.id}"))[0] == 410
        assert (await client.get(path))[0] == 200
        assert (await client.get(f"{api}/runs"))[1]["total"] == 2
        assert (await client.get(path, method="DELETE"))[0] == 204
        assert (await client.get(path))[0] == 404
        await client.manager.close()

    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
        asyncio.run(play(store))


def test_damaged_files_are_named_and_concern_their_run_alone(tmp_path: Path) -> None:
    async def play(store: Store) -> None:
        client = _Client(tmp_path, store)
        run = await client.manager.submit(load(CELL))
        store.move(run.id, State.RUNNING)
        RunStatus(State.RUNNING, 7).write(run.folder)
        (run.folder / "status.json").write_bytes(b"")
        for path in ("/api/v2/runs", f"/api/v2/runs/{run.id}", "/api/v2/nodes"):
            assert (await client.get(path))[0] == 200, path
        assert "status.json cannot be read" in (await client.get(f"/api/v2/runs/{run.id}"))[1]["reason"]
        for name, route in (("metrics.csv", "metrics"), ("wire_book.json", "wire"), ("toll.csv", "toll")):
            (run.folder / name).write_text("x\ny\n")
            status, document = await client.get(f"/api/v2/runs/{run.id}/{route}")
            assert (status, f"{name} is damaged" in document["detail"]) == (500, True), document
        sound = await client.manager.submit(load(CELL))
        store.move(sound.id, State.RUNNING)
        for harm in (
            lambda file: file.write_bytes(b"\xff"),
            lambda file: file.unlink(),
            lambda file: file.mkdir(),
            lambda file: shutil.rmtree(file.parent),
        ):
            harm(run.folder / "meta.json")
            status, document = await client.get("/api/v2/nodes")
            assert (status, {node["run"] for node in document["nodes"]}) == (200, {sound.id})
            assert str(run.folder) in document["unreadable"][run.id]
            assert (await client.get("/api/v2/nodes", f"run={run.id}"))[0] in (410, 500, 503)
        assert (await client.get(f"/api/v2/runs/{run.id}/metrics"))[0] == 410
        await client.manager.close()

    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
        asyncio.run(play(store))


def test_a_service_whose_folder_or_database_cannot_be_written_is_not_ready(tmp_path: Path) -> None:
    async def play(client: _Client) -> tuple[int, dict[str, Any]]:
        answer = await client.get("/readyz")
        await client.manager.close()
        return answer

    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
        assert asyncio.run(play(_Client(tmp_path / "a", store)))[0] == 200
        client = _Client(tmp_path / "a", store)
        (tmp_path / "a").rename(tmp_path / "b")
        status, document = asyncio.run(play(client))
        assert (status, document["detail"]) == (503, "the data folder cannot be written: No such file or directory")
        client = _Client(tmp_path / "b", store)
        with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
            database.execute("DROP TABLE data_folder")
        status, document = asyncio.run(play(client))
        assert (status, document["detail"]) == (503, "the database cannot be written")

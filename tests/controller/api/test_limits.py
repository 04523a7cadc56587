"""What the service says when there is no room, and what becomes of those who take nothing."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from controller.api import server
from controller.api.app import create_app
from controller.config.errors import ConfigError
from controller.config.resolved import load
from controller.run_folder.status import State
from controller.run_folder.writer import RunWriter
from controller.service.event_streams import Cursor, EventStreams, StreamsFullError
from controller.service.run_manager import RunManager
from controller.service.store import Store
from tests.system.service import CELL

SMALL = CELL | {"slots": 20}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as opened:
        yield opened


async def _answer(app: Any, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and document."""
    told: list[dict[str, Any]] = []
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    await app(
        scope | {"http_version": "1.1", "scheme": "http", "root_path": "", "raw_path": path.encode()}, receive, send
    )
    answer = b"".join(message.get("body", b"") for message in told)
    return told[0]["status"], {k.decode(): v.decode() for k, v in told[0]["headers"]}, json.loads(answer)


async def _until(reached: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await reached():
            await asyncio.sleep(0)


def test_a_queue_that_is_full_takes_no_more_and_says_what_to_do(store: Store, tmp_path: Path) -> None:
    async def ask() -> None:
        manager = RunManager(tmp_path / "data", store, max_queued=2)  # nobody serves the queue
        app = create_app(manager, "")
        body = json.dumps(SMALL).encode()
        answers = [await _answer(app, "POST", "/api/v1/runs", body) for _ in range(3)]
        await manager.close()
        _, headers, document = answers[2]
        assert [answer[0] for answer in answers] == [202, 202, 503]
        assert headers["content-type"] == "application/problem+json"
        assert headers["retry-after"] == "10"
        assert document["detail"] == "2 runs are waiting; stop one, or come again later"
        assert len(list((tmp_path / "data" / "runs").iterdir())) == 2

    asyncio.run(ask())


def test_so_many_are_at_work_at_once_and_no_more(store: Store, tmp_path: Path) -> None:
    async def look() -> None:
        manager = RunManager(tmp_path, store, at_once=2)
        await manager.open()
        for seed in range(5):
            await manager.submit(load(SMALL | {"seed": seed}))
        most = 0

        async def all_ended() -> bool:
            nonlocal most
            counts = await asyncio.to_thread(store.counts)
            most = max(most, counts[State.RUNNING])
            return counts[State.SUCCEEDED] == 5

        await _until(all_ended)
        await manager.close()
        assert most == 2

    asyncio.run(look())


def test_one_reader_more_than_may_look_on_is_told_so(store: Store, tmp_path: Path) -> None:
    async def look() -> None:
        manager = RunManager(tmp_path, store)
        resolved = load(SMALL)
        run = await manager.submit(resolved)
        watches = EventStreams(manager, max_readers=2)
        readers = [await watches.look(run, Cursor()) for _ in range(2)]
        for reader in readers:
            assert await anext(reader)
        with pytest.raises(StreamsFullError, match="2 readers look on already; come again later, or give `airtoll"):
            await watches.look(run, Cursor())
        await readers[0].aclose()  # type: ignore[attr-defined]
        again = await watches.look(run, Cursor())
        assert await anext(again)
        for reader in (readers[1], again):
            await reader.aclose()  # type: ignore[attr-defined]
        assert watches.readers == 0
        app = create_app(manager, "", max_readers=0)
        status, headers, document = await _answer(app, "GET", f"/api/v1/runs/{run.id}/events")
        assert (status, headers["retry-after"]) == (503, "10")
        assert document["detail"].endswith("or give `airtoll serve` more --readers")
        await manager.close()

    asyncio.run(look())


def test_a_reader_that_takes_nothing_is_cut_off_and_the_others_are_not(store: Store, tmp_path: Path) -> None:
    """It may come again where it was."""

    async def look() -> None:
        manager = RunManager(tmp_path, store)
        resolved = load(SMALL)
        run = await manager.submit(resolved)
        watches = EventStreams(manager, max_readers=2)
        deaf, keen = [await watches.look(run, Cursor()) for _ in range(2)]
        await anext(deaf)
        await anext(keen)
        folder = RunWriter(run.folder, resolved.config)
        watch = watches._watches[run.id]
        for number in range(30):
            folder.log(f"line {number}")
            await watch._tell_once()
            while f"line {number}" not in (await anext(keen)).decode():
                pass
        told = [event async for event in deaf]
        assert len(told) == 20
        await keen.aclose()  # type: ignore[attr-defined]
        await manager.close()

    asyncio.run(look())


def test_a_connection_that_takes_nothing_is_cut_off_and_what_waits_is_forgotten() -> None:
    with (
        closing(server.listen("127.0.0.1", 0, timeout_s=0.2)) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as told,
    ):
        told.settimeout(60)
        with pytest.raises(TimeoutError, match="Connection timed out"):
            told.sendall(bytes(1 << 26))


def test_more_readers_than_the_process_may_have_files_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"--readers: \d+ need \d+ open files, and \d+ are allowed; give at most \d+"):
        server._make_room(10**9)

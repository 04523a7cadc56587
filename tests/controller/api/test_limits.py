"""The service's limits: what it answers when one is reached, and clients that read nothing."""

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
from controller.execution.run import reopen
from controller.run_folder.status import State
from controller.service.event_streams import Cursor, EventStreams, StreamsFullError
from controller.service.limits import MAX_UNREAD_EVENTS
from controller.service.run_manager import RunManager
from controller.service.settings import ServiceSettings
from controller.service.store import Store
from tests.system.service import CELL

SMALL = CELL | {"slots": 20}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as opened:
        yield opened


async def _answer(app: Any, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and document."""
    sent: list[dict[str, Any]] = []
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(
        scope | {"http_version": "1.1", "scheme": "http", "root_path": "", "raw_path": path.encode()}, receive, send
    )
    answer = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, json.loads(answer)


async def _until(reached: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await reached():
            await asyncio.sleep(0)


def test_a_full_queue_rejects_runs_with_a_suggested_fix(store: Store, tmp_path: Path) -> None:
    async def ask() -> None:
        manager = RunManager(ServiceSettings(tmp_path / "data", max_queued=2), store)  # nobody serves the queue
        app = create_app(manager, "")
        body = json.dumps(SMALL).encode()
        answers = [await _answer(app, "POST", "/api/v2/runs", body) for _ in range(3)]
        await manager.close()
        _, headers, document = answers[2]
        assert [answer[0] for answer in answers] == [202, 202, 503]
        assert headers["content-type"] == "application/problem+json"
        assert headers["retry-after"] == "10"
        assert document["detail"] == "2 runs are waiting; stop one, or try again later"
        assert len(list((tmp_path / "data" / "runs").iterdir())) == 2

    asyncio.run(ask())


def test_no_more_runs_are_at_work_than_allowed(store: Store, tmp_path: Path) -> None:
    async def play() -> None:
        manager = RunManager(ServiceSettings(tmp_path, at_once=2), store)
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

    asyncio.run(play())


def test_one_event_stream_too_many_is_rejected(store: Store, tmp_path: Path) -> None:
    async def read() -> None:
        manager = RunManager(ServiceSettings(tmp_path, max_readers=2), store)
        run = await manager.submit(load(SMALL))
        app = create_app(manager, "")
        streams: EventStreams = app.state.services.streams
        readers = [await streams.subscribe(run, Cursor()) for _ in range(2)]
        for reader in readers:
            assert await anext(reader)
        with pytest.raises(StreamsFullError, match="2 event streams are open already; try again later"):
            await streams.subscribe(run, Cursor())
        status, headers, document = await _answer(app, "GET", f"/api/v2/runs/{run.id}/events")
        assert (status, headers["retry-after"]) == (503, "10")
        assert document["detail"].endswith("or start `airtoll serve` with more --readers")
        await readers[0].aclose()  # type: ignore[attr-defined]
        again = await streams.subscribe(run, Cursor())
        assert await anext(again)
        for reader in (readers[1], again):
            await reader.aclose()  # type: ignore[attr-defined]
        assert streams.readers == 0
        await manager.close()

    asyncio.run(read())


def test_the_stream_of_a_reader_that_reads_nothing_ends_and_the_others_do_not(store: Store, tmp_path: Path) -> None:
    """It may continue where it was."""

    async def read() -> None:
        manager = RunManager(ServiceSettings(tmp_path), store)
        run = await manager.submit(load(SMALL))
        streams = EventStreams(manager)
        stalled, quick = [await streams.subscribe(run, Cursor()) for _ in range(2)]
        await anext(stalled)
        await anext(quick)
        writer = reopen(run.folder)[1]
        for number in range(30):
            writer.log(f"line {number}")
            await streams._streams[run.id].poll()
            while f"line {number}" not in (await anext(quick)).decode():
                pass
        assert len([event async for event in stalled]) == MAX_UNREAD_EVENTS
        await quick.aclose()  # type: ignore[attr-defined]
        await manager.close()

    asyncio.run(read())


def test_a_connection_whose_client_reads_nothing_is_closed() -> None:
    with (
        closing(server.listen("127.0.0.1", 0, timeout_s=0.2)) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as served,
    ):
        served.settimeout(60)
        with pytest.raises(TimeoutError, match="Connection timed out"):
            served.sendall(bytes(1 << 26))


def test_more_event_streams_than_the_process_may_have_files_are_rejected() -> None:
    with pytest.raises(ConfigError, match=r"--readers: \d+ need \d+ open files, and \d+ are allowed; give at most \d+"):
        server._raise_file_limit(10**9)

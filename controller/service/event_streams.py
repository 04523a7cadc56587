"""Streams of a run's events: one task per run reads its files, however many readers the stream has.

Each event is encoded once, as a server-sent event. An event's id is the position in the files
(`metrics-scalars-log-toll`, in bytes): a reader whose connection broke continues there, even at another service.
"""

import asyncio
import json
import logging
import math
import weakref
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from controller.run_folder.files import csv_rows, ends_line, last_line_end, lines_of, read_chunk
from controller.run_folder.layout import LOG, METRICS, SCALARS, TOLL
from controller.run_folder.status import FINAL_STATES
from controller.service.limits import EVENTS_POLL_S, MAX_UNREAD_EVENTS, PING_INTERVAL_S
from controller.service.queries import with_live_status
from controller.service.run_manager import NoSuchRunError, RunManager
from controller.service.store import Run, StoreGoneError

_PING = b": ping\n\n"
_LOG = logging.getLogger("airtoll")
_FILES = (METRICS, SCALARS, LOG, TOLL)


class StreamsFullError(Exception):
    """As many event streams are open as are allowed."""


class Cursor(NamedTuple):
    """How many bytes of a run's files have been sent."""

    metrics: int = 0
    scalars: int = 0
    log: int = 0
    toll: int = 0

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Parse an event's id. ValueError for anything else."""
        parts = text.split("-")
        if len(parts) != len(_FILES) or not all(part.isascii() and part.isdigit() and len(part) < 18 for part in parts):
            raise ValueError(f"Last-Event-ID: {text[:60]!r} is not the id of an event of this run; leave it out")
        return cls(*map(int, parts))

    def at_most(self, other: "Cursor") -> "Cursor":
        """The earlier position in each file."""
        return Cursor(*map(min, self, other))

    def __str__(self) -> str:
        return "-".join(map(str, self))


class EventStreams:
    """The event streams of all runs that have readers."""

    def __init__(self, manager: RunManager) -> None:
        self._manager = manager
        self._streams: dict[str, _RunEventStream] = {}
        self.readers = 0

    async def subscribe(self, run: Run, since: Cursor) -> AsyncIterator[bytes]:
        """A run's events from a cursor on, until its end. StreamsFullError; ValueError for a cursor of another run."""
        max_readers = self._manager.settings.max_readers
        if self.readers >= max_readers:
            fix = "try again later, or start `airtoll serve` with more --readers"
            raise StreamsFullError(f"{max_readers} event streams are open already; {fix}")
        reader_count = _ReaderCount(self)
        try:
            await asyncio.to_thread(_check, run.folder, since)
            events = self._events(run, since, await asyncio.to_thread(_extent, run.folder), reader_count)
        except BaseException:
            reader_count.leave()
            raise
        weakref.finalize(
            events, reader_count.leave
        )  # a reader that disconnects before the first event never runs the generator
        return events

    def close(self) -> None:
        """End all streams."""
        for stream in self._streams.values():
            stream.close()

    async def _events(
        self, run: Run, since: Cursor, begun: Cursor, reader_count: "_ReaderCount"
    ) -> AsyncIterator[bytes]:
        stream = self._streams.get(run.id)
        if stream is None:
            stream = self._streams[run.id] = _RunEventStream(self._manager, run, begun)
        reader = stream.join()
        joined = stream.cursor
        since = since.at_most(joined)
        try:
            yield b"retry: 2000\n\n"
            while since != joined:
                event, since = await asyncio.to_thread(_catch_up, run.folder, since, joined)
                yield event
            async for event in reader.events():
                yield event
        finally:
            reader_count.leave()
            if not stream.leave(reader) and self._streams.get(run.id) is stream:
                del self._streams[run.id]


class _ReaderCount:
    """Counts as one reader until `leave` is called for the first time."""

    def __init__(self, streams: EventStreams) -> None:
        self._streams: EventStreams | None = streams
        streams.readers += 1

    def leave(self) -> None:
        """Count no more."""
        if self._streams is not None:
            self._streams.readers -= 1
            self._streams = None


class _Reader:
    """One reader, and the events that wait for it."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._over = False

    def put(self, event: bytes) -> None:
        """Add an event. The stream of a reader that is far behind ends; it may continue from its last event."""
        if len(self._waiting) < MAX_UNREAD_EVENTS:
            self._waiting.append(event)
        else:
            self._over = True
        self._changed.set()

    def close(self) -> None:
        """End the stream after the events that wait."""
        self._over = True
        self._changed.set()

    async def events(self) -> AsyncIterator[bytes]:
        """The events as they come, and pings while none does."""
        while self._waiting or not self._over:
            while self._waiting:
                yield self._waiting.popleft()
            self._changed.clear()
            if self._over:
                return
            try:
                async with asyncio.timeout(PING_INTERVAL_S):
                    await self._changed.wait()
            except TimeoutError:
                yield _PING


class _RunEventStream:
    """The task that reads one run's files, and the readers that it sends events to."""

    def __init__(self, manager: RunManager, run: Run, begun: Cursor) -> None:
        self.cursor = begun
        self._manager = manager
        self._run = run
        self._readers: set[_Reader] = set()
        self._status: dict[str, Any] = {}
        self._end: bytes | None = None
        self._task = asyncio.create_task(self._poll_until_the_end())

    def join(self) -> _Reader:
        """Add a reader, which gets the events from `cursor` on."""
        reader = _Reader()
        if self._status:
            reader.put(_encoded("update", self._status | _NOTHING_NEW, str(self.cursor)))
        if self._end is not None:
            reader.put(self._end)
        if self._task.done():
            reader.close()
        self._readers.add(reader)
        return reader

    def leave(self, reader: _Reader) -> bool:
        """Remove a reader, and end the task after the last one; whether readers are left."""
        self._readers.discard(reader)
        if not self._readers:
            self._task.cancel()
        return bool(self._readers)

    def close(self) -> None:
        """End the readers' streams."""
        for reader in self._readers:
            reader.close()

    async def _poll_until_the_end(self) -> None:
        try:
            while not await self.poll():
                await asyncio.sleep(EVENTS_POLL_S)
        except (NoSuchRunError, StoreGoneError, FileNotFoundError):
            return  # the run was deleted; or readers reconnect once the database answers
        except Exception as error:
            _LOG.error("the event stream of %s failed; its readers may connect again", self._run.id, exc_info=error)
        finally:
            self.close()

    async def poll(self) -> bool:
        """Send what is new in the run's files; whether that was the last event."""
        run = await self._manager.get(self._run.id)
        status = await asyncio.to_thread(_status, run)
        extent = await asyncio.to_thread(_extent, run.folder)
        since = self.cursor.at_most(extent)  # files are shorter after a rollback to a checkpoint
        news, self.cursor = await asyncio.to_thread(_news, run.folder, since, None)
        if any(news.values()) or status != self._status:
            self._status = status
            self._send(_encoded("update", status | news, str(self.cursor)))
            return False
        if run.state not in FINAL_STATES:
            return False
        self._end = _encoded("end", status, str(self.cursor))
        self._send(self._end)
        return True

    def _send(self, event: bytes) -> None:
        for reader in self._readers:
            reader.put(event)


_NOTHING_NEW: dict[str, Any] = {"metrics": [], "scalars": [], "log": [], "toll": []}


def _status(run: Run) -> dict[str, Any]:
    live = with_live_status(run)
    return {"run": run.id, "state": run.state.value, "slot": live.slot, "slots": run.slots, "reason": live.reason}


def _encoded(event: str, data: dict[str, Any], event_id: str) -> bytes:
    return f"event: {event}\nid: {event_id}\ndata: {json.dumps(data)}\n\n".encode()


def _catch_up(folder: Path, since: Cursor, until: Cursor) -> tuple[bytes, Cursor]:
    news, cursor = _news(folder, since, until)
    return _encoded("update", news, str(cursor)), cursor


def _news(folder: Path, since: Cursor, until: Cursor | None) -> tuple[dict[str, Any], Cursor]:
    """What was written between two cursors, at most a chunk of each file, and the cursor after it."""
    ends = until or (None,) * len(_FILES)
    chunks = [read_chunk(folder / name, start, end) for name, start, end in zip(_FILES, since, ends, strict=True)]
    metrics, scalars, log, toll = (lines_of(data, "replace") for data in chunks)
    cursor = Cursor(*(start + len(data) for start, data in zip(since, chunks, strict=True)))
    return {
        "metrics": _rows(folder / METRICS, metrics, first=since.metrics == 0),
        "scalars": _rows(folder / SCALARS, scalars, first=since.scalars == 0),
        "log": log,
        "toll": _rows(folder / TOLL, toll, first=since.toll == 0),
    }, cursor


def _rows(path: Path, lines: list[str], *, first: bool) -> list[dict[str, Any]]:
    """Rows of a CSV file with numbers parsed. `first`: the lines begin with the header."""
    if not lines:
        return []
    return [{key: _number(value) for key, value in row.items()} for row in csv_rows(path, lines[first:])]


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text) if math.isfinite(float(text)) else None
    except ValueError:
        return text


def _extent(folder: Path) -> Cursor:
    """The end of the last whole line of each file."""
    return Cursor(*(last_line_end(folder / name) for name in _FILES))


def _check(folder: Path, cursor: Cursor) -> None:
    """ValueError unless a line begins at each position."""
    for name, position in zip(_FILES, cursor, strict=True):
        if position and not ends_line(folder / name, position):
            raise ValueError(f"Last-Event-ID: {cursor} is not the id of an event of this run; leave it out")

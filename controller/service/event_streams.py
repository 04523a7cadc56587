"""Runs as they go, for those who look on: one reader of files per run that is watched, however many look.

What is new is encoded once, as a server-sent event. An event's id says how far the files have been read
(`metrics-scalars-log-toll`, in bytes), so that who was cut off goes on from there, even at another service.
"""

import asyncio
import json
import math
import weakref
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from controller.run_folder.files import csv_rows, ends_line, last_line_end, piece
from controller.run_folder.layout import LOG, METRICS, SCALARS, TOLL
from controller.run_folder.status import ENDS, RunStatus, State
from controller.service.run_manager import NoSuchRunError, RunManager
from controller.service.store import Run, StoreGoneError

EVERY_S = 0.5
PING_EVERY_S = 15.0
_PING = b": ping\n\n"
MAX_BEHIND = 20  # events that wait for a reader before it is cut off
_FILES = (METRICS, SCALARS, LOG, TOLL)


class StreamsFullError(Exception):
    """As many look on as may."""


class Cursor(NamedTuple):
    """How many bytes of a run's files have been told."""

    metrics: int = 0
    scalars: int = 0
    log: int = 0
    toll: int = 0

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """From an event's id. ValueError for anything else."""
        parts = text.split("-")
        if len(parts) != len(_FILES) or not all(part.isascii() and part.isdigit() and len(part) < 18 for part in parts):
            raise ValueError(f"Last-Event-ID: {text[:60]!r} is not the id of an event of this run; leave it out")
        return cls(*map(int, parts))

    def at_most(self, other: "Cursor") -> "Cursor":
        """As far as both have come."""
        return Cursor(*map(min, self, other))

    def __str__(self) -> str:
        return "-".join(map(str, self))


class EventStreams:
    """All runs that somebody looks at."""

    def __init__(self, manager: RunManager, *, max_readers: int) -> None:
        self._manager = manager
        self._max_readers = max_readers
        self._watches: dict[str, _RunEventStream] = {}
        self.readers = 0

    async def look(self, run: Run, since: Cursor) -> AsyncIterator[bytes]:
        """Events from a cursor on, until the run's end. StreamsFullError before the first;
        ValueError for a cursor that is none of this run's."""
        if self.readers >= self._max_readers:
            cure = "come again later, or give `airtoll serve` more --readers"
            raise StreamsFullError(f"{self._max_readers} readers look on already; {cure}")
        seat = _Seat(self)
        try:
            await asyncio.to_thread(_check, run.folder, since)
            events = self._events(run, since, await asyncio.to_thread(_extent, run.folder), seat)
        except BaseException:
            seat.leave()
            raise
        weakref.finalize(events, seat.leave)  # who has gone before the first event never begins them
        return events

    def close(self) -> None:
        """Send everybody home."""
        for watch in self._watches.values():
            watch.close()

    async def _events(self, run: Run, since: Cursor, begun: Cursor, seat: "_Seat") -> AsyncIterator[bytes]:
        watch = self._watches.get(run.id)
        if watch is None:
            watch = self._watches[run.id] = _RunEventStream(self._manager, run, begun)
        reader = watch.join()
        joined = watch.cursor
        since = since.at_most(joined)
        try:
            yield b"retry: 2000\n\n"
            while since != joined:
                event, since = await asyncio.to_thread(_caught_up, run.folder, since, joined)
                yield event
            async for event in reader.events():
                yield event
        finally:
            seat.leave()
            if not watch.leave(reader) and self._watches.get(run.id) is watch:
                del self._watches[run.id]


class _Seat:
    """Counts as one of those who look on, until it is left."""

    def __init__(self, watches: EventStreams) -> None:
        self._watches: EventStreams | None = watches
        watches.readers += 1

    def leave(self) -> None:
        """Once."""
        if self._watches is not None:
            self._watches.readers -= 1
            self._watches = None


class _Reader:
    """The events that wait for one reader."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._something = asyncio.Event()
        self._over = False

    def put(self, event: bytes) -> None:
        """One more event; a reader that is far behind is cut off, and may come again where it was."""
        if len(self._waiting) < MAX_BEHIND:
            self._waiting.append(event)
        else:
            self._over = True
        self._something.set()

    def close(self) -> None:
        """Nothing comes after what waits."""
        self._over = True
        self._something.set()

    async def events(self) -> AsyncIterator[bytes]:
        """What comes, and a sign of life when nothing does."""
        while self._waiting or not self._over:
            while self._waiting:
                yield self._waiting.popleft()
            self._something.clear()
            if self._over:
                return
            try:
                async with asyncio.timeout(PING_EVERY_S):
                    await self._something.wait()
            except TimeoutError:
                yield _PING


class _RunEventStream:
    """The task that reads one run's files."""

    def __init__(self, manager: RunManager, run: Run, begun: Cursor) -> None:
        self.cursor = begun
        self._manager = manager
        self._run = run
        self._readers: set[_Reader] = set()
        self._told: dict[str, Any] = {}
        self._end: bytes | None = None
        self._task = asyncio.create_task(self._tell())

    def join(self) -> _Reader:
        """One more reader, from `cursor` on."""
        reader = _Reader()
        if self._told:
            reader.put(_encoded("figures", self._told | _NOTHING_NEW, str(self.cursor)))
        if self._end is not None:
            reader.put(self._end)
        if self._task.done():
            reader.close()
        self._readers.add(reader)
        return reader

    def leave(self, reader: _Reader) -> bool:
        """Whether anybody still looks on; else the task ends."""
        self._readers.discard(reader)
        if not self._readers:
            self._task.cancel()
        return bool(self._readers)

    def close(self) -> None:
        """Send the readers home."""
        for reader in self._readers:
            reader.close()

    async def _tell(self) -> None:
        try:
            while not await self._tell_once():
                await asyncio.sleep(EVERY_S)
        except (NoSuchRunError, StoreGoneError):
            return  # it was deleted, or who looks on may come again later
        finally:
            self.close()

    async def _tell_once(self) -> bool:
        """Tell what is new; whether that was the last."""
        run = await self._manager.get(self._run.id)
        about = await asyncio.to_thread(_about, run)
        extent = await asyncio.to_thread(_extent, run.folder)
        since = self.cursor.at_most(extent)  # files are shorter when the run was taken back to a checkpoint
        news, self.cursor = await asyncio.to_thread(_news, run.folder, since, None)
        if any(news.values()) or about != self._told:
            self._told = about
            self._send(_encoded("figures", about | news, str(self.cursor)))
            return False
        if run.state not in ENDS:
            return False
        self._end = _encoded("end", about, str(self.cursor))
        self._send(self._end)
        return True

    def _send(self, event: bytes) -> None:
        for reader in self._readers:
            reader.put(event)


_NOTHING_NEW: dict[str, Any] = {"metrics": [], "scalars": [], "log": [], "toll": []}


def _about(run: Run) -> dict[str, Any]:
    """How far the run is."""
    return {"run": run.id, "state": run.state.value, "slot": slot_of(run), "slots": run.slots, "reason": run.reason}


def slot_of(run: Run) -> int:
    """The slots that are done by now."""
    if run.state in ENDS or run.state is State.PENDING:
        return run.slot
    status = RunStatus.read(run.folder)
    return status.slot if status else 0


def _encoded(event: str, data: dict[str, Any], event_id: str) -> bytes:
    return f"event: {event}\nid: {event_id}\ndata: {json.dumps(data)}\n\n".encode()


def _caught_up(folder: Path, since: Cursor, until: Cursor) -> tuple[bytes, Cursor]:
    news, cursor = _news(folder, since, until)
    return _encoded("figures", news, str(cursor)), cursor


def _news(folder: Path, since: Cursor, until: Cursor | None) -> tuple[dict[str, Any], Cursor]:
    """What was written since (and until), a piece of each file at a time."""
    ends = until or (None,) * len(_FILES)
    pieces = [piece(folder / name, start, end) for name, start, end in zip(_FILES, since, ends, strict=True)]
    metrics, scalars, log, tolls = (data.decode(errors="replace").splitlines() for data in pieces)
    cursor = Cursor(*(start + len(data) for start, data in zip(since, pieces, strict=True)))
    return {
        "metrics": _rows(folder / _FILES[0], metrics, first=since.metrics == 0),
        "scalars": _rows(folder / _FILES[1], scalars, first=since.scalars == 0),
        "log": log,
        "toll": _rows(folder / _FILES[3], tolls, first=since.toll == 0),
    }, cursor


def _rows(path: Path, lines: list[str], *, first: bool) -> list[dict[str, Any]]:
    """Rows of a CSV file, numbers as numbers; `first`: the lines begin with the header."""
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
    """How far the whole lines of each file reach."""
    return Cursor(*(last_line_end(folder / name) for name in _FILES))


def _check(folder: Path, cursor: Cursor) -> None:
    """ValueError unless a line begins at each place."""
    for name, place in zip(_FILES, cursor, strict=True):
        if place and not ends_line(folder / name, place):
            raise ValueError(f"Last-Event-ID: {cursor} is not the id of an event of this run; leave it out")

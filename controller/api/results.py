"""The routes of a run's results: figures, books, log, files, and what comes as it goes."""

import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Header, Query
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse

from controller.api.dependencies import RunId, ServicesDep, folder_of
from controller.api.problems import UnreadableError, responses
from controller.api.schemas import (
    CheckpointShape,
    CheckpointsShape,
    FileShape,
    FilesShape,
    LogShape,
    MapShape,
    MetricsShape,
    TollsShape,
    WireShape,
)
from controller.run_folder.toll import TollKey
from controller.service import queries as figures
from controller.service.event_streams import Cursor
from controller.service.queries import MAX_WINDOWS

router = APIRouter(prefix="/runs/{run_id}", tags=["results"])

_MAX_SLOTS = 10**12
_PIECE_BYTES = 1 << 16
Slot = Annotated[int | None, Query(ge=0, le=_MAX_SLOTS)]
FileName = Annotated[str, PathParameter(max_length=300, examples=["summary.json"])]


@router.get("/metrics", responses=responses(404, 422))
def metrics(
    run_id: RunId,
    services: ServicesDep,
    name: Annotated[list[str] | None, Query(max_length=50)] = None,
    first: Slot = None,
    last: Slot = None,
    windows: Annotated[int, Query(ge=1, le=MAX_WINDOWS)] = 200,
) -> MetricsShape:
    """Metrics by `name` (all, if none is given) over windows that touch the slots `first` to `last`."""
    folder = folder_of(services.run(run_id))
    try:
        told = figures.metrics(folder, names=name or [], first=first or 0, last=last, windows=windows)
    except KeyError as error:
        raise UnreadableError(422, f"name: no metric {error}; known: {', '.join(folder.meta.units)}") from error
    return MetricsShape.model_validate(told, from_attributes=True)


@router.get("/toll", responses=responses(404, 422))
def toll(
    run_id: RunId,
    services: ServicesDep,
    by: TollKey = "kind",
    windows: Annotated[int, Query(ge=1, le=MAX_WINDOWS)] = 1,
) -> TollsShape:
    """The toll per kind of note, sending node or link class in at most so many windows."""
    spans: Any = figures.toll(folder_of(services.run(run_id)), by=by, windows=windows)
    return TollsShape(by=by, windows=spans)


@router.get("/map", responses=responses(404, 422))
def run_map(run_id: RunId, services: ServicesDep) -> MapShape:
    """Who is where, and what was done in the last slot, a few times a second: what the world shows of its replica 0.

    Before the first slot, and for a world that shows nothing, `slot` is null and `shown` is empty.
    """
    run = services.run(run_id)
    return MapShape(world=run.world, **folder_of(run).map)


@router.get("/wire", responses=responses(404, 422))
def wire(run_id: RunId, services: ServicesDep) -> WireShape:
    """The wire book; empty before the run's end, and for runs in one process."""
    return WireShape(**figures.wire(folder_of(services.run(run_id))))


@router.get("/log", responses=responses(404, 422))
def log(
    run_id: RunId,
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, le=_MAX_SLOTS, description="In bytes: `next` of the lines before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> LogShape:
    """Lines of the log."""
    lines, following = figures.log_lines(folder_of(services.run(run_id)), after=after, limit=limit)
    return LogShape(lines=lines, next=following)


@router.get("/checkpoints", responses=responses(404, 422))
def checkpoints(run_id: RunId, services: ServicesDep) -> CheckpointsShape:
    """The checkpoints that are kept, the newest first; their checksums are verified."""
    found = folder_of(services.run(run_id)).checkpoints.all()
    return CheckpointsShape(checkpoints=[CheckpointShape.model_validate(one, from_attributes=True) for one in found])


@router.get("/files", responses=responses(404, 422))
def files(run_id: RunId, services: ServicesDep) -> FilesShape:
    """The files of the run's folder."""
    folder = services.run(run_id).folder
    return FilesShape(files=[_about(folder, path) for path in sorted(_files(folder))])


@router.get(
    "/files/{name:path}",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}, **responses(404, 422)},
)
def file(run_id: RunId, name: FileName, services: ServicesDep) -> StreamingResponse:
    """One file of the run's folder, as long as it is just now."""
    folder = services.run(run_id).folder
    known = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    if name not in known:
        raise UnreadableError(404, f"the run has no file {name!r}; GET /api/v1/runs/{run_id}/files lists them")
    stream = known[name].open("rb")
    size = os.fstat(stream.fileno()).st_size
    headers = {"Content-Length": str(size), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_pieces(stream, size), media_type="application/octet-stream", headers=headers)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **responses(404, 422)},
)
async def events(
    run_id: RunId, services: ServicesDep, last_event_id: Annotated[str | None, Header(max_length=100)] = None
) -> StreamingResponse:
    """What comes as it goes, as server-sent events: `figures` with what is new, at most twice a second; `end` once.

    An event's id as Last-Event-ID goes on from there; without it everything is told from the run's beginning.
    """
    run = await services.manager.get(run_id)
    try:
        told: AsyncIterator[bytes] = await services.watches.look(
            run, Cursor.parse(last_event_id) if last_event_id else Cursor()
        )
    except ValueError as error:
        raise UnreadableError(422, str(error)) from error
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


def _files(folder: Path) -> Iterator[Path]:
    """The files that are the run's: no links, no drafts."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
            yield path


def _about(folder: Path, path: Path) -> FileShape:
    told = path.stat()
    modified = datetime.fromtimestamp(told.st_mtime, UTC)
    return FileShape(name=path.relative_to(folder).as_posix(), bytes=told.st_size, modified=modified)


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    with stream:
        while size and (piece := stream.read(min(size, _PIECE_BYTES))):
            size -= len(piece)
            yield piece

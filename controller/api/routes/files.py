"""The routes of the files of a run's folder."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, BinaryIO

from fastapi import APIRouter
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import RequestRejectedError, responses
from controller.api.schemas import FileInfo, FileList
from controller.run_folder.listing import open_published, published

router = APIRouter(prefix="/runs/{run_id}/files", tags=["results"])

_CHUNK_BYTES = 1 << 16
FileName = Annotated[str, PathParameter(max_length=300, examples=["summary.json"])]


@router.get("", responses=responses(404, 410, 422))
def files(run_id: RunId, services: ServicesDep) -> FileList:
    """The files of the run's folder."""
    found = published(services.folder(run_id).path)
    return FileList(files=[_info(name, stat) for name, stat in found.items()])


@router.get(
    "/{name:path}",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}, **responses(404, 410, 422)},
)
def file(run_id: RunId, name: FileName, services: ServicesDep) -> StreamingResponse:
    """One file of the run's folder, at its present length."""
    stream = open_published(services.folder(run_id).path, name)
    if stream is None:
        raise RequestRejectedError(404, f"the run has no file {name!r}; its files are listed under /files")
    size = os.fstat(stream.fileno()).st_size
    headers = {"Content-Length": str(size), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_chunks(stream, size), media_type="application/octet-stream", headers=headers)


def _info(name: str, stat: os.stat_result) -> FileInfo:
    return FileInfo(name=name, bytes=stat.st_size, modified=datetime.fromtimestamp(stat.st_mtime, UTC))


def _chunks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file that may grow meanwhile."""
    with stream:
        while size and (chunk := stream.read(min(size, _CHUNK_BYTES))):
            size -= len(chunk)
            yield chunk

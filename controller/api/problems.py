"""Errors as problem documents (RFC 9457): type, title, status, detail, and the invalid fields."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from controller.api.config_worker import ConfigWorkerError
from controller.config.errors import ConfigError
from controller.run_folder.files import DISK_FULL, DamagedFileError
from controller.run_folder.orders import TooManyOrdersError
from controller.service.event_streams import StreamsFullError
from controller.service.queries import FolderGoneError
from controller.service.run_manager import NoSuchRunError, QueueFullError, WrongStateError
from controller.service.store import StoreGoneError
from controller.service.weights import NoWeightsError, UnreadableWeightsError, WeightsTimeoutError, WrongTensorsError

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("airtoll")
_MAX_DETAIL_CHARS = 2000

_STATUSES: dict[type[Exception], int] = {
    NoSuchRunError: 404,
    WrongStateError: 409,
    QueueFullError: 503,
    ConfigWorkerError: 503,
    StreamsFullError: 503,
    TooManyOrdersError: 503,
    WeightsTimeoutError: 503,
    FolderGoneError: 410,
    NoWeightsError: 404,
    WrongTensorsError: 422,
    UnreadableWeightsError: 400,
    StoreGoneError: 503,
}


class FieldError(BaseModel):
    """One invalid field, with its value and a suggested fix."""

    field: str
    detail: str


class Problem(BaseModel):
    """RFC 9457. `type` is about:blank: the status is the kind of problem."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class RequestRejectedError(Exception):
    """A request that is rejected with this status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def problem(
    status: int, detail: str, *, errors: list[FieldError] | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response with a problem document."""
    document = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail[:_MAX_DETAIL_CHARS], errors=errors or []
    )
    return JSONResponse(document.model_dump(), status, headers=headers, media_type=MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""
    for kind, status in _STATUSES.items():
        app.add_exception_handler(kind, _handler(status))
    app.add_exception_handler(OSError, _system_error)
    app.add_exception_handler(DamagedFileError, _damaged_file)
    app.add_exception_handler(ConfigError, _invalid_configuration)
    app.add_exception_handler(RequestRejectedError, _request_rejected)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These problems for a route's OpenAPI document."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}} for status in statuses}


def _handler(status: int) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    headers = {"Retry-After": "10"} if status == 503 else None

    async def handler(_request: Request, error: Exception) -> JSONResponse:
        return problem(status, str(error), headers=headers)

    return handler


async def _system_error(request: Request, error: Exception) -> JSONResponse:
    """A file that cannot be read or written: it has just been deleted, the disk is full, files are exhausted."""
    assert isinstance(error, OSError)
    if isinstance(error, FileNotFoundError):
        return problem(410, f"{error.filename or 'a file'} is gone: removed by hand, or just deleted with its run")
    _LOG.error("%s %s: %s", request.method, request.url.path, error)
    status = 507 if error.errno in DISK_FULL else 503
    return problem(status, f"the data folder: {error.strerror or error}", headers={"Retry-After": "10"})


async def _damaged_file(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error.__cause__, FileNotFoundError):
        return await _system_error(request, error.__cause__)
    _LOG.error("%s %s: %s", request.method, request.url.path, error)
    return problem(500, str(error))


async def _invalid_configuration(_request: Request, error: Exception) -> JSONResponse:
    errors = [FieldError(field=line.partition(":")[0], detail=line) for line in str(error).splitlines()]
    return problem(422, f"invalid configuration: {error}", errors=errors)


async def _request_rejected(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestRejectedError)
    unread = error.status in (408, 413, 503)  # close the connection: the rest of the body must not come
    headers = {"Connection": "close"} if unread else {}
    return problem(error.status, str(error), headers=headers | ({"Retry-After": "10"} if error.status == 503 else {}))


async def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldError(field=".".join(map(str, found["loc"][1:])) or str(found["loc"][0]), detail=str(found["msg"]))
        for found in error.errors()
    ]
    detail = "; ".join(f"{one.field}: {one.detail}" for one in errors)
    return problem(422, f"invalid request: {detail}", errors=errors)


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _internal_error(request: Request, error: Exception) -> JSONResponse:
    _LOG.error("%s %s", request.method, request.url.path, exc_info=error)
    return problem(500, f"{type(error).__name__}; see the controller's log")

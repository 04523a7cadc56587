"""What cannot be done, told as a problem document (RFC 9457): type, title, status, detail, and the faults by field."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from controller.config.errors import ConfigError
from controller.run_folder.orders import TooManyOrdersError
from controller.run_folder.toll import DamagedTollError
from controller.service.event_streams import StreamsFullError
from controller.service.run_manager import NoSuchRunError, QueueFullError, WrongStateError
from controller.service.store import StoreGoneError
from controller.service.weights import NotTheseError, NoWeightsError, SilentError, UnreadableWeightsError

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("airtoll")
_MAX_DETAIL = 2000


class Fault(BaseModel):
    """One thing that is wrong: the field, and value and cure in words."""

    field: str
    detail: str


class Problem(BaseModel):
    """RFC 9457. `type` is about:blank: the status says which kind of problem it is."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    faults: list[Fault] = []


class UnreadableError(Exception):
    """A request that cannot be taken, with the status that says why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def problem(
    status: int, detail: str, *, faults: list[Fault] | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The answer that tells a problem."""
    title = HTTPStatus(status).phrase
    told = Problem(title=title, status=status, detail=detail[:_MAX_DETAIL], faults=faults or [])
    return JSONResponse(told.model_dump(), status, headers=headers, media_type=MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Every error of the application becomes a problem document."""
    for kind, status in _STATUSES.items():
        app.add_exception_handler(kind, _told_as(status))
    app.add_exception_handler(ConfigError, _config_error)
    app.add_exception_handler(UnreadableError, _unreadable)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These problems for a route's OpenAPI document."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}} for status in statuses}


_STATUSES: dict[type[Exception], int] = {
    NoSuchRunError: 404,
    WrongStateError: 409,
    QueueFullError: 503,
    StreamsFullError: 503,
    TooManyOrdersError: 503,
    SilentError: 503,
    DamagedTollError: 500,
    NoWeightsError: 404,
    NotTheseError: 422,
    UnreadableWeightsError: 400,
    StoreGoneError: 503,
}


def _told_as(status: int) -> Any:
    headers = {"Retry-After": "10"} if status == 503 else None

    async def handler(_request: Request, error: Exception) -> JSONResponse:
        return problem(status, str(error), headers=headers)

    return handler


async def _config_error(_request: Request, error: Exception) -> JSONResponse:
    faults = [Fault(field=line.partition(":")[0], detail=line) for line in str(error).splitlines()]
    return problem(422, f"the run cannot be put together: {error}", faults=faults)


async def _unreadable(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UnreadableError)
    unread = error.status in (408, 413)  # the rest of the body shall not come
    return problem(error.status, str(error), headers={"Connection": "close"} if unread else None)


async def _not_valid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [
        Fault(field=".".join(map(str, fault["loc"][1:])) or str(fault["loc"][0]), detail=str(fault["msg"]))
        for fault in error.errors()
    ]
    told = "; ".join(f"{fault.field}: {fault.detail}" for fault in faults)
    return problem(422, f"the request is not valid: {told}", faults=faults)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    _LOG.error("%s %s", request.method, request.url.path, exc_info=error)
    return problem(500, f"{type(error).__name__}; the controller's log has more")

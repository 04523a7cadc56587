"""The route of a run's events."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import RequestRejectedError, responses
from controller.service.event_streams import Cursor
from controller.service.queries import open_folder

router = APIRouter(prefix="/runs/{run_id}/events", tags=["results"])


@router.get(
    "",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **responses(404, 410, 422)},
)
async def events(
    run_id: RunId, services: ServicesDep, last_event_id: Annotated[str | None, Header(max_length=100)] = None
) -> StreamingResponse:
    """The run's server-sent events: `update` with new results, at most twice a second; `end` once.

    With an event's id as Last-Event-ID the stream continues after that event; without it, it starts at the run's
    beginning.
    """
    run = await services.manager.get(run_id)
    await run_in_threadpool(open_folder, run)
    try:
        cursor = Cursor.parse(last_event_id) if last_event_id else Cursor()
        stream: AsyncIterator[bytes] = await services.streams.subscribe(run, cursor)
    except ValueError as error:
        raise RequestRejectedError(422, str(error)) from error
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

"""The routes of a run's weights: list the stored ones, download a node's, upload weights for a node."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from starlette.concurrency import run_in_threadpool

from controller.api.dependencies import MAX_UPLOADS, RunId, ServicesDep
from controller.api.problems import RequestRejectedError, responses
from controller.api.request_body import whole_body
from controller.api.schemas import WeightsList
from controller.service.limits import MAX_WEIGHTS_BYTES
from controller.service.queries import with_live_status
from controller.service.store import RunHead

router = APIRouter(prefix="/runs/{run_id}/weights", tags=["weights"])

_OCTETS = "application/octet-stream"
Node = Annotated[str, PathParameter(max_length=200, examples=["pair-0"])]
_SAFETENSORS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "safetensors with the names, shapes and dtypes of the node's own tensors; at most "
        f"{MAX_WEIGHTS_BYTES} bytes.",
        "content": {_OCTETS: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("", responses=responses(404, 410, 422))
async def weights(run_id: RunId, services: ServicesDep) -> WeightsList:
    """The stored weights, by node, the newest first; a running run reports its newest before the answer."""
    return WeightsList(weights=await services.weights.stored(run_id))


@router.get(
    "/{node}",
    response_class=Response,
    responses={200: {"content": {_OCTETS: {}}}, **responses(404, 410, 422)},
)
async def node_weights(
    run_id: RunId,
    node: Node,
    services: ServicesDep,
    sent_slot: Annotated[
        int | None, Query(ge=0, le=10**12, description="The slot in which they were sent; without it the newest.")
    ] = None,
) -> Response:
    """A node's weights as safetensors, in the number format in which they were sent. X-Sent-Slot: in which slot."""
    slot, data = await services.weights.read(run_id, node, sent_slot)
    headers = {"X-Sent-Slot": str(slot), "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type=_OCTETS, headers=headers)


@router.put(
    "/{node}",
    status_code=202,
    responses=responses(400, 404, 408, 409, 410, 413, 415, 422, 507),
    openapi_extra=_SAFETENSORS,
)
async def put_weights(run_id: RunId, node: Node, request: Request, services: ServicesDep) -> RunHead:
    """Send a node these weights over the air, in turn 0 of the run's next slot, which its event `put` names.

    The next weights that the trainer sends replace them.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _OCTETS:
        raise RequestRejectedError(415, f"content type {kind[:80]!r}: send safetensors as {_OCTETS}")
    if services.uploads.locked():
        raise RequestRejectedError(503, f"{MAX_UPLOADS} uploads are arriving already; try again later")
    timeout_s = services.manager.settings.request_timeout_s
    async with services.uploads:
        data = await whole_body(request, max_bytes=MAX_WEIGHTS_BYTES, timeout_s=timeout_s)
        run = await services.weights.put(run_id, node, data)
    return await run_in_threadpool(with_live_status, run)

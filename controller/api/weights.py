"""The routes of a run's weights: what there is, one node's, and one's own for a node."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import UnreadableError, responses
from controller.api.request_body import whole_body
from controller.api.schemas import NodeWeightsShape, RunHead, WeightsShape
from controller.service.weights import MAX_BYTES

router = APIRouter(prefix="/runs/{run_id}/weights", tags=["weights"])

_BYTES = "application/octet-stream"
Node = Annotated[str, PathParameter(max_length=200, examples=["pair-0"])]
_SAFETENSORS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"safetensors with the names, shapes and dtypes of the node's own; at most {MAX_BYTES} bytes.",
        "content": {_BYTES: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("", responses=responses(404, 422, 503))
async def weights(run_id: RunId, services: ServicesDep) -> WeightsShape:
    """Which weights are kept, by node, the newest first; a run that goes on is asked for its newest."""
    told = await services.weights.versions(run_id)
    return WeightsShape(weights=[NodeWeightsShape.model_validate(one, from_attributes=True) for one in told])


@router.get(
    "/{node}",
    response_class=Response,
    responses={200: {"content": {_BYTES: {}}}, **responses(404, 422, 503)},
)
async def node_weights(
    run_id: RunId,
    node: Node,
    services: ServicesDep,
    version: Annotated[int | None, Query(ge=0, le=10**12, description="The newest unless given.")] = None,
) -> Response:
    """A node's weights, as safetensors in the numbers in which they were told to it."""
    found, data = await services.weights.read(run_id, node, version)
    headers = {"X-Weights-Version": str(found), "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type=_BYTES, headers=headers)


@router.put(
    "/{node}",
    status_code=202,
    responses=responses(400, 404, 408, 409, 413, 415, 422, 503),
    openapi_extra=_SAFETENSORS,
)
async def put_weights(run_id: RunId, node: Node, request: Request, services: ServicesDep) -> RunHead:
    """Have a run give a node these weights: over the air, in turn 0 of its next slot, which its event `put` names.

    The next ones that the trainer tells replace them.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _BYTES:
        raise UnreadableError(415, f"content type {kind[:80]!r}: send safetensors as {_BYTES}")
    data = await whole_body(request, max_bytes=MAX_BYTES, timeout_s=services.timeout_s)
    return RunHead.of(await services.weights.put(run_id, node, data))

"""The routes of runs: taken, listed, shown, told, deleted."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import responses
from controller.api.request_body import MAX_BYTES, configuration
from controller.api.schemas import RunBody, RunHead, RunPage
from controller.run_folder.status import State

router = APIRouter(prefix="/runs", tags=["runs"])

Name = Annotated[str | None, Query(max_length=80, pattern=r"^[\w./-]+$")]
_EXAMPLE = {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}, "scheme": "li2020/sla", "slots": 200}
_CONFIGURATION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"A run's configuration as in its YAML file, at most {MAX_BYTES} bytes; without `out`.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["world", "scheme"],
                    "properties": {
                        "world": {"type": ["string", "object"]},
                        "scheme": {"type": ["string", "object"]},
                    },
                },
                "example": _EXAMPLE,
            },
            "application/yaml": {"schema": {"type": "string"}},
        },
    }
}


@router.post(
    "",
    status_code=202,
    responses={
        202: {"headers": {"Location": {"description": "The run's path.", "schema": {"type": "string"}}}},
        **responses(400, 408, 413, 415, 422),
    },
    openapi_extra=_CONFIGURATION,
)
async def create(request: Request, response: Response, services: ServicesDep) -> RunBody:
    """Take a run into the queue."""
    run = await services.manager.submit(await configuration(request, timeout_s=services.timeout_s))
    response.headers["Location"] = f"{request.url.path}/{run.id}"
    return RunBody.of(run)


@router.get("", responses=responses(422))
def page(
    services: ServicesDep,
    state: Annotated[list[State] | None, Query()] = None,
    world: Name = None,
    scheme: Name = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> RunPage:
    """Runs, the newest first."""
    runs, total = services.manager.store.page(
        states=state or (), world=world, scheme=scheme, limit=limit, offset=offset
    )
    return RunPage(runs=[RunHead.of(run) for run in runs], total=total)


@router.get("/{run_id}", responses=responses(404, 422))
def show(run_id: RunId, services: ServicesDep) -> RunBody:
    """One run, with its configuration."""
    return RunBody.of(services.run(run_id))


@router.delete("/{run_id}", status_code=204, responses=responses(404, 409, 422))
async def delete(run_id: RunId, services: ServicesDep) -> None:
    """Forget a run that has ended, its folder included."""
    await services.manager.remove(run_id)


@router.post("/{run_id}/pause", status_code=202, responses=responses(404, 409, 422))
async def pause(run_id: RunId, services: ServicesDep) -> RunHead:
    """Have a run hold between two slots. It is PAUSED when it does."""
    return RunHead.of(await services.manager.pause(run_id))


@router.post("/{run_id}/resume", status_code=202, responses=responses(404, 409, 422))
async def resume(run_id: RunId, services: ServicesDep) -> RunHead:
    """Have a paused run go on."""
    return RunHead.of(await services.manager.resume(run_id))


@router.post("/{run_id}/stop", status_code=202, responses=responses(404, 409, 422))
async def stop(run_id: RunId, services: ServicesDep) -> RunHead:
    """Have a run end after this slot; what is there is kept. A run that waits never begins."""
    return RunHead.of(await services.manager.stop(run_id))

"""The routes of runs: submit, list, show, pause, resume, stop, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import responses
from controller.api.request_body import MAX_CONFIG_BYTES, configuration
from controller.api.schemas import RunList
from controller.run_folder.status import State
from controller.service.answers import RunWithAnswer, with_answer
from controller.service.queries import with_live_status
from controller.service.store import Run, RunHead

router = APIRouter(prefix="/runs", tags=["runs"])

Name = Annotated[str | None, Query(max_length=80, pattern=r"^[\w./-]+$")]
_EXAMPLE = {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}, "scheme": "li2020/sla", "slots": 200}
_CONFIGURATION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"A run's configuration as in its YAML file, at most {MAX_CONFIG_BYTES} bytes; without `out`.",
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
        **responses(400, 408, 413, 415, 422, 507),
    },
    openapi_extra=_CONFIGURATION,
)
async def create(request: Request, response: Response, services: ServicesDep) -> Run:
    """Submit a run: it is queued."""
    timeout_s = services.manager.settings.request_timeout_s
    resolved = await configuration(request, services.config_worker, timeout_s=timeout_s)
    run = await services.manager.submit(resolved)
    response.headers["Location"] = f"{request.url.path}/{run.id}"
    return run


@router.get("", responses=responses(422))
def list_runs(
    services: ServicesDep,
    state: Annotated[list[State] | None, Query()] = None,
    world: Name = None,
    scheme: Name = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> RunList:
    """Runs, the newest first."""
    runs, total = services.manager.store.page(
        states=state or (), world=world, scheme=scheme, limit=limit, offset=offset
    )
    return RunList(runs=list(map(with_live_status, runs)), total=total)


@router.get("/{run_id}", responses=responses(404, 422))
def show(run_id: RunId, services: ServicesDep) -> RunWithAnswer:
    """One run, with its configuration and its answer."""
    return with_answer(services.manager.find(run_id))


@router.delete("/{run_id}", status_code=204, responses=responses(404, 409, 422))
async def delete(run_id: RunId, services: ServicesDep) -> None:
    """Delete a run that has ended, with its folder."""
    await services.manager.remove(run_id)


@router.post("/{run_id}/pause", status_code=202, responses=responses(404, 409, 422))
async def pause(run_id: RunId, services: ServicesDep) -> RunHead:
    """Pause a run before its next slot.

    The answer comes once the run is PAUSED, or after 5 seconds: then its state may still be RUNNING, until its current
    slot ends.
    """
    return await run_in_threadpool(with_live_status, await services.manager.pause(run_id))


@router.post("/{run_id}/resume", status_code=202, responses=responses(404, 409, 422))
async def resume(run_id: RunId, services: ServicesDep) -> RunHead:
    """Resume a paused run.

    The answer comes once the run is RUNNING, or after 5 seconds: then its state may still be PAUSED.
    """
    return await run_in_threadpool(with_live_status, await services.manager.resume(run_id))


@router.post("/{run_id}/stop", status_code=202, responses=responses(404, 409, 422))
async def stop(run_id: RunId, services: ServicesDep) -> RunHead:
    """Stop a run after its current slot and keep its results, or remove a waiting run from the queue.

    The answer's state is STOPPING; of a run that was waiting, it is STOPPED.
    """
    return await run_in_threadpool(with_live_status, await services.manager.stop(run_id))

"""The route of a run's map."""

from fastapi import APIRouter

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import responses
from controller.api.schemas import RunMap
from controller.service.queries import open_folder

router = APIRouter(prefix="/runs/{run_id}/map", tags=["results"])


@router.get("", responses=responses(404, 410, 422))
def run_map(run_id: RunId, services: ServicesDep) -> RunMap:
    """The map of the world's replica 0 after the last slot, updated a few times a second: positions and actions.

    Before the first slot, and for a world without a map, `slot` is null and `map` is empty.
    """
    run = services.manager.find(run_id)
    return RunMap(world=run.world, **open_folder(run).map)

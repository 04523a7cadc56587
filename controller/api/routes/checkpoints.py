"""The route of a run's checkpoints."""

from fastapi import APIRouter

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import responses
from controller.api.schemas import CheckpointList

router = APIRouter(prefix="/runs/{run_id}/checkpoints", tags=["results"])


@router.get("", responses=responses(404, 410, 422))
def checkpoints(run_id: RunId, services: ServicesDep) -> CheckpointList:
    """The stored checkpoints, the newest first, with their checksums verified."""
    return CheckpointList(checkpoints=list(services.folder(run_id).checkpoints.all()))

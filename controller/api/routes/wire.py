"""The route of a run's wire book."""

from fastapi import APIRouter

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import responses
from controller.service import queries
from controller.service.queries import WireAccounts

router = APIRouter(prefix="/runs/{run_id}/wire", tags=["results"])


@router.get("", responses=responses(404, 410, 422))
def wire(run_id: RunId, services: ServicesDep) -> WireAccounts:
    """The wire book (socket byte log); empty before the run's end, and for in-process runs."""
    return queries.wire(services.folder(run_id))

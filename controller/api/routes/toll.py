"""The route of a run's toll."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import responses
from controller.api.schemas import TollReport
from controller.run_folder.toll import TollKey
from controller.service import queries
from controller.service.limits import MAX_WINDOWS

router = APIRouter(prefix="/runs/{run_id}/toll", tags=["results"])


@router.get("", responses=responses(404, 410, 422))
def toll(
    run_id: RunId,
    services: ServicesDep,
    by: TollKey = "kind",
    windows: Annotated[int, Query(ge=1, le=MAX_WINDOWS)] = 1,
) -> TollReport:
    """The toll per kind of note, sending node or link class, in at most `windows` windows."""
    spans: Any = queries.toll(services.folder(run_id), by=by, windows=windows)
    return TollReport(by=by, windows=spans)

"""The route of a run's toll."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import responses
from controller.api.schemas import TollReport
from controller.service.limits import MAX_WINDOWS
from controller.service.queries import By

router = APIRouter(prefix="/runs/{run_id}/toll", tags=["results"])


@router.get("", responses=responses(404, 422))
async def toll(
    run_id: RunId,
    services: ServicesDep,
    by: By = "kind",
    windows: Annotated[int, Query(ge=1, le=MAX_WINDOWS)] = 1,
) -> TollReport:
    """The toll by kind, node or link class, in at most so many windows of equal length."""
    spans: Any = await services.tolls.toll((await services.manager.get(run_id)).folder, by=by, windows=windows)
    return TollReport(by=by, windows=spans)

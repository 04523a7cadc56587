"""The route of a run's log."""

from typing import Annotated

from fastapi import APIRouter, Query

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import responses
from controller.service import queries
from controller.service.queries import LogLines

router = APIRouter(prefix="/runs/{run_id}/log", tags=["results"])


@router.get("", responses=responses(404, 410, 422))
def log(
    run_id: RunId,
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, le=10**12, description="In bytes: `next` of the lines before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> LogLines:
    """Lines of the log."""
    return queries.log_lines(services.folder(run_id), after=after, limit=limit)

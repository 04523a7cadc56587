"""The route of a run's metrics."""

from typing import Annotated

from fastapi import APIRouter, Query

from controller.api.dependencies import RunId, ServicesDep
from controller.api.problems import RequestRejectedError, responses
from controller.service import queries
from controller.service.limits import MAX_WINDOWS
from controller.service.queries import Metrics

router = APIRouter(prefix="/runs/{run_id}/metrics", tags=["results"])

Slot = Annotated[int | None, Query(ge=0, le=10**9)]


@router.get("", responses=responses(404, 410, 422))
def metrics(
    run_id: RunId,
    services: ServicesDep,
    name: Annotated[list[str] | None, Query(max_length=50)] = None,
    first: Slot = None,
    last: Slot = None,
    windows: Annotated[int, Query(ge=1, le=MAX_WINDOWS)] = 200,
) -> Metrics:
    """The metrics of these names (all, if none is given) and the scalars that nodes reported, over the windows that
    overlap the slots `first` to `last`, merged into at most `windows` windows per phase."""
    folder = services.folder(run_id)
    try:
        return queries.metrics(folder, names=name or [], first=first or 0, last=last, windows=windows)
    except KeyError as error:
        known = ", ".join(folder.meta.units)
        raise RequestRejectedError(422, f"name: no metric {error}; known: {known}") from error

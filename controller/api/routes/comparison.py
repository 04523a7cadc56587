"""The route that compares runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from controller.api.dependencies import ServicesDep
from controller.api.problems import RequestRejectedError, responses
from controller.api.schemas import ComparedMetric, Comparison
from controller.service.queries import open_folder, toll, with_live_status
from controller.service.store import Run

router = APIRouter(prefix="/compare", tags=["overviews"])

_MAX_COMPARED = 16


@router.get("", responses=responses(404, 410, 422))
async def compare(
    services: ServicesDep, runs: Annotated[str, Query(max_length=4000, description="Ids, separated by commas.")]
) -> Comparison:
    """Runs side by side: means over the eval phase, and the toll by kind."""
    ids = list(dict.fromkeys(part for part in runs.split(",") if part))
    if not 2 <= len(ids) <= _MAX_COMPARED:
        raise RequestRejectedError(
            422, f"runs: {runs[:80]!r} is not allowed: name 2 to {_MAX_COMPARED} runs, as in a,b"
        )
    chosen = [await services.manager.get(run_id) for run_id in ids]
    units = {name: unit for run in chosen for name, unit in (await run_in_threadpool(_units, run)).items()}
    tolls: Any = {run.id: await run_in_threadpool(_toll, run) for run in chosen}
    return Comparison(
        runs=[await run_in_threadpool(with_live_status, run) for run in chosen],
        same_channels=all(_channel_settings(run) == _channel_settings(chosen[0]) for run in chosen),
        same_trace=bool(chosen[0].trace_digest) and len({run.trace_digest for run in chosen}) == 1,
        metrics={
            name: ComparedMetric(unit=unit, values={run.id: run.metrics.get(name) for run in chosen})
            for name, unit in units.items()
        },
        toll=tolls,
    )


def _units(run: Run) -> dict[str, str]:
    return open_folder(run).meta.units


def _toll(run: Run) -> Any:
    spans = toll(open_folder(run), by="kind")
    return spans[0]["tolls"] if spans else {}


def _channel_settings(run: Run) -> Any:
    """The settings that determine the channels; the number of slots is not one of them."""
    return [run.config.get(key) for key in ("world", "seed", "replicas", "episode_slots")]

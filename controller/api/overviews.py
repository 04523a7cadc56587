"""The routes across runs: comparison, nodes, what worlds and schemes there are."""

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from controller.api.desk import AtDesk, folder_of
from controller.api.problems import UnreadableError, responses
from controller.api.shapes import (
    ComparedMetric,
    Comparison,
    NodeShape,
    NodesShape,
    RunHead,
    SchemeShape,
    WorldShape,
)
from controller.catalogue import params_schema, schemes, worlds
from controller.service import figures
from controller.service.store import Run
from controller.service.watches import slot_of

router = APIRouter(tags=["overviews"])

_MOST_COMPARED = 16


@router.get("/compare", responses=responses(404, 422))
async def compare(
    desk: AtDesk, runs: Annotated[str, Query(max_length=4000, description="Ids, with commas between them.")]
) -> Comparison:
    """Runs side by side: means over the eval phase, and the toll by kind."""
    ids = list(dict.fromkeys(part for part in runs.split(",") if part))
    if not 2 <= len(ids) <= _MOST_COMPARED:
        raise UnreadableError(422, f"runs: {runs[:80]!r} is not allowed: name 2 to {_MOST_COMPARED} runs, as in a,b")
    chosen = [await desk.owner.get(run_id) for run_id in ids]
    units = {name: unit for run in chosen for name, unit in (await run_in_threadpool(_units, run)).items()}
    tolls: Any = {run.id: await _toll(desk, run) for run in chosen}
    return Comparison(
        runs=[await run_in_threadpool(RunHead.of, run) for run in chosen],
        same_channels=all(_channels(run) == _channels(chosen[0]) for run in chosen),
        same_trace=bool(chosen[0].trace_digest) and len({run.trace_digest for run in chosen}) == 1,
        metrics={
            name: ComparedMetric(unit=unit, values={run.id: run.metrics.get(name) for run in chosen})
            for name, unit in units.items()
        },
        toll=tolls,
    )


@router.get("/nodes", responses=responses(404, 422))
def nodes(desk: AtDesk, run: Annotated[str | None, Query(max_length=200)] = None) -> NodesShape:
    """The nodes of a run, or of all that are at work."""
    chosen = [desk.run(run)] if run is not None else desk.owner.store.at_work()
    told: list[Any] = [node for one in chosen for node in figures.nodes(folder_of(one), slot_of(one))]
    return NodesShape(nodes=[NodeShape(**node) for node in told])


@router.get("/worlds")
def all_worlds() -> list[WorldShape]:
    """The worlds there are."""
    return [
        WorldShape(name=name, summary=world.summary, source=world.source, parameters=params_schema(world))
        for name, world in worlds().items()
    ]


@router.get("/schemes")
def all_schemes() -> list[SchemeShape]:
    """The schemes there are."""
    return [
        SchemeShape(
            name=name, card=dataclasses.asdict(scheme.card), learns=scheme.learns, parameters=params_schema(scheme)
        )
        for name, scheme in schemes().items()
    ]


def _units(run: Run) -> dict[str, str]:
    return folder_of(run).config.units


async def _toll(desk: AtDesk, run: Run) -> Any:
    [told] = await desk.tolls.toll(run.folder, by="kind") or [{"tolls": {}}]
    return told["tolls"]


def _channels(run: Run) -> Any:
    """What the channels follow from; the number of slots is not among it."""
    keys = ("world", "seed", "replicas", "episode_slots")
    return [run.config[key] for key in keys]

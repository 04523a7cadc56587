"""The routes across runs: comparison, nodes, what worlds and schemes there are."""

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool

from controller.api.dependencies import ServicesDep, folder_of
from controller.api.problems import UnreadableError, responses
from controller.api.schemas import (
    ComparedMetric,
    Comparison,
    LeaseShape,
    NodeShape,
    NodesShape,
    RunHead,
    SchemeShape,
    WorkerShape,
    WorldShape,
)
from controller.config.catalogue import params_schema, schemes, worlds
from controller.execution.children import CHANNEL_SERVER
from controller.pool.listener import Seen
from controller.service import queries as figures
from controller.service.event_streams import slot_of
from controller.service.store import Run

router = APIRouter(tags=["overviews"])

_MAX_COMPARED = 16


@router.get("/compare", responses=responses(404, 422))
async def compare(
    services: ServicesDep, runs: Annotated[str, Query(max_length=4000, description="Ids, with commas between them.")]
) -> Comparison:
    """Runs side by side: means over the eval phase, and the toll by kind."""
    ids = list(dict.fromkeys(part for part in runs.split(",") if part))
    if not 2 <= len(ids) <= _MAX_COMPARED:
        raise UnreadableError(422, f"runs: {runs[:80]!r} is not allowed: name 2 to {_MAX_COMPARED} runs, as in a,b")
    chosen = [await services.manager.get(run_id) for run_id in ids]
    units = {name: unit for run in chosen for name, unit in (await run_in_threadpool(_units, run)).items()}
    tolls: Any = {run.id: await run_in_threadpool(_toll, run) for run in chosen}
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
def nodes(services: ServicesDep, run: Annotated[str | None, Query(max_length=200)] = None) -> NodesShape:
    """The nodes of a run, or of all that are at work; the pool's workers."""
    chosen = [services.run(run)] if run is not None else services.manager.store.at_work()
    told: list[Any] = [node for one in chosen for node in figures.nodes(folder_of(one), slot_of(one))]
    workers = [_worker(seen) for seen in (services.manager.pool.seen if services.manager.pool else ())]
    held = {(lease.run, lease.node): worker for worker in workers for lease in worker.leases}
    return NodesShape(
        nodes=[NodeShape(**_placed(node, held.get(_place(node)))) for node in told],
        workers=[worker for worker in workers if run is None or any(lease.run == run for lease in worker.leases)],
    )


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


def _worker(seen: Seen) -> WorkerShape:
    worker, at = seen
    told = worker.told
    leases = [LeaseShape(run=held.run_id, node=held.node) for held in told.leases.values()]
    given = {name: getattr(told, name) for name in ("name", "role", "host", "pid", "places", "fingerprint")}
    return WorkerShape(**given, idle=max(0, worker.idle), leases=leases, last_seen=at)


def _place(node: dict[str, Any]) -> tuple[str, str]:
    """Run, and what the worker that has this node says that it does."""
    return node["run"], CHANNEL_SERVER if node["role"] == "network" else node["name"]


def _placed(node: dict[str, Any], worker: WorkerShape | None) -> dict[str, Any]:
    """With what is known of where it is."""
    if worker is not None:
        where = {name: getattr(worker, name) for name in ("host", "fingerprint", "last_seen")}
        return node | where | {"worker": worker.name}
    return node | {"worker": None, "last_seen": None}


def _units(run: Run) -> dict[str, str]:
    return folder_of(run).meta.units


def _toll(run: Run) -> Any:
    spans = figures.toll(folder_of(run), by="kind")
    return spans[0]["tolls"] if spans else {}


def _channels(run: Run) -> Any:
    """What the channels follow from; the number of slots is not among it."""
    keys = ("world", "seed", "replicas", "episode_slots")
    return [run.config[key] for key in keys]

"""The route of nodes and workers."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query

from controller.api.dependencies import ServicesDep
from controller.api.problems import responses
from controller.api.schemas import LeaseInfo, NodeList, WorkerInfo
from controller.execution.children import CHANNEL_SERVER
from controller.pool.listener import SeenWorker
from controller.run_folder.files import DamagedFileError
from controller.service import queries
from controller.service.queries import FolderGoneError, NodeInfo, current_slot, open_folder
from controller.service.store import Run

router = APIRouter(prefix="/nodes", tags=["overviews"])


@router.get("", responses=responses(404, 410, 422))
def nodes(services: ServicesDep, run: Annotated[str | None, Query(max_length=200)] = None) -> NodeList:
    """The nodes of a run, or of all active runs; the pool's workers."""
    manager = services.manager
    read, unreadable = _of_one(manager.find(run)) if run is not None else _of_all(manager.store.at_work())
    workers = [_worker(seen) for seen in (manager.pool.workers if manager.pool else ())]
    leased = {(lease.run, lease.node): worker for worker in workers for lease in worker.leases}
    return NodeList(
        nodes=[
            _with_worker(node, leased.get((node.run, CHANNEL_SERVER if node.role == "network" else node.name)))
            for node in read
        ],
        workers=[worker for worker in workers if run is None or any(lease.run == run for lease in worker.leases)],
        unreadable=unreadable,
    )


def _of_one(run: Run) -> tuple[list[NodeInfo], dict[str, str]]:
    """FolderGoneError, DamagedFileError, OSError: this request is about the run."""
    return queries.nodes(open_folder(run), current_slot(run)), {}


def _of_all(runs: list[Run]) -> tuple[list[NodeInfo], dict[str, str]]:
    """The nodes of the runs, and the damage of each that cannot be read."""
    found: list[NodeInfo] = []
    unreadable: dict[str, str] = {}
    for run in runs:
        try:
            found += _of_one(run)[0]
        except (FolderGoneError, DamagedFileError, OSError) as error:
            unreadable[run.id] = str(error)
    return found, unreadable


def _worker(seen: SeenWorker) -> WorkerInfo:
    worker, state = seen.worker, seen.worker.state
    return WorkerInfo(
        name=state.name,
        role=state.role,
        host=state.host,
        pid=state.pid,
        capacity=state.capacity,
        idle=max(0, worker.idle),
        leases=[LeaseInfo(run=one.run_id, node=one.node) for one in state.leases.values()],
        fingerprint=state.fingerprint,
        last_seen=seen.last_seen,
    )


def _with_worker(node: NodeInfo, worker: WorkerInfo | None) -> NodeInfo:
    """A node with the worker that runs it, if one does."""
    if worker is None:
        return node
    return replace(
        node, worker=worker.name, host=worker.host, fingerprint=worker.fingerprint, last_seen=worker.last_seen
    )

"""What the routes work with: the owner of runs, and who looks on."""

from typing import Annotated

from fastapi import Depends, Path, Request

from controller.run_folder.reader import RunFolder
from controller.service.event_streams import EventStreams
from controller.service.run_manager import NoSuchRunError, RunManager
from controller.service.store import Run
from controller.service.weights import WeightsService


class Services:
    """One per service."""

    def __init__(self, manager: RunManager, *, max_readers: int, timeout_s: float) -> None:
        self.manager = manager
        self.timeout_s = timeout_s
        self.watches = EventStreams(manager, max_readers=max_readers)
        self.weights = WeightsService(manager)

    def run(self, run_id: str) -> Run:
        """The run of this id, from a thread of its own. NoSuchRunError."""
        run = self.manager.store.get(run_id)
        if run is None:
            raise NoSuchRunError(f"no run has the id {run_id!r}; GET /api/v1/runs lists those there are")
        return run


def folder_of(run: Run) -> RunFolder:
    """A run's folder."""
    return RunFolder.open(run.folder)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
RunId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.=-]{1,200}$", examples=["d2d_underlay-li2020_sla-s1-1a2b"])]

"""What the routes work with: the owner of runs, who looks on, and the accounts of tolls."""

from typing import Annotated

from fastapi import Depends, Path, Request

from controller.run_folder.folder import RunFolder
from controller.service.event_streams import Watches
from controller.service.run_manager import NoSuchRunError, Owner
from controller.service.store import Run
from controller.service.teller import Teller
from controller.service.weights import WeightsDesk


class Desk:
    """One per service."""

    def __init__(self, owner: Owner, *, most_readers: int, patience_s: float) -> None:
        self.owner = owner
        self.patience_s = patience_s
        self.watches = Watches(owner, most_readers=most_readers)
        self.tolls = Teller()
        self.weights = WeightsDesk(owner)

    def run(self, run_id: str) -> Run:
        """The run of this id, from a thread of its own. NoSuchRunError."""
        run = self.owner.store.get(run_id)
        if run is None:
            raise NoSuchRunError(f"no run has the id {run_id!r}; GET /api/v1/runs lists those there are")
        return run


def folder_of(run: Run) -> RunFolder:
    """A run's folder."""
    return RunFolder.open(run.folder)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]
RunId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.=-]{1,200}$", examples=["d2d_underlay-li2020_sla-s1-1a2b"])]

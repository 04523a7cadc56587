"""The services that routes depend on, and their path parameters."""

import asyncio
from typing import Annotated

from fastapi import Depends, Path, Request

from controller.api.config_worker import ConfigWorker
from controller.api.prometheus import ServiceMetrics
from controller.run_folder.reader import RunFolder
from controller.service.event_streams import EventStreams
from controller.service.queries import open_folder
from controller.service.run_manager import RunManager
from controller.service.weights import WeightsService

API_PREFIX = "/api/v2"
MAX_UPLOADS = 8  # of weights at a time: each takes up to 16 MiB


class Services:
    """The parts of one service."""

    def __init__(self, manager: RunManager) -> None:
        self.manager = manager
        self.streams = EventStreams(manager)
        self.metrics = ServiceMetrics(manager, self.streams)
        self.weights = WeightsService(manager)
        self.uploads = asyncio.Semaphore(MAX_UPLOADS)
        self.config_worker = ConfigWorker(manager.settings.run_memory_bytes, manager.runs_folder)

    def folder(self, run_id: str) -> RunFolder:
        """The folder of the run of this id, for a route that runs in a thread. NoSuchRunError, FolderGoneError."""
        return open_folder(self.manager.find(run_id))


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
RunId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.=-]{1,200}$", examples=["d2d_underlay-li2020_sla-s1-1a2b"])]

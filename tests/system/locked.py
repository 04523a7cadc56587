"""Runs in processes whose connections are locked, as they are when they leave the machine."""

from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from controller.launchers.processes import Route, RunProcesses, channel_process
from protocol.keys import Keys
from protocol.plan import RunPlan


class LockedProcesses(RunProcesses):
    """The channel server and the nodes use the keys of a folder, which are made if there are none."""

    def __init__(self, plan: RunPlan, folder: Path, *, route: Route = lambda endpoint: endpoint) -> None:
        keys = Keys.make(folder)
        self._server, self._client = keys.server(), keys.client()
        super().__init__(plan, route=route)

    def _start(self, target: Callable[..., None], arguments: tuple[object, ...]) -> ForkServerProcess:
        keys = self._server if target is channel_process else self._client
        return super()._start(target, (*arguments, keys))

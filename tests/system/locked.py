"""A machine whose processes' connections are locked, as they are when they leave it."""

from pathlib import Path

import msgspec

from channel_server.core import Past
from controller.execution.children import channel_process
from controller.execution.local_machine import ForkedProcess, LocalMachine
from protocol.messages.plan import RunPlan
from protocol.transports.keys import Keys


class LockedMachine(LocalMachine):
    """The channel server and the nodes use the keys of a folder, which are made if there are none."""

    def __init__(self, folder: Path) -> None:
        keys = Keys.make(folder)
        super().__init__(keys.client())
        self._server = keys.server()

    def start_channel(self, plan: RunPlan, port: int, past: Past | None) -> ForkedProcess:
        """The channel server; its line to the owner is loopback's, without keys."""
        told = (msgspec.msgpack.encode(plan), f"tcp://127.0.0.1:{port}", past)
        return self.start(channel_process, *told, "tcp://127.0.0.1:*", "", self._server)

"""A machine whose processes encrypt their connections, as processes on several machines do."""

from pathlib import Path

import msgspec

from channel_server.core import Past
from controller.execution.children import channel_process
from controller.execution.local_machine import ForkedProcess, LocalMachine
from controller.execution.machine import LineAddress
from protocol.messages.plan import RunPlan
from protocol.transports.keys import Keys


class LockedMachine(LocalMachine):
    """The channel server and the nodes use the keys of a folder, which are created if there are none."""

    def __init__(self, folder: Path) -> None:
        keys = Keys.make(folder)
        super().__init__(keys.client())
        self._server = keys.server()

    def start_channel(self, plan: RunPlan, line: LineAddress, past: Past | None) -> ForkedProcess:
        """Start the channel server."""
        arguments = (msgspec.msgpack.encode(plan), f"tcp://127.0.0.1:{line.port}", line.keys, past)
        return self.start(channel_process, *arguments, "tcp://127.0.0.1:*", "", self._server)

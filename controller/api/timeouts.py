"""How long a connection may keep the service waiting for a request, and how many there may be."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient(timeout_s: float, max_connections: int) -> type[asyncio.Protocol]:
    """A protocol that hangs up on who has not told a whole request head within so many seconds, or goes on to tell a
    body that nobody reads any more. How long the application takes for its answer is its own affair."""

    class Patient(H11Protocol):
        """HTTP/1.1 by uvicorn, with an end to waiting."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._hang_up = self.loop.call_later(timeout_s, self._no_more)
            if len(self.connections) > max_connections:
                transport.close()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._hang_up.cancel()
            super().connection_lost(exc)

        @property
        def _answers(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _wait(self) -> None:
            """No timeout runs out while a request is answered; it begins anew after the answer."""
            if self._answers:
                self._hang_up.cancel()
            elif self._hang_up.cancelled():
                self._hang_up = self.loop.call_later(timeout_s, self._no_more)

        def _no_more(self) -> None:
            if not self._answers:
                self.transport.close()

    return Patient

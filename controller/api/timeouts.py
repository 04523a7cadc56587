"""Limits on connections: how long one may take to send a request, and how many there may be."""

import asyncio
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol


class TimeoutProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which closes a connection that has not sent a whole request head within `timeout_s`, or that
    continues to send a body that nothing reads. The application may take any time for its response.

    Of more than `max_connections` the one that has been without a request for the longest time is closed, so that those
    who send no whole head keep nobody out. `idle`: the server's connections without a request, in this order.
    """

    def __init__(
        self,
        *arguments: Any,
        timeout_s: float,
        max_connections: int,
        idle: "dict[TimeoutProtocol, None]",
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._timeout_s = timeout_s
        self._max_connections = max_connections
        self._idle = idle

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._idle[self] = None
        self._timer = self.loop.call_later(self._timeout_s, self._close_unless_answering)
        if len(self.connections) > self._max_connections:
            longest = next(iter(self._idle))
            del self._idle[longest]
            longest.transport.abort()  # `close` would wait for a client that does not read

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._idle.pop(self, None)
        super().connection_lost(exc)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _update_timer(self) -> None:
        """Stop the timer while a request is answered, and start it again after the response."""
        if self._is_answering:
            self._timer.cancel()
            self._idle.pop(self, None)
        elif self._timer.cancelled():
            self._idle[self] = None
            self._timer = self.loop.call_later(self._timeout_s, self._close_unless_answering)

    def _close_unless_answering(self) -> None:
        if not self._is_answering:
            self.transport.close()


def timeout_protocol(timeout_s: float, max_connections: int) -> type[asyncio.Protocol]:
    """The factory by which uvicorn creates the protocol of each connection."""
    idle: dict[TimeoutProtocol, None] = {}
    factory = partial(TimeoutProtocol, timeout_s=timeout_s, max_connections=max_connections, idle=idle)
    return cast("type[asyncio.Protocol]", factory)  # uvicorn only calls it

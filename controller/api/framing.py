"""Rejects requests whose length can be read in two ways: a proxy may see other requests in them than this service."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from controller.api.problems import problem


class UnambiguousLength:
    """ASGI middleware that rejects a request with Content-Length and Transfer-Encoding (RFC 9112, 6.1)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it and close the connection."""
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if "content-length" in headers and "transfer-encoding" in headers:
            detail = "Content-Length and Transfer-Encoding are both given: send one of them"
            await problem(400, detail, headers={"Connection": "close"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)

"""Authentication: who may use the controller, checked before anything else."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from controller.api.page import PAGE_PREFIX
from controller.api.problems import problem
from protocol.transports.loopback import is_loopback

_OPEN_PATHS = ("/", "/healthz", "/readyz")  # and the page's files: the page asks for the token itself


class Authentication:
    """ASGI middleware that rejects requests without the controller's token, and requests from pages of other sites.

    A controller without a token accepts requests that are addressed to a name of this machine. Another name in the Host
    header means that a web site has pointed its own name here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._token and not _is_open(scope["path"]) and not self._has_token(headers):
            fix = "send the header Authorization: Bearer with the controller's AIRTOLL_TOKEN"
            answer = problem(401, f"no valid token; {fix}", headers={"WWW-Authenticate": "Bearer"})
            await answer(scope, receive, send)
        elif reason := self._foreign(headers):
            await problem(403, reason)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token)

    def _foreign(self, headers: Headers) -> str:
        """Why a request comes from another site; empty if it does not."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._token and not is_loopback(_without_port(host)):
            return f"the host {host[:80]!r} is not this machine; use 127.0.0.1, or a controller with a token"
        if origin is not None and origin.partition("://")[2] != host:
            return f"the origin {origin[:80]!r} is another site; pages of other sites may not use this controller"
        return ""


def _is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(f"{PAGE_PREFIX}/")


def _without_port(host: str) -> str:
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]

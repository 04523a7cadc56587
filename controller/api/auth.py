"""Who may come in: in front of all that the application does."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from controller.api.page import PREFIX as PAGE
from controller.api.problems import problem
from controller.config.errors import ConfigError
from controller.config.hosts import is_loopback

_OPEN_PATHS = ("/", "/healthz", "/readyz")  # and the files of the page, which asks for the token itself


def check_lock(host: str, token: str) -> None:
    """ConfigError for a host that others can reach while there is no token."""
    if not token and not is_loopback(host):
        cure = "without a token only this machine may come in: set AIRTOLL_TOKEN, or listen on 127.0.0.1"
        raise ConfigError(f"--host: {host!r} is not allowed: {cure}")


class Locks:
    """ASGI middleware. With a token, a request must bear it. Without, it must have come to this machine by one of its
    own names: a page of the web that has its name point here comes by another."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._token and not _is_open(scope["path"]) and not self._bears_token(headers):
            cure = "send the header Authorization: Bearer and the controller's AIRTOLL_TOKEN"
            answer = problem(401, f"no valid token; {cure}", headers={"WWW-Authenticate": "Bearer"})
            await answer(scope, receive, send)
        elif reason := self._foreign(headers):
            await problem(403, reason)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _bears_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token)

    def _foreign(self, headers: Headers) -> str:
        """Why a request comes from elsewhere than it should; empty if it does not."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._token and not is_loopback(_without_port(host)):
            return f"the host {host[:80]!r} is not this machine; use 127.0.0.1, or a controller with a token"
        if origin is not None and origin.partition("://")[2] != host:
            return f"the origin {origin[:80]!r} is another site; pages of other sites may not use this controller"
        return ""


def _is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(f"{PAGE}/")


def _without_port(host: str) -> str:
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]

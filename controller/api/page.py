"""Serves the page at `/` and its files: public, compressed, revalidated by ETag; they load nothing from other sites."""

import gzip
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send
from xxhash import xxh3_128_hexdigest

PAGE_PREFIX = "/page"
_PLOTLY = "plotly.min.js"
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Plotly adds two style elements: an empty one that it fills with rules, and one for geographic maps. These are the
# hashes of their texts. With another version of Plotly the second may be blocked: no chart needs it.
_PLOTLY_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
)
_POLICY = "; ".join(
    (
        *("default-src 'none'", "script-src 'self'", f"style-src 'self' {_PLOTLY_STYLES}", "img-src 'self' data:"),
        *("connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
    )
)
_HEADERS = {
    "Cache-Control": "no-cache",  # browsers revalidate each time, and seldom load again
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class _PageFile(NamedTuple):
    """A file as it is and compressed; `media_type`: of its content."""

    plain: bytes
    compressed: bytes
    etag: str
    media_type: str


class PageFiles:
    """The page's own files, and Plotly from its package, as an ASGI application that keeps them in memory: they take
    none of the threads in which slow requests wait."""

    def __init__(self) -> None:
        self._loaded: dict[str, _PageFile] = {}
        self._loading = CapacityLimiter(1)  # instead of that of all requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file and its security headers; `/` is the page itself. HTTPException for any other path."""
        name = "index.html" if scope["path"] == "/" else scope["path"].removeprefix(f"{PAGE_PREFIX}/")
        if name not in _names():
            raise HTTPException(404, f"the page has no file {name[:80]!r}; it begins at /")
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        if name not in self._loaded:
            self._loaded[name] = await to_thread.run_sync(_load, name, limiter=self._loading)
        await _response(self._loaded[name], Headers(scope=scope), scope["method"])(scope, receive, send)


def page_routes() -> list[Any]:
    """The routes of the page."""
    page = PageFiles()
    return [Route("/", page, include_in_schema=False), Mount(PAGE_PREFIX, page)]


def _response(file: _PageFile, request: Headers, method: str) -> Response:
    headers = _HEADERS | {"ETag": file.etag, "Vary": "Accept-Encoding"}
    known = [tag.strip().removeprefix("W/") for tag in request.get("if-none-match", "").split(",")]
    if file.etag.removeprefix("W/") in known:
        return Response(status_code=304, headers=headers)
    body = file.plain
    if "gzip" in request.get("accept-encoding", ""):
        body = file.compressed
        headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(body))
    return Response(body if method == "GET" else b"", headers=headers, media_type=file.media_type)


def _load(name: str) -> _PageFile:
    package = files("plotly") / "package_data" if name == _PLOTLY else files("controller.page")
    plain = (package / name).read_bytes()
    etag = f'W/"{xxh3_128_hexdigest(plain)}"'  # weak: the same for both encodings
    return _PageFile(plain, gzip.compress(plain, compresslevel=6), etag, _TYPES[Path(name).suffix])


@cache
def _names() -> frozenset[str]:
    own = (Path(path.name) for path in files("controller.page").iterdir())
    return frozenset({path.name for path in own if path.suffix in _TYPES} | {_PLOTLY})

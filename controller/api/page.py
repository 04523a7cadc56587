"""Serves the page at `/` and its files: public, compressed, revalidated by ETag; they load nothing from other sites."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PAGE_PREFIX = "/page"
_SUFFIXES = (".css", ".html", ".js", ".svg")
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


class PageFiles(StaticFiles):
    """The page's own files, and Plotly from its package."""

    def __init__(self) -> None:
        super().__init__(packages=[("controller.page", "."), ("plotly", "package_data")])

    def get_path(self, scope: Scope) -> str:
        """`/` is the page itself."""
        return "index.html" if scope["path"] == "/" else super().get_path(scope)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file of the page with its security headers. HTTPException for any other file of the packages."""
        if path not in _names():
            raise HTTPException(404, f"the page has no file {path[:80]!r}; it begins at /")
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def page_routes() -> list[Any]:
    """The routes of the page."""
    compressed = GZipMiddleware(PageFiles(), minimum_size=1, compresslevel=6)
    return [Route("/", compressed, include_in_schema=False), Mount(PAGE_PREFIX, compressed)]


@cache
def _names() -> frozenset[str]:
    own = (Path(path.name) for path in files("controller.page").iterdir())
    return frozenset({path.name for path in own if path.suffix in _SUFFIXES} | {"plotly.min.js"})

"""The page at `/` and its files: public, cached by what they are, allowed to load nothing from elsewhere."""

import gzip
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePath
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Header, Response
from starlette.concurrency import run_in_threadpool

from controller.api.problems import UnreadableError

PREFIX = "/page"
_PLOTLY = "plotly.min.js"
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Plotly adds an empty style element, which it fills by rules, and one for maps of the earth: the hashes of their texts.
# Of another version than the pinned one, the second may be refused, and the console says so; no chart needs it.
_PLOTLYS_STYLES = " ".join(
    (
        "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
        "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='",
    )
)
_POLICY = "; ".join(
    (
        *("default-src 'none'", "script-src 'self'", f"style-src 'self' {_PLOTLYS_STYLES}", "img-src 'self' data:"),
        *("connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
    )
)
_HEADERS = {
    "Cache-Control": "no-cache",  # asked about each time, and seldom sent again
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}

router = APIRouter(include_in_schema=False)


class PageFile(NamedTuple):
    """One file as it is sent: its bytes, the same compressed, its type and tag."""

    body: bytes
    compressed: bytes
    media_type: str
    tag: str

    @classmethod
    def read(cls, path: Traversable) -> "PageFile":
        """From where it is installed."""
        body = path.read_bytes()
        compressed = gzip.compress(body, compresslevel=6, mtime=0)
        tag = blake2b(body, digest_size=12).hexdigest()
        return cls(body, compressed, _TYPES[PurePath(path.name).suffix], f'"{tag}"')

    def answer(self, *, known: str, encodings: str) -> Response:
        """The file, or that it is the one that is `known`."""
        headers = _HEADERS | {"ETag": self.tag}
        if self.tag in known:
            return Response(status_code=304, headers=headers)
        if "gzip" not in encodings:
            return Response(self.body, headers=headers, media_type=self.media_type)
        return Response(self.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=self.media_type)


Known = Annotated[str, Header(alias="If-None-Match")]
Encodings = Annotated[str, Header(alias="Accept-Encoding")]


@router.get("/")
async def index(known: Known = "", encodings: Encodings = "") -> Response:
    """The page."""
    return await _file("index.html", known, encodings)


@router.get(f"{PREFIX}/{{name}}")
async def page_file(name: str, known: Known = "", encodings: Encodings = "") -> Response:
    """One of the page's files."""
    return await _file(name, known, encodings)


async def _file(name: str, known: str, encodings: str) -> Response:
    found = await run_in_threadpool(_files)
    if name not in found:
        raise UnreadableError(404, f"the page has no file {name[:80]!r}; it begins at /")
    loaded = await run_in_threadpool(_read, name)
    return loaded.answer(known=known, encodings=encodings)


@cache
def _read(name: str) -> PageFile:
    return PageFile.read(_files()[name])


@cache
def _files() -> dict[str, Traversable]:
    """The page's files by name, and Plotly as its wheel has it."""
    own = {path.name: path for path in files("controller.page").iterdir() if PurePath(path.name).suffix in _TYPES}
    return own | {_PLOTLY: files("plotly") / "package_data" / _PLOTLY}

"""Reads a request's body, and the run's configuration in it, within limits that are checked first."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from controller.api.config_worker import ConfigWorker
from controller.api.problems import RequestRejectedError
from controller.config.formats import FormatError
from controller.config.resolved import ResolvedRun

MAX_CONFIG_BYTES = 1_000_000
_MAX_YAML_BYTES = 100_000  # parsing YAML takes a hundred times as long as JSON
_JSON, _YAML = "application/json", "application/yaml"


async def configuration(request: Request, worker: ConfigWorker, *, timeout_s: float) -> ResolvedRun:
    """The run configuration in a request. RequestRejectedError, ConfigError, ConfigWorkerError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_JSON, _YAML):
        raise RequestRejectedError(415, f"content type {kind[:80]!r}: send the configuration as {_JSON} or {_YAML}")
    body = await whole_body(request, max_bytes=MAX_CONFIG_BYTES, timeout_s=timeout_s)
    if kind == _YAML and len(body) > _MAX_YAML_BYTES:
        raise RequestRejectedError(
            413, f"YAML is limited to {_MAX_YAML_BYTES} bytes; send longer configurations as {_JSON}"
        )
    try:
        return await worker.resolve(body, is_yaml=kind == _YAML)
    except FormatError as error:
        raise RequestRejectedError(400, f"the body is not {'YAML' if kind == _YAML else 'JSON'}: {error}") from error


async def whole_body(request: Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """A request's body. RequestRejectedError for one that is too long or too slow."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(request, max_bytes)
    except TimeoutError as error:
        raise RequestRejectedError(408, f"the body did not arrive within {timeout_s:g} s") from error
    except ClientDisconnect as error:
        raise RequestRejectedError(400, "the body is incomplete") from error


async def _read(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise RequestRejectedError(413, f"the body is longer than {max_bytes} bytes")
    return bytes(body)

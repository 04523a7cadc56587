"""Parses a run's configuration from a request's body, JSON or YAML, within limits that are checked first."""

import asyncio
import json
import re
from itertools import accumulate
from typing import Any

import yaml
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from controller.api.problems import RequestRejectedError
from controller.config.errors import ConfigError, invalid
from controller.config.layers import FILE_SUFFIXES, parse_yaml
from controller.config.resolved import ResolvedRun, load

MAX_CONFIG_BYTES = 1_000_000
_MAX_YAML_BYTES = 100_000  # parsing YAML takes a hundred times as long as JSON
_MAX_DEPTH = 32
_JSON, _YAML = "application/json", "application/yaml"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(r"[\[\]{}]")


async def configuration(request: Request, *, timeout_s: float) -> ResolvedRun:
    """The run configuration in a request. RequestRejectedError, ConfigError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_JSON, _YAML):
        raise RequestRejectedError(415, f"content type {kind[:80]!r}: send the configuration as {_JSON} or {_YAML}")
    body = await whole_body(request, max_bytes=MAX_CONFIG_BYTES, timeout_s=timeout_s)
    return await run_in_threadpool(_parse, body, kind)


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


def _parse(body: bytes, kind: str) -> ResolvedRun:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise RequestRejectedError(400, f"the body is not UTF-8: {error}") from error
    data = _parse_json(text) if kind == _JSON else _parse_yaml(text)
    if not isinstance(data, dict):
        raise ConfigError(invalid("body", data, "send keys with values, such as world and scheme"))
    if errors := _local_settings(data):
        raise ConfigError("\n".join(errors))
    return load(data)


def _parse_json(text: str) -> Any:
    steps = (1 if bracket.group() in "[{" else -1 for bracket in _BRACKET.finditer(_STRING.sub("", text)))
    if max(accumulate(steps), default=0) > _MAX_DEPTH:
        raise RequestRejectedError(400, f"the body is nested deeper than {_MAX_DEPTH} levels")
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_reject_constant)
    except ValueError as error:
        raise RequestRejectedError(400, f"the body is not JSON: {error}") from error


def _parse_yaml(text: str) -> Any:
    if len(text) > _MAX_YAML_BYTES:
        raise RequestRejectedError(
            413, f"YAML is limited to {_MAX_YAML_BYTES} bytes; send longer configurations as {_JSON}"
        )
    try:
        _check_yaml(text)
        return parse_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise RequestRejectedError(400, f"the body is not YAML: {error}") from error


def _check_yaml(text: str) -> None:
    """Reject deep nesting and aliases: a few nested aliases expand one line of text to gigabytes."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise RequestRejectedError(400, f"the body is nested deeper than {_MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            raise RequestRejectedError(
                400, f"the alias *{event.anchor} is not allowed: repeat the text that it stands for"
            )


def _local_settings(data: dict[str, Any]) -> list[str]:
    """Errors for settings that concern the controller's own machine."""
    errors = [invalid("out", data["out"], "remove it: the controller has its own folder")] if "out" in data else []
    named = ((key, data[key]) for key in ("world", "scheme") if isinstance(data.get(key), dict))
    return errors + [
        invalid(f"{key}.{name}", value, "a run submitted by REST cannot name files of the controller's machine")
        for key, parameters in named
        for name, value in parameters.items()
        if isinstance(value, str) and value.endswith(FILE_SUFFIXES)
    ]


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        repeated = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
        raise ValueError(f"key {repeated[:60]!r} appears twice")
    return data


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")

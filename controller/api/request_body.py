"""A run's configuration from a request's body: JSON or YAML, within limits that are checked before it is built."""

import asyncio
import json
import re
from itertools import accumulate
from typing import Any

import yaml
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from controller.api.problems import UnreadableError
from controller.config.errors import ConfigError, invalid, shown
from controller.config.layers import FILE_SUFFIXES, parse_yaml
from controller.config.resolved import ResolvedRun, load

MAX_BYTES = 1_000_000
_MAX_YAML_BYTES = 100_000  # its parser takes a hundred times as long
_MAX_DEPTH = 32
_JSON, _YAML = "application/json", "application/yaml"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(r"[\[\]{}]")


async def configuration(request: Request, *, timeout_s: float) -> ResolvedRun:
    """The run that a request describes. UnreadableError, ConfigError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_JSON, _YAML):
        raise UnreadableError(415, f"content type {kind[:80]!r}: send the configuration as {_JSON} or {_YAML}")
    body = await whole_body(request, max_bytes=MAX_BYTES, timeout_s=timeout_s)
    return await run_in_threadpool(_configured, body, kind)


async def whole_body(request: Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """A request's body, cut short where it is too long or too slow. UnreadableError."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(request, max_bytes)
    except TimeoutError as error:
        raise UnreadableError(408, f"the body did not come within {timeout_s:g} s") from error
    except ClientDisconnect as error:
        raise UnreadableError(400, "the body did not come whole") from error


async def _read(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise UnreadableError(413, f"the body is longer than {max_bytes} bytes")
    return bytes(body)


def _configured(body: bytes, kind: str) -> ResolvedRun:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise UnreadableError(400, f"the body is not UTF-8: {error}") from error
    data = _from_json(text) if kind == _JSON else _from_yaml(text)
    if not isinstance(data, dict):
        raise ConfigError(f"body: {shown(data)} is not allowed: send keys with values, such as world and scheme")
    if faults := _not_by_rest(data):
        raise ConfigError("\n".join(faults))
    return load(data)


def _from_json(text: str) -> Any:
    steps = (1 if bracket.group() in "[{" else -1 for bracket in _BRACKET.finditer(_STRING.sub("", text)))
    if max(accumulate(steps), default=0) > _MAX_DEPTH:
        raise UnreadableError(400, f"the body is nested deeper than {_MAX_DEPTH} levels")
    try:
        return json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except ValueError as error:
        raise UnreadableError(400, f"the body is not JSON: {error}") from error


def _from_yaml(text: str) -> Any:
    if len(text) > _MAX_YAML_BYTES:
        raise UnreadableError(413, f"YAML may have {_MAX_YAML_BYTES} bytes here; send it as {_JSON}")
    try:
        _check_yaml(text)
        return parse_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise UnreadableError(400, f"the body is not YAML: {error}") from error


def _check_yaml(text: str) -> None:
    """No aliases: a few of them make a text of a line a tree without end."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise UnreadableError(400, f"the body is nested deeper than {_MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            raise UnreadableError(400, f"the alias *{event.anchor} is not allowed: write out what it stands for")


def _not_by_rest(data: dict[str, Any]) -> list[str]:
    """What is a matter of the machine that the controller is on."""
    faults = [invalid("out", data["out"], "leave it out: the controller has its own folder")] if "out" in data else []
    named = ((key, data[key]) for key in ("world", "scheme") if isinstance(data.get(key), dict))
    return faults + [
        invalid(f"{key}.{name}", value, "a run by REST cannot name files of the controller's machine")
        for key, parameters in named
        for name, value in parameters.items()
        if isinstance(value, str) and value.endswith(FILE_SUFFIXES)
    ]


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
        raise ValueError(f"key {twice[:60]!r} is written twice")
    return data


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")

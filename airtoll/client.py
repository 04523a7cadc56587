"""A client of the controller's REST interface, on the standard library alone.

controller = airtoll.connect("http://127.0.0.1:8770")
run = controller.submit("examples/d2d-greedy.yaml", slots=200)
print(controller.wait(run["id"])["metrics"])
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

DEFAULT_URL = "http://127.0.0.1:8770"
_API_PREFIX = "/api/v2"
_TIMEOUT_S = 60.0
_FINAL_STATES = ("SUCCEEDED", "FAILED", "STOPPED")


class ControllerError(Exception):
    """The controller cannot be reached (`status` 0), or rejected a request with this status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Controller:
    """The requests that a controller answers. Each may raise ControllerError; answers are as in docs/rest.md.

    The defaults of `url` and `token` are AIRTOLL_URL, and AIRTOLL_TOKEN or the file AIRTOLL_TOKEN_FILE.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        url = url or os.environ.get("AIRTOLL_URL") or DEFAULT_URL
        token = _token() if token is None else token
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not the URL of a controller; write it as {DEFAULT_URL}")
        if not (token.isascii() and token.isprintable()):
            raise ControllerError(
                0, "the token is no controller's: those have printable ASCII alone; see AIRTOLL_TOKEN"
            )
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def submit(self, config: str | Path | Mapping[str, Any], **overrides: Any) -> dict[str, Any]:
        """Queue a run: a YAML file or a mapping, and settings that override it."""
        from controller.config import layers

        given = layers.from_file(Path(config)) if isinstance(config, str | Path) else layers.Layer(dict(config))
        body = given.overridden_by(layers.Layer(overrides)).data
        return self._object("POST", "/runs", body=json.dumps(body, default=str).encode())

    def list(self, *, limit: int = 50, offset: int = 0, **filters: Any) -> dict[str, Any]:
        """`runs`, the newest first, and their `total`. Filters: state, world, scheme."""
        return self._object("GET", "/runs", limit=limit, offset=offset, **filters)

    def show(self, run_id: str) -> dict[str, Any]:
        """One run, with its configuration."""
        return self._object("GET", _path(run_id))

    def stop(self, run_id: str) -> dict[str, Any]:
        """Stop a run after its current slot, or remove it from the queue."""
        return self._object("POST", _path(run_id, "stop"))

    def pause(self, run_id: str) -> dict[str, Any]:
        """Pause a run before its next slot; the answer shows whether it is PAUSED yet."""
        return self._object("POST", _path(run_id, "pause"))

    def resume(self, run_id: str) -> dict[str, Any]:
        """Resume a paused run; the answer shows whether it is RUNNING yet."""
        return self._object("POST", _path(run_id, "resume"))

    def delete(self, run_id: str) -> None:
        """Delete a run that has ended, with its folder."""
        self._call("DELETE", _path(run_id)).close()

    def metrics(self, run_id: str, **query: Any) -> dict[str, Any]:
        """Metrics over windows of slots."""
        return self._object("GET", _path(run_id, "metrics"), **query)

    def toll(self, run_id: str, **query: Any) -> dict[str, Any]:
        """The toll by kind, node or link class."""
        return self._object("GET", _path(run_id, "toll"), **query)

    def checkpoints(self, run_id: str) -> dict[str, Any]:
        """`checkpoints`, the newest first: slot, bytes, time, and the damage of a damaged one."""
        return self._object("GET", _path(run_id, "checkpoints"))

    def weights(self, run_id: str, node: str, *, sent_slot: int | None = None) -> bytes:
        """A node's weights as safetensors: those that were sent in `sent_slot`, or the newest."""
        with self._call("GET", f"{_path(run_id, 'weights')}/{quote(node, safe='')}", sent_slot=sent_slot) as answer:
            return answer.read()

    def stored_weights(self, run_id: str) -> dict[str, Any]:
        """`weights`: which are stored, by node: sent_slot, bytes, origin."""
        return self._object("GET", _path(run_id, "weights"))

    def put_weights(self, run_id: str, node: str, safetensors: bytes) -> dict[str, Any]:
        """Send a node these weights over the air, in the run's next slot."""
        path = f"{_path(run_id, 'weights')}/{quote(node, safe='')}"
        return self._object("PUT", path, body=safetensors, kind="application/octet-stream")

    def compare(self, *run_ids: str) -> dict[str, Any]:
        """Runs side by side."""
        return self._object("GET", "/compare", runs=",".join(run_ids))

    def nodes(self, run_id: str | None = None) -> dict[str, Any]:
        """`nodes` of a run, or of all active runs, and the pool's `workers`."""
        return self._object("GET", "/nodes", run=run_id)

    def file(self, run_id: str, name: str) -> bytes:
        """One file of a run's folder."""
        with self._call("GET", f"{_path(run_id, 'files')}/{quote(name)}") as answer:
            return answer.read()

    def watch(self, run_id: str) -> Iterator[dict[str, Any]]:
        """The run's events from its beginning to its end; it reconnects by itself."""
        position: dict[str, str] = {}
        received = True
        while received:
            received = False
            with self._call("GET", _path(run_id, "events"), headers=position) as answer:
                for name, event_id, data in _events(answer):
                    position, received = {"Last-Event-ID": event_id}, True
                    yield data
                    if name == "end":
                        return
        raise ControllerError(0, f"the controller at {self.url} closed the event stream before the end of {run_id}")

    def wait(self, run_id: str) -> dict[str, Any]:
        """The run, once it has ended."""
        for event in self.watch(run_id):
            if event.get("state") in _FINAL_STATES:
                break
        return self.show(run_id)

    def _object(
        self, method: str, path: str, *, body: bytes | None = None, kind: str = "application/json", **query: Any
    ) -> dict[str, Any]:
        headers = {} if body is None else {"Content-Type": kind}
        with self._call(method, path, body=body, headers=headers, **query) as answer:
            document: dict[str, Any] = json.load(answer)
            return document

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> HTTPResponse:
        query = {key: value for key, value in query.items() if value is not None}
        url = f"{self.url}{_API_PREFIX}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        request = urllib.request.Request(url, body, self._headers | dict(headers or {}), method=method)
        try:
            answer: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                raise ControllerError(error.code, self._token_fix(error.code) or _detail(error)) from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            fix = "start one with `airtoll serve`, or set AIRTOLL_URL"
            raise ControllerError(0, f"no controller answers at {self.url}: {reason}; {fix}") from error
        return answer

    def _token_fix(self, status: int) -> str:
        if status != 401:
            return ""
        given = "is another" if self._headers else "is missing"
        return f"the token of the controller at {self.url} {given}: set AIRTOLL_TOKEN, or AIRTOLL_TOKEN_FILE"


def _token() -> str:
    """The token from AIRTOLL_TOKEN, or from the file that AIRTOLL_TOKEN_FILE names."""
    file = os.environ.get("AIRTOLL_TOKEN_FILE", "")
    given = os.environ.get("AIRTOLL_TOKEN", "")
    if given or not file:
        return given
    try:
        return Path(file).read_text("utf-8").strip()
    except OSError as error:
        raise ControllerError(0, f"AIRTOLL_TOKEN_FILE: {file} cannot be read: {error.strerror}") from error


def _path(run_id: str, *more: str) -> str:
    return "/".join(["/runs", quote(run_id, safe=""), *more])


def _detail(error: urllib.error.HTTPError) -> str:
    """The detail of a problem document; the status line of any other answer."""
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"


def _events(lines: Sequence[bytes] | HTTPResponse) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, id and data of each server-sent event."""
    fields: dict[str, str] = {}
    for line in lines:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field:
            fields[field] = value
        elif "data" in fields:
            yield fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])
            fields = {}

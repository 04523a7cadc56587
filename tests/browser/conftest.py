"""One browser, and one controller with runs to look at."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.pilot import Pilot, piloting
from tests.system.service import CELL, Service, serving

GRAPH: dict[str, Any] = {"world": "conflict_graph", "scheme": "zhang2025/llq", "slots": 300, "placement": "in-process"}


@pytest.fixture(scope="session")
def browser() -> Iterator[Pilot]:
    with piloting() as pilot:
        yield pilot


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("controller"), "--at-once", "2") as served:
        yield served


@pytest.fixture(scope="session")
def ended(service: Service) -> dict[str, str]:
    """Runs that are over, by what they are."""
    configs = {
        "sla": CELL,
        "random": CELL | {"scheme": "li2020/random"},
        "other seed": CELL | {"seed": 2},
        "graph": GRAPH,
    }
    ids = {name: service.client.submit(config)["id"] for name, config in configs.items()}
    for run_id in ids.values():
        assert service.client.wait(run_id)["state"] == "SUCCEEDED"
    return ids


@pytest.fixture
def pilot(browser: Pilot, service: Service) -> Iterator[Pilot]:
    """The browser, light and wide, at the controller; at the end nothing may stand in its console."""
    browser.url = service.url
    browser.dress()
    browser.complaints()
    yield browser
    _end_all(service)
    assert browser.complaints() == []


def _end_all(service: Service) -> None:
    """Also after a test that failed, so that the next one finds room."""
    for run in service.client.list(limit=500)["runs"]:
        if run["state"] in ("PENDING", "RUNNING", "PAUSED"):
            service.client.stop(run["id"])
            service.client.wait(run["id"])


@pytest.fixture
def port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
    return found

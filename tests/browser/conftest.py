"""One browser for the whole session, and one controller with finished runs."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.page import Page, launched
from tests.system.service import CELL, Service, serving

GRAPH: dict[str, Any] = {"world": "conflict_graph", "scheme": "zhang2025/llq", "slots": 300, "placement": "in-process"}


@pytest.fixture(scope="session")
def browser() -> Iterator[Page]:
    with launched() as page:
        yield page


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("controller"), "--at-once", "2") as served:
        yield served


@pytest.fixture(scope="session")
def finished(service: Service) -> dict[str, str]:
    """The ids of finished runs by a short name."""
    configs = {
        "sla": CELL,
        "random": CELL | {"scheme": "li2020/random"},
        "other seed": CELL | {"seed": 2},
        "graph": GRAPH,
        "graph lossy": GRAPH | {"signalling": {"all": {"delay_slots": 3, "loss": 0.1}}},
        "phases": {key: CELL[key] for key in ("world", "scheme", "placement")}
        | {"phases": {"warmup": 25, "eval": 275}},
    }
    ids = {name: service.client.submit(config)["id"] for name, config in configs.items()}
    for run_id in ids.values():
        assert service.client.wait(run_id)["state"] == "SUCCEEDED"
    return ids


@pytest.fixture
def page(browser: Page, service: Service) -> Iterator[Page]:
    """The browser, light and wide, at the controller; the test must leave no errors in its console."""
    browser.url = service.url
    browser.emulate()
    browser.console_errors()
    yield browser
    _stop_all(service)
    assert browser.console_errors() == []


def _stop_all(service: Service) -> None:
    """Also after a failed test, so that the next one finds free slots."""
    for run in service.client.list(limit=500)["runs"]:
        if run["state"] in ("PENDING", "RUNNING", "PAUSED"):
            service.client.stop(run["id"])
            service.client.wait(run["id"])


@pytest.fixture
def port() -> int:
    """A free TCP port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
    return found

"""A run's view while data is streamed to it, and after the run has ended."""

import signal
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from controller.service.run_process_handle import RunProcessHandle
from tests.browser.page import Page
from tests.system.service import CELL, LONG, Service, serving

_COLUMNS = ("notes", "payload_bits", "note_bytes", "copies", "copy_bytes")


def _stream_has_ended(page: Page) -> bool:
    """Whether the response with the run's events is complete: the browser lists a request only then."""
    script = "return performance.getEntriesByType('resource').some(({name}) => name.endsWith('/events'))"
    ended: bool = page.script(script)
    return ended


def _toll(page: Page, key: str) -> dict[str, list[int]]:
    """The table under the chart of the toll in total: counts by name."""
    page.select("by", key)
    script = """
        const charts = [...document.querySelectorAll(".chart")];
        const chart = charts.find((one) => one.querySelector("h2").textContent === "Toll in total");
        chart.querySelector("details").open = true;
        return [...chart.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
    """
    rows: list[list[str]] = page.wait_until(lambda: page.script(script))
    return {row[0]: [int(cell.replace(",", "")) for cell in row[1 : 1 + len(_COLUMNS)]] for row in rows}


def _expected(service: Service, run_id: str, key: str) -> dict[str, list[int]]:
    [window] = service.client.toll(run_id, by=key)["windows"]
    tolls: dict[str, dict[str, Any]] = window["tolls"]
    return {name: [toll[column] for column in _COLUMNS] for name, toll in tolls.items()}


def test_the_streamed_toll_equals_the_toll_by_rest(page: Page, service: Service, finished: dict[str, str]) -> None:
    run_id = finished["graph lossy"]
    page.open(f"#/runs/{run_id}")
    page.wait_until(lambda: _stream_has_ended(page))
    for key in ("kind", "node", "link"):
        page.wait_until(lambda key=key: _toll(page, key) == _expected(service, run_id, key))  # type: ignore[misc]
    shares = page.script(
        "return [...document.querySelectorAll('[data-header=\"share of bits\"]')].map((cell) => cell.textContent)"
    )
    assert sum(float(share.rstrip("%")) for share in shares) == pytest.approx(100, abs=0.5)


def test_a_resumed_run_counts_its_toll_once(page: Page, tmp_path: Path) -> None:
    config = CELL | {"slots": 30_000, "checkpoint_every": 1000, "record": {"window_slots": 20}}
    with serving(tmp_path, "--on-loss", "resume") as served:
        page.url = served.url
        run = served.client.submit(config)
        page.open(f"#/runs/{run['id']}")
        served.until(run["id"], lambda run: run["slot"] > 2500)
        page.one(".chart .plot[aria-label*=feedback]")
        process = RunProcessHandle.find(Path(run["folder"]))
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.close()
        assert served.client.wait(run["id"])["state"] == "SUCCEEDED"
        page.wait_until(lambda: _stream_has_ended(page))
        page.wait_until(lambda: _toll(page, "kind") == _expected(served, run["id"], "kind"))


def test_the_end_time_stays_when_a_run_ends(page: Page, service: Service) -> None:
    run_id = service.client.submit(LONG)["id"]
    page.open(f"#/runs/{run_id}")
    page.wait_for("running", ".run-head .badge")
    page.script(
        """
        const list = document.querySelector(".properties");
        const item = () => [...list.children].find(({ firstChild }) => firstChild.textContent === "ended");
        const ended = () => item().lastChild.textContent;
        window.endTimes = [ended()];
        new MutationObserver(() => window.endTimes.push(ended())).observe(list, { childList: true });
        """
    )
    service.client.stop(run_id)
    page.wait_until(lambda: _stream_has_ended(page))
    year = str(datetime.now(UTC).year)
    page.wait_until(lambda: any(year in time for time in page.script("return window.endTimes")))
    times = page.script("return window.endTimes")
    assert len(list(groupby(times))) == 2  # from none to the end time, and never back


def test_short_phases_keep_their_labels_when_the_run_has_ended(page: Page, finished: dict[str, str]) -> None:
    page.open(f"#/runs/{finished['phases']}")
    script = """
        const chart = document.querySelector(".chart .plot .annotation-text")?.closest(".plot");
        return chart ? [...chart.querySelectorAll(".annotation-text")].map((label) => label.textContent) : [];
    """
    page.wait_until(lambda: page.script(script) == ["warmup", "eval"])

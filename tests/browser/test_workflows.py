"""The page as people use it, with the mouse and by keyboard alone."""

from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.browser.page import Page
from tests.system.service import LONG, Service


def _id(page: Page) -> str:
    """The id of the run that is shown."""
    page.wait_until(lambda: "#/runs/" in page.driver.current_url)
    return page.driver.current_url.partition("#/runs/")[2]


def _state(page: Page, state: str) -> None:
    page.wait_for(state, ".run-head .badge")


def _points(page: Page, title: str) -> int:
    """The number of points in the chart of this title."""
    script = """
        const charts = [...document.querySelectorAll(".chart")];
        const chart = charts.find((one) => one.querySelector("h2").textContent === arguments[0]);
        return chart?.querySelector(".plot").data?.[0]?.x.length ?? 0;
    """
    count: int = page.script(script, title)
    return count


def test_a_run_is_started_paused_resumed_stopped_and_deleted_with_the_mouse(page: Page, service: Service) -> None:
    page.open("#/new")
    page.select("World", "d2d_underlay")
    page.select("Scheme", "li2020/sla")
    for label, value in {"pairs": "3", "rbs": "2", "eval": "1000000"}.items():
        page.type(label, value)
    page.select("placement", "in-process")
    page.click("Start the run")
    run_id = _id(page)
    _state(page, "running")
    config = service.client.show(run_id)["config"]
    assert (config["world"]["pairs"], config["phases"]["eval"], config["placement"]) == (3, 10**6, "in-process")
    page.wait_until(lambda: len(page.all(".map .point.marker")) == 3)
    page.wait_until(lambda: _points(page, "Reward") > 1)
    page.wait_until(lambda: _points(page, "Toll over time") > 0)
    page.wait_for("pair-2", ".nodes")
    page.click("Pause")
    _state(page, "paused")
    page.wait_for("paused", ".log")
    page.click("Resume")
    _state(page, "running")
    points = _points(page, "Reward")
    page.wait_until(lambda: _points(page, "Reward") > points)
    page.click("Stop")
    page.click("Stop the run", "dialog button")
    _state(page, "stopped")
    page.click("Files")
    page.wait_for("config.yaml", "details.card:last-child")
    page.click("Delete")
    page.click("Delete the run", "dialog button")
    page.wait_until(lambda: page.text("h1") == "Runs")
    assert run_id not in [run["id"] for run in service.client.list(limit=500)["runs"]]


def test_the_same_and_a_comparison_by_keyboard_alone(page: Page, service: Service, finished: dict[str, str]) -> None:
    page.open()
    page.press(Keys.TAB)
    assert "Skip to the content" in page.focused()
    page.tab_to("New run")
    page.press(Keys.ENTER)
    page.wait_until(lambda: "New run" in page.focused() and page.focused().startswith("H1"))
    page.wait_for("slotted scheduling")
    page.tab_to("World")
    page.press("d2d")
    page.wait_for("one cell")
    page.tab_to("Scheme")
    page.press("li2020/sla")
    page.wait_for("b of the update")
    for label, keys in {"pairs": "3", "rbs": "2", "eval": "1000000"}.items():
        page.tab_to(f" {label}")
        page.press(keys)  # Tab has selected the text
    page.tab_to("placement")
    page.press("in")
    page.tab_to("Start the run")
    page.press(Keys.ENTER)
    run_id = _id(page)
    _state(page, "running")
    for words, state in {"Pause": "paused", "Resume": "running"}.items():
        page.tab_to(f"| {words} |")
        page.press(Keys.SPACE)
        _state(page, state)
    page.tab_to("| Stop |")
    page.press(Keys.ENTER)
    page.tab_to("Stop the run")
    page.press(Keys.ENTER)
    _state(page, "stopped")
    assert service.client.show(run_id)["config"]["world"]["pairs"] == 3
    page.press(Keys.CONTROL, Keys.HOME)
    page.tab_to("| Runs |")
    page.press(Keys.ENTER)
    for name in ("sla", "random"):
        page.wait_for(finished[name].rpartition("-")[2], ".list")
        page.tab_to(f"Compare {finished[name]}")
        page.press(Keys.SPACE)
    page.tab_to("Compare 2 runs")
    page.press(Keys.ENTER)
    page.wait_for("bytes per slot and node", ".compare")


def test_two_runs_are_selected_and_compared(page: Page, finished: dict[str, str]) -> None:
    page.open()
    for name in ("sla", "random"):
        page.one(f"[aria-label='Compare {finished[name]}']").click()
    page.click("Compare 2 runs")
    page.wait_for("feedback", ".compare table")
    page.wait_for("no notes sent", ".compare table")
    assert "had different channels" not in page.text()
    page.select("metric", "cellular_outage")
    page.wait_until(lambda: "metric=cellular_outage" in page.driver.current_url)
    page.wait_for("cellular outage", ".compare thead")
    page.open(f"#/compare?runs={finished['sla']},{finished['other seed']}")
    page.wait_for("had different channels")


def test_a_chart_shows_the_value_under_the_pointer(page: Page, finished: dict[str, str]) -> None:
    page.open(f"#/runs/{finished['sla']}")
    page.wait_until(lambda: _points(page, "Reward") == 3)
    point = page.one(".chart .scatterlayer .point")
    page.script("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(page.driver).move_to_element(point).move_by_offset(2, 0).perform()
    script = "return [...document.querySelectorAll('.hoverlayer')].map((layer) => layer.textContent).join()"
    page.wait_until(lambda: "slot 99" in page.script(script))


def test_errors_are_shown_at_their_fields(page: Page) -> None:
    page.open("#/new")
    page.select("World", "d2d_underlay")
    page.type("pairs", "0")
    page.type("seed", "-1")
    page.type("as YAML or JSON", "colour: red")
    page.click("Start the run")
    page.wait_for("colour", ".errors")
    assert "The run was rejected" in page.focused()
    for label in ("pairs", "seed"):
        field = page.field(label)
        assert field.get_attribute("aria-invalid") == "true"
        described = page.script("return arguments[0].getAttribute('aria-describedby').split(' ').at(-1)", field)
        assert "must be at least" in page.text(f"#{described}")
    page.click("world.pairs")
    assert "pairs" in page.focused()


@pytest.mark.parametrize(
    "more",
    ["record: {window_slots: 50}\nkeep_checkpoints: 3", '{"record": {"window_slots": 50}, "keep_checkpoints": 3}'],
)
def test_other_settings_are_sent_and_copied_to_a_new_run(page: Page, service: Service, more: str) -> None:
    largest = 2**63 - 1
    page.open("#/new")
    page.select("Scheme", "ours/random")
    page.type("seed", str(largest))
    page.type("as YAML or JSON", more)
    page.type("eval", "5")
    page.select("placement", "in-process")
    page.click("Start the run")
    run = service.client.wait(_id(page))
    assert (run["seed"], run["config"]["keep_checkpoints"], run["config"]["record"]["window_slots"]) == (largest, 3, 50)
    page.open(f"#/new?like={run['id']}")
    assert page.field("Scheme").get_attribute("value") == "ours/random"
    assert '"window_slots":50' in (page.field("as YAML or JSON").get_attribute("value") or "")


def test_only_compatible_schemes_are_offered(page: Page) -> None:
    def offered(world: str) -> set[Any]:
        page.select("World", world)
        return {option.get_attribute("value") for option in page.field("Scheme").find_elements("css selector", "*")}

    page.open("#/new")
    assert {str(name).partition("/")[0] for name in offered("conflict_graph")} == {"ours", "zhang2025"}
    assert {str(name).partition("/")[0] for name in offered("d2d_underlay")} == {"li2020", "ours"}


def test_a_queued_run_says_so_and_can_be_filtered(page: Page, service: Service) -> None:
    ids = [service.client.submit(LONG)["id"] for _ in range(3)]
    service.until_state(ids[1], "RUNNING")
    page.open(f"#/runs/{ids[2]}")
    page.wait_for("The run is queued")
    page.wait_for("The map appears after the first slot, if the world can be drawn.")
    page.open()
    page.wait_for(ids[0].rpartition("-")[2], ".list")
    page.click("◷ pending", ".choice")
    page.wait_until(lambda: [link.text for link in page.all(".list tbody a")] == [ids[2]])
    service.client.stop(ids[2])
    page.wait_for("No run is in these states.")


def test_phases_are_proposed_for_schemes_that_learn(page: Page) -> None:
    def phases() -> list[str | None]:
        return [page.field(name).get_attribute("value") for name in ("warmup", "train", "eval")]

    page.open("#/new")
    page.select("World", "d2d_underlay")
    page.select("Scheme", "li2020/sla")
    assert phases() == ["0", "0", "1000"]
    page.select("Scheme", "li2020/maac")
    assert phases() == ["500", "4000", "500"]
    page.type("train", "70")
    page.select("Scheme", "li2020/random")
    assert phases() == ["0", "70", "1000"]

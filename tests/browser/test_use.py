"""The page as people use it: by clicking, and by keyboard alone."""

from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.browser.pilot import Pilot
from tests.system.service import LONG, Service


def _id(pilot: Pilot) -> str:
    """Of the run that is looked at."""
    pilot.until(lambda: "#/runs/" in pilot.driver.current_url)
    return pilot.driver.current_url.partition("#/runs/")[2]


def _state(pilot: Pilot, state: str) -> None:
    pilot.sees(state, ".run-head .badge")


def _points(pilot: Pilot, title: str) -> int:
    """How many points the chart of this title has."""
    script = """
        const charts = [...document.querySelectorAll(".chart")];
        const chart = charts.find((one) => one.querySelector("h2").textContent === arguments[0]);
        return chart?.querySelector(".plot").data?.[0]?.x.length ?? 0;
    """
    told: int = pilot.script(script, title)
    return told


def test_a_run_is_made_watched_paused_resumed_stopped_and_deleted_by_clicking(pilot: Pilot, service: Service) -> None:
    pilot.open("#/new")
    pilot.choose("World", "d2d_underlay")
    pilot.choose("Scheme", "li2020/sla")
    for label, value in {"pairs": "3", "rbs": "2", "eval": "1000000"}.items():
        pilot.enter(label, value)
    pilot.choose("placement", "in-process")
    pilot.click("Start the run")
    run_id = _id(pilot)
    _state(pilot, "running")
    config = service.client.show(run_id)["config"]
    assert (config["world"]["pairs"], config["phases"]["eval"], config["placement"]) == (3, 10**6, "in-process")
    pilot.until(lambda: len(pilot.all(".map .pair")) == 3)
    pilot.until(lambda: _points(pilot, "Reward") > 1)
    pilot.until(lambda: _points(pilot, "Toll over time") > 0)
    pilot.sees("pair-2", ".nodes")
    pilot.click("Pause")
    _state(pilot, "paused")
    pilot.sees("paused", ".log")
    pilot.click("Resume")
    _state(pilot, "running")
    points = _points(pilot, "Reward")
    pilot.until(lambda: _points(pilot, "Reward") > points)
    pilot.click("Stop")
    pilot.click("Stop the run", "dialog button")
    _state(pilot, "stopped")
    pilot.click("Files")
    pilot.sees("config.yaml", "details.card:last-child")
    pilot.click("Delete")
    pilot.click("Delete the run", "dialog button")
    pilot.until(lambda: pilot.text("h1") == "Runs")
    assert run_id not in [run["id"] for run in service.client.list(limit=500)["runs"]]


def test_all_of_it_by_keyboard_alone(pilot: Pilot, service: Service, ended: dict[str, str]) -> None:
    pilot.open()
    pilot.press(Keys.TAB)
    assert "Skip to the content" in pilot.focus()
    pilot.tab_to("New run")
    pilot.press(Keys.ENTER)
    pilot.until(lambda: "New run" in pilot.focus() and pilot.focus().startswith("H1"))
    pilot.sees("slotted scheduling")
    pilot.tab_to("World")
    pilot.press("d2d")
    pilot.sees("one cell")
    pilot.tab_to("Scheme")
    pilot.press("li2020/sla")
    pilot.sees("b of the update")
    for label, keys in {"pairs": "3", "rbs": "2", "eval": "1000000"}.items():
        pilot.tab_to(f" {label}")
        pilot.press(keys)  # Tab has selected what was there
    pilot.tab_to("placement")
    pilot.press("in")
    pilot.tab_to("Start the run")
    pilot.press(Keys.ENTER)
    run_id = _id(pilot)
    _state(pilot, "running")
    for words, state in {"Pause": "paused", "Resume": "running"}.items():
        pilot.tab_to(f"| {words} |")
        pilot.press(Keys.SPACE)
        _state(pilot, state)
    pilot.tab_to("| Stop |")
    pilot.press(Keys.ENTER)
    pilot.tab_to("Stop the run")
    pilot.press(Keys.ENTER)
    _state(pilot, "stopped")
    assert service.client.show(run_id)["config"]["world"]["pairs"] == 3
    pilot.press(Keys.CONTROL, Keys.HOME)
    pilot.tab_to("| Runs |")
    pilot.press(Keys.ENTER)
    for name in ("sla", "random"):
        pilot.sees(ended[name].rpartition("-")[2], ".list")
        pilot.tab_to(f"Compare {ended[name]}")
        pilot.press(Keys.SPACE)
    pilot.tab_to("Compare 2 runs")
    pilot.press(Keys.ENTER)
    pilot.sees("bytes per slot and node", ".compare")


def test_two_runs_are_chosen_and_compared(pilot: Pilot, ended: dict[str, str]) -> None:
    pilot.open()
    for name in ("sla", "random"):
        pilot.one(f"[aria-label='Compare {ended[name]}']").click()
    pilot.click("Compare 2 runs")
    pilot.sees("feedback", ".compare table")
    pilot.sees("nothing told", ".compare table")
    assert "did not meet the same channels" not in pilot.text()
    pilot.choose("metric", "cellular_outage")
    pilot.until(lambda: "metric=cellular_outage" in pilot.driver.current_url)
    pilot.sees("cellular outage", ".compare thead")
    pilot.open(f"#/compare?runs={ended['sla']},{ended['other seed']}")
    pilot.sees("did not meet the same channels")


def test_a_chart_tells_the_value_under_the_pointer(pilot: Pilot, ended: dict[str, str]) -> None:
    pilot.open(f"#/runs/{ended['sla']}")
    pilot.until(lambda: _points(pilot, "Reward") == 3)
    point = pilot.one(".chart .scatterlayer .point")
    pilot.script("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(pilot.driver).move_to_element(point).move_by_offset(2, 0).perform()
    script = "return [...document.querySelectorAll('.hoverlayer')].map((layer) => layer.textContent).join()"
    pilot.until(lambda: "slot 99" in pilot.script(script))


def test_what_is_wrong_is_said_at_its_field(pilot: Pilot) -> None:
    pilot.open("#/new")
    pilot.choose("World", "d2d_underlay")
    pilot.enter("pairs", "0")
    pilot.enter("seed", "-1")
    pilot.enter("as YAML or JSON", "colour: red")
    pilot.click("Start the run")
    pilot.sees("colour", ".faults")
    assert "The run cannot be started" in pilot.focus()
    for label in ("pairs", "seed"):
        field = pilot.labelled(label)
        assert field.get_attribute("aria-invalid") == "true"
        described = pilot.script("return arguments[0].getAttribute('aria-describedby').split(' ').at(-1)", field)
        assert "must be at least" in pilot.text(f"#{described}")
    pilot.click("world.pairs")
    assert "pairs" in pilot.focus()


@pytest.mark.parametrize("more", ["record: {window_slots: 50}\nkeep: 3", '{"record": {"window_slots": 50}, "keep": 3}'])
def test_what_has_no_field_is_said_in_words_and_taken_over_later(pilot: Pilot, service: Service, more: str) -> None:
    largest = 2**63 - 1
    pilot.open("#/new")
    pilot.choose("Scheme", "zhang2025/random")
    pilot.enter("seed", str(largest))
    pilot.enter("as YAML or JSON", more)
    pilot.enter("eval", "5")
    pilot.choose("placement", "in-process")
    pilot.click("Start the run")
    run = service.client.wait(_id(pilot))
    assert (run["seed"], run["config"]["keep"], run["config"]["record"]["window_slots"]) == (largest, 3, 50)
    pilot.open(f"#/new?like={run['id']}")
    assert pilot.labelled("Scheme").get_attribute("value") == "zhang2025/random"
    assert '"window_slots":50' in (pilot.labelled("as YAML or JSON").get_attribute("value") or "")


def test_only_schemes_that_fit_are_offered(pilot: Pilot) -> None:
    def offered(world: str) -> set[Any]:
        pilot.choose("World", world)
        return {option.get_attribute("value") for option in pilot.labelled("Scheme").find_elements("css selector", "*")}

    pilot.open("#/new")
    assert {str(name).partition("/")[0] for name in offered("conflict_graph")} == {"zhang2025"}
    assert {str(name).partition("/")[0] for name in offered("d2d_underlay")} == {"li2020"}


def test_a_run_that_waits_says_so_and_can_be_filtered_for(pilot: Pilot, service: Service) -> None:
    ids = [service.client.submit(LONG)["id"] for _ in range(3)]
    service.until_state(ids[1], "RUNNING")
    pilot.open(f"#/runs/{ids[2]}")
    pilot.sees("It waits until others have made room for it.")
    pilot.sees("Renderable as soon as a slot is done.")
    pilot.open()
    pilot.sees(ids[0].rpartition("-")[2], ".list")
    pilot.click("◷ pending", ".choice")
    pilot.until(lambda: [link.text for link in pilot.all(".list tbody a")] == [ids[2]])
    service.client.stop(ids[2])
    pilot.sees("No run is in these states.")

"""The page is accessible and fits a phone, in both themes."""

from collections.abc import Callable

import pytest

from tests.browser.page import Page

VIEWS: dict[str, Callable[[dict[str, str]], tuple[str, str]]] = {
    "runs": lambda ids: ("#/", ids["sla"].rpartition("-")[2]),
    "new": lambda _: ("#/new", "Start the run"),
    "cell": lambda ids: (f"#/runs/{ids['sla']}", "BS"),
    "graph": lambda ids: (f"#/runs/{ids['graph']}", "mutual conflict"),
    "compare": lambda ids: (f"#/compare?runs={ids['sla']},{ids['other seed']}", "had different channels"),
    "unknown": lambda _: ("#/nowhere", "All runs"),
    "no such run": lambda _: ("#/runs/none", "no run has the id"),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_accessible_and_fits_a_phone(page: Page, finished: dict[str, str], name: str, theme: str) -> None:
    view, words = VIEWS[name](finished)
    page.emulate(theme=theme)
    page.open(view)
    page.wait_for(words)
    page.script("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.accessibility_violations() == []
    page.emulate(theme=theme, width=400)
    assert page.script("return document.documentElement.scrollWidth") <= 400
    assert page.accessibility_violations() == []


def test_the_theme_is_kept_across_loads(page: Page) -> None:
    def background() -> str:
        colour: str = page.script("return getComputedStyle(document.documentElement).backgroundColor")
        return colour

    page.open()
    light = background()
    page.select("Theme", "dark")
    dark = background()
    assert light != dark
    page.open()
    assert background() == dark
    page.select("Theme", "auto")
    assert background() == light


def test_nothing_moves_with_reduced_motion(page: Page) -> None:
    page.open()
    script = "return getComputedStyle(document.querySelector('nav a')).transitionDuration"
    assert page.script(script) != "0s"
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    assert page.script(script) == "0s"


def test_charts_keep_their_height_when_the_window_is_resized(page: Page, finished: dict[str, str]) -> None:
    def sizes(selector: str) -> list[list[int]]:
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => [e.clientWidth, e.clientHeight])"
        found: list[list[int]] = page.script(script, selector)
        return found

    page.open(f"#/runs/{finished['sla']}")
    page.wait_until(lambda: len(sizes(".plot .main-svg:first-child")) == len(sizes(".plot:not([hidden])")) > 0)
    page.emulate(width=900)
    page.wait_until(lambda: sizes(".plot .main-svg:first-child") == sizes(".plot:not([hidden])"))
    assert {height for _, height in sizes(".plot:not([hidden])")} == {180, 280}

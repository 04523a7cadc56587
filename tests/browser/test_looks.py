"""How the page looks, and whom it keeps out."""

from collections.abc import Callable

import pytest

from tests.browser.pilot import Pilot

VIEWS: dict[str, Callable[[dict[str, str]], tuple[str, str]]] = {
    "runs": lambda ids: ("#/", ids["sla"].rpartition("-")[2]),
    "new": lambda _: ("#/new", "Start the run"),
    "cell": lambda ids: (f"#/runs/{ids['sla']}", "BS"),
    "graph": lambda ids: (f"#/runs/{ids['graph']}", "spoil each other"),
    "compare": lambda ids: (f"#/compare?runs={ids['sla']},{ids['other seed']}", "did not meet the same channels"),
    "nothing": lambda _: ("#/nowhere", "All runs"),
    "no such run": lambda _: ("#/runs/none", "no run has the id"),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_keeps_nobody_out_and_fits_a_phone(pilot: Pilot, ended: dict[str, str], name: str, theme: str) -> None:
    view, words = VIEWS[name](ended)
    pilot.dress(theme=theme)
    pilot.open(view)
    pilot.sees(words)
    pilot.script("for (const d of document.querySelectorAll('details')) d.open = true")
    assert pilot.grave_faults() == []
    pilot.dress(theme=theme, width=400)
    assert pilot.script("return document.documentElement.scrollWidth") <= 400
    assert pilot.grave_faults() == []


def test_the_theme_is_kept(pilot: Pilot) -> None:
    def ground() -> str:
        told: str = pilot.script("return getComputedStyle(document.documentElement).backgroundColor")
        return told

    pilot.open()
    light = ground()
    pilot.choose("Theme", "dark")
    dark = ground()
    assert light != dark
    pilot.open()
    assert ground() == dark
    pilot.choose("Theme", "auto")
    assert ground() == light


def test_who_wants_no_motion_gets_none(pilot: Pilot) -> None:
    pilot.open()
    script = "return getComputedStyle(document.querySelector('nav a')).transitionDuration"
    assert pilot.script(script) != "0s"
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    pilot.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    assert pilot.script(script) == "0s"

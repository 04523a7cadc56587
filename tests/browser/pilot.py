"""Who looks at the page: a browser without a screen, that sees, clicks, types, and waits for what is to come."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.service import Service as DriverService
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

WITHIN_S = 60.0
_MAX_TABS = 150
_GRAVE = ("serious", "critical")
_ABOUT_FOCUS = """
    const e = document.activeElement;
    const labels = [...(e.labels ?? [])].map((label) => label.textContent).join(" ");
    return [e.tagName, e.getAttribute("aria-label"), labels, e.textContent.slice(0, 200), e.id].join(" | ");
"""


class Pilot:
    """One browser, at one controller at a time."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.url = ""

    def open(self, view: str = "#/") -> None:
        """A view, from a page that is loaded anew."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/{view}")
        self.until(lambda: self.script("return document.querySelector('h1') !== null"))

    def script(self, text: str, *given: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(text, *given)

    def until(self, reached: Callable[[], Any]) -> Any:
        """What comes true within a while; what is redrawn meanwhile is looked at again."""
        passing = [StaleElementReferenceException, JavascriptException]
        try:
            return WebDriverWait(self.driver, WITHIN_S, 0.1, passing).until(lambda _: reached())
        except TimeoutException as error:
            told = f"{self.driver.current_url}\n{self.text()[:3000]}\n{self._logged()}"
            raise AssertionError(f"it did not come within {WITHIN_S:g} s; what is seen: {told}") from error

    def all(self, selector: str) -> list[WebElement]:
        """All elements, seen or not."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first element that is seen, as soon as there is one."""
        found: WebElement = self.until(lambda: next((e for e in self.all(selector) if e.is_displayed()), None))
        return found

    def text(self, selector: str = "body") -> str:
        """What stands there, as it is seen."""
        told: str = self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return told

    def sees(self, words: str, selector: str = "body") -> None:
        """Wait for words."""
        self.until(lambda: words in self.text(selector))

    def click(self, words: str, selector: str = "button, a, summary") -> None:
        """What bears these words."""
        self.until(lambda: self._clicked(words, selector))

    def _clicked(self, words: str, selector: str) -> bool:
        found = [e for e in self.all(selector) if e.is_displayed() and e.text.strip().startswith(words)]
        if found:
            self.script("arguments[0].scrollIntoView({block: 'center'})", found[-1])
            found[-1].click()
        return bool(found)

    def labelled(self, label: str) -> WebElement:
        """The field whose label begins so."""
        script = """
            const labels = [...document.querySelectorAll("label")];
            const label = labels.find((one) => one.textContent.trim().startsWith(arguments[0]));
            return label ? label.control : null;
        """
        found: WebElement = self.until(lambda: self.script(script, label))
        return found

    def enter(self, label: str, words: str) -> None:
        """Into a field, in place of what is there."""
        field = self.labelled(label)
        self.script("arguments[0].closest('details')?.setAttribute('open', '')", field)
        field.clear()
        field.send_keys(words)

    def choose(self, label: str, value: str) -> None:
        """An option of a field."""
        option = self.labelled(label).find_element(By.CSS_SELECTOR, f"option[value='{value}']")
        option.click()

    # by keyboard alone

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def focus(self) -> str:
        """What the focused element is, in words."""
        told: str = self.script(_ABOUT_FOCUS)
        return told

    def tab_to(self, words: str) -> None:
        """Tab until the focus is on what bears these words."""
        seen: list[str] = []
        for _ in range(_MAX_TABS):
            if words in self.focus():
                return
            seen.append(self.focus())
            self.press(Keys.TAB)
        raise AssertionError(f"no way by Tab to {words!r}; on it: {seen}")

    # how it looks

    def dress(self, *, theme: str = "light", width: int = 1280) -> None:
        """The theme of the system, and the width of the window in pixels."""
        features = [{"name": "prefers-color-scheme", "value": theme}]
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def grave_faults(self) -> list[str]:
        """What axe-core finds that keeps people out."""
        if not self.script("return 'axe' in window"):
            self.script(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8"))
        script = (
            "axe.run(document, {resultTypes: ['violations']}).then(arguments[0], (e) => arguments[0]({error: `${e}`}))"
        )
        told: dict[str, Any] = self.driver.execute_async_script(script)
        return [
            f"{fault['id']}: {node['html']} {node['failureSummary']}"
            for fault in told["violations"]
            if fault["impact"] in _GRAVE
            for node in fault["nodes"]
        ]

    def complaints(self) -> list[str]:
        """What stands in the console since it was asked for last; not that a server did not answer well."""
        return [
            entry["message"] for entry in self._logged() if entry["level"] == "SEVERE" and entry["source"] != "network"
        ]

    def _logged(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return told


@contextmanager
def piloting() -> Iterator[Pilot]:
    """A browser, closed at the end."""
    options = webdriver.ChromeOptions()
    options.binary_location = _installed("chromium", "CHROMIUM")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=DriverService(_installed("chromedriver", "CHROMEDRIVER")))
    try:
        yield Pilot(driver)
    finally:
        driver.quit()


def _installed(name: str, variable: str) -> str:
    path = os.environ.get(variable) or shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed: apt-get install chromium chromium-driver, or set {variable}")
    return path

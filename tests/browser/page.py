"""A page object: a headless Chromium that reads, clicks and types, and waits for what it expects."""

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

TIMEOUT_S = 60.0
_MAX_TABS = 150
_BARRIERS = ("serious", "critical")
_FOCUSED = """
    const e = document.activeElement;
    const labels = [...(e.labels ?? [])].map((label) => label.textContent).join(" ");
    return [e.tagName, e.getAttribute("aria-label"), labels, e.textContent.slice(0, 200), e.id].join(" | ");
"""


class Page:
    """The browser's one tab, at the controller `url`."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.url = ""

    def open(self, view: str = "#/") -> None:
        """Load the page anew, at a view."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/{view}")
        self.wait_until(lambda: self.script("return document.querySelector('h1') !== null"))

    def script(self, text: str, *arguments: Any) -> Any:
        """The result of a script."""
        return self.driver.execute_script(text, *arguments)

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """The first true value of the condition; elements that are redrawn meanwhile are found again."""
        transient = [StaleElementReferenceException, JavascriptException]
        try:
            return WebDriverWait(self.driver, TIMEOUT_S, 0.1, transient).until(lambda _: condition())
        except TimeoutException as error:
            shown = f"{self.driver.current_url}\n{self.text()[:3000]}\n{self._log()}"
            raise AssertionError(f"the condition was not met within {TIMEOUT_S:g} s on {shown}") from error

    def all(self, selector: str) -> list[WebElement]:
        """All elements, visible or not."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first visible element, as soon as there is one."""
        found: WebElement = self.wait_until(lambda: next((e for e in self.all(selector) if e.is_displayed()), None))
        return found

    def text(self, selector: str = "body") -> str:
        """An element's visible text; "" if there is no such element."""
        text: str = self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return text

    def wait_for(self, words: str, selector: str = "body") -> None:
        """Wait until an element's visible text contains these words."""
        self.wait_until(lambda: words in self.text(selector))

    def click(self, words: str, selector: str = "button, a, summary") -> None:
        """Click the last visible element whose text begins with these words."""
        self.wait_until(lambda: self._click_now(words, selector))

    def _click_now(self, words: str, selector: str) -> bool:
        found = [e for e in self.all(selector) if e.is_displayed() and e.text.strip().startswith(words)]
        if found:
            self.script("arguments[0].scrollIntoView({block: 'center'})", found[-1])
            found[-1].click()
        return bool(found)

    def field(self, label: str) -> WebElement:
        """The form control whose label begins with this text."""
        script = """
            const labels = [...document.querySelectorAll("label")];
            const label = labels.find((one) => one.textContent.trim().startsWith(arguments[0]));
            return label ? label.control : null;
        """
        found: WebElement = self.wait_until(lambda: self.script(script, label))
        return found

    def type(self, label: str, words: str) -> None:
        """Replace the text of a field."""
        field = self.field(label)
        self.script("arguments[0].closest('details')?.setAttribute('open', '')", field)
        field.clear()
        field.send_keys(words)

    def select(self, label: str, value: str) -> None:
        """Select an option of a field."""
        option = self.field(label).find_element(By.CSS_SELECTOR, f"option[value='{value}']")
        option.click()

    # keyboard

    def press(self, *keys: str) -> None:
        """Send keys to the focused element."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> str:
        """The focused element: tag, label, text and id."""
        found: str = self.script(_FOCUSED)
        return found

    def tab_to(self, words: str) -> None:
        """Press Tab until the description of the focused element contains these words."""
        seen: list[str] = []
        for _ in range(_MAX_TABS):
            if words in self.focused():
                return
            seen.append(self.focused())
            self.press(Keys.TAB)
        raise AssertionError(f"Tab does not reach {words!r}; it reached {seen}")

    # appearance

    def emulate(self, *, theme: str = "light", width: int = 1280) -> None:
        """Set the system's theme, and the window's width in pixels."""
        features = [{"name": "prefers-color-scheme", "value": theme}]
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def accessibility_violations(self) -> list[str]:
        """Serious and critical violations that axe-core finds."""
        if not self.script("return 'axe' in window"):
            self.script(files("axe_core_python").joinpath("axe.min.js").read_text("utf-8"))
        script = (
            "axe.run(document, {resultTypes: ['violations']}).then(arguments[0], (e) => arguments[0]({error: `${e}`}))"
        )
        report: dict[str, Any] = self.driver.execute_async_script(script)
        return [
            f"{violation['id']}: {node['html']} {node['failureSummary']}"
            for violation in report["violations"]
            if violation["impact"] in _BARRIERS
            for node in violation["nodes"]
        ]

    def console_errors(self) -> list[str]:
        """Errors in the console since the last call, except responses with an error status."""
        return [
            entry["message"] for entry in self._log() if entry["level"] == "SEVERE" and entry["source"] != "network"
        ]

    def _log(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return entries


@contextmanager
def launched() -> Iterator[Page]:
    """A browser, which is closed at the end."""
    options = webdriver.ChromeOptions()
    options.binary_location = _installed("chromium", "CHROMIUM")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=DriverService(_installed("chromedriver", "CHROMEDRIVER")))
    try:
        yield Page(driver)
    finally:
        driver.quit()


def _installed(name: str, variable: str) -> str:
    path = os.environ.get(variable) or shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed: apt-get install chromium chromium-driver, or set {variable}")
    return path

"""A browser that tests drive: what it shows, what its console says, which hosts it asks, which barriers it has."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.system.service import wait_until

CHROMIUM, DRIVER = "chromium", "chromedriver"
MISSING = "These tests need a browser: apt-get install chromium chromium-driver"
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_FASTER = "{ const slow = setInterval; window.setInterval = (work, ms) => slow(work, ms / 20); }"
"""Lets the pages ask every half second instead of every ten."""


@cache
def _axe() -> str:
    return (Path(__file__).parent / "axe" / "axe.min.js").read_text()


class Browser:
    """A browser with an empty profile; `url` is the service that it looks at."""

    def __init__(self, url: str, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which(CHROMIUM) or ""
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(shutil.which(DRIVER))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.url = url
        self._cdp("Page.addScriptToEvaluateOnNewDocument", source=_FASTER)
        self.show()

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()

    def show(self, width: int = 1280, theme: str = "light", height: int = 900) -> None:
        """Set the size of the window, in CSS pixels, and the colours that the system prefers."""
        self._cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def run_scripts(self, are_run: bool) -> None:
        """Switch the scripts of pages off, or on again."""
        self._cdp("Emulation.setScriptExecutionDisabled", value=not are_run)

    def be_in(self, timezone: str) -> None:
        """Move the browser to a time zone, "" for that of the machine."""
        self._cdp("Emulation.setTimezoneOverride", timezoneId=timezone)

    def sign_in(self, key: str, path: str = "/ui/login") -> None:
        """Open a session with a key, by the form that `path` leads to."""
        self.open(path)
        self.one("input[name=key]").send_keys(key)
        self.one("main form button").click()

    def open(self, path: str) -> None:
        """Go to a page."""
        self.driver.get(self.url + path)

    @property
    def path(self) -> str:
        """The path and the query of the page that is shown."""
        parts = urlsplit(self.driver.current_url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    @property
    def text(self) -> str:
        """What can be seen."""
        return self.one("body").text

    def one(self, selector: str) -> WebElement:
        """Return the first element that a selector finds, once it is there."""
        return wait_until(lambda: next(iter(self.all(selector)), None), 10)

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements that a selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def rows(self) -> list[str]:
        """Return the ids of the rows of the list, all read at once: the page may be loaded anew at any time."""
        ids: list[str] = self.ask("[...document.querySelectorAll('tr[data-id]')].map((row) => row.dataset.id)")
        return ids

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def ask(self, script: str) -> Any:
        """Return what an expression of JavaScript is."""
        return self.driver.execute_script(f"return {script}")

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def barriers(self, of_colours_alone: bool = False) -> list[str]:
        """Return what axe-core finds wrong with the page: rules with the elements that break them."""
        self.driver.execute_script(_axe())
        options: dict[str, Any] = {
            "resultTypes": ["violations"],
            "preload": False,
            "rules": {"target-size": {"enabled": True}},
        }
        if of_colours_alone:
            options["runOnly"] = ["color-contrast", "link-in-text-block"]
            del options["rules"]
        found = self.driver.execute_async_script(
            f"const done = arguments[0]; axe.run(document, {json.dumps(options)}).then((each) => done(each.violations))"
        )
        return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]

    def complaints(self) -> list[str]:
        """Return what the console says since the last call, less the statuses of pages that are errors by intent."""
        messages = [str(each["message"]) for each in self._log("browser")]
        return [each for each in messages if "Failed to load resource" not in each]

    def hosts(self) -> set[str]:
        """Return the hosts that were asked since the last call."""
        messages = [json.loads(each["message"])["message"] for each in self._log("performance")]
        urls = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return {urlsplit(url).netloc for url in urls} - {""}

    def _log(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log(name)  # type: ignore[no-untyped-call]
        return found

    def _cdp(self, command: str, **parameters: Any) -> None:
        self.driver.execute_cdp_cmd(command, parameters)

"""A headless Chromium for the tests of a page, started once in a process, when first asked for."""

import atexit
from base64 import b64decode
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

from tests.processes import PATIENCE, program

T = TypeVar("T")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip


class Browser:
    """Chromium, and how tests look at a page."""

    def __init__(self) -> None:
        self._profile = TemporaryDirectory(ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = program("chromium")
        for flag in (*FLAGS, f"--user-data-dir={self._profile.name}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # With the driver's path given, selenium looks for none on the net.
        self.driver = webdriver.Chrome(options, Service(program("chromedriver")))

    def close(self) -> None:
        """End it."""
        self.driver.quit()
        self._profile.cleanup()

    def open(self, url: str, width: int = 1280, height: int = 900, scale: float = 1) -> None:
        """Load a page into a window of a size in CSS pixels."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=False,
        )  # fmt: skip
        self.driver.get(url)

    def picture(self, path: Path) -> None:
        """Write what the window shows to a file, as WebP."""
        shot = self.command("Page.captureScreenshot", format="webp", quality=60)
        path.write_bytes(b64decode(shot["data"]))

    def leave(self) -> None:
        """Show nothing, and forget what the console has."""
        self.driver.get("about:blank")
        self.console()

    def command(self, name: str, **parameters: object) -> Any:
        """Give a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def ask(self, script: str, *arguments: object) -> Any:
        """Return what JavaScript returns."""
        return self.driver.execute_script(f"return {script}", *arguments)

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element, all as they are at one moment."""
        texts: list[str] = self.ask(
            "[...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector
        )
        return texts

    def wait(self, look: Callable[[], T]) -> T:
        """Wait until something is so, and return it."""
        return WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda _: look())

    def console(self) -> list[str]:
        """Return what has been written to its console since this was asked for last."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@cache
def browser() -> Browser:
    """Start it, or return the one that runs; it ends with the process."""
    started = Browser()
    atexit.register(started.close)
    return started

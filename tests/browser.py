"""A real browser for tests of pages: Debian's chromium, driven by selenium.

`KGREC_REQUIRE_BROWSER=1` makes a missing browser a failure instead of a skip.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

REQUIRED = os.environ.get("KGREC_REQUIRE_BROWSER") == "1"
MISSING = "no browser here: apt-get install chromium chromium-driver"

#: What a person with the page open would see is wrong.
_SPILLS = """
return [...document.querySelectorAll('body *')].filter(e => {
  for (let p = e.parentElement; p; p = p.parentElement)
    if (getComputedStyle(p).overflowX !== 'visible' && p !== document.documentElement) return false;
  return e.getBoundingClientRect().right > innerWidth + 1;
}).map(e => e.tagName);
"""


def paths() -> tuple[str | None, str | None]:
    """The browser and its driver."""
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    return browser, shutil.which("chromedriver")


@contextmanager
def opened(page: Path, width: int, *, dark: bool = False, settle: float = 0.0) -> Iterator[Any]:
    """A page in a browser of some width."""
    browser, driver = paths()
    if browser is None or driver is None:
        (pytest.fail if REQUIRED else pytest.skip)(MISSING)
    options = webdriver.ChromeOptions()
    options.binary_location = str(browser)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     "--hide-scrollbars", f"--window-size={max(width, 500)},900"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    try:
        chrome.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        chrome.get(page.resolve().as_uri())
        time.sleep(settle)
        yield chrome
    finally:
        chrome.quit()


def complaints(chrome: Any) -> list[str]:
    """What the browser wrote to its console."""
    return [entry["message"] for entry in chrome.get_log("browser")]


def requested(chrome: Any) -> set[str]:
    """The schemes of everything that was asked for since the page was opened."""
    messages = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages
            if m["method"] == "Network.requestWillBeSent"]  # fmt: skip
    return {url.partition(":")[0] for url in urls}


def spills(chrome: Any) -> list[str]:
    """Elements that reach over the right edge and cannot be scrolled by themselves."""
    found: list[str] = chrome.execute_script(_SPILLS)
    wide = chrome.execute_script("return document.documentElement.scrollWidth > innerWidth")
    return [*found, "page"] if wide else found


def sizes(chrome: Any, selector: str) -> list[tuple[float, float]]:
    """Width and height of every element of a selector."""
    script = (
        "return [...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect())"
        ".map(r => [r.width, r.height])"
    )
    return [tuple(both) for both in chrome.execute_script(script, selector)]

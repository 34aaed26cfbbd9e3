"""A headless Chromium that reaches no host, and what went wrong in it."""

import json
import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"
INSIDE = ("data", "blob", "about")
# The report's page says these of the libraries that it carries; they are no errors.
EXCUSED = ("cdn.tailwindcss.com should not be used in production", "The input spec uses Vega-Lite")


def missing() -> str:
    """Return what to install before pages can be looked at; nothing where all is there."""
    if any(map(shutil.which, BROWSERS)) and shutil.which(DRIVER):
        return ""
    return "The pages are looked at in Chromium, which is not installed here. On Debian: apt-get install chromium chromium-driver"


class Chromium:
    """A browser with an empty profile of its own."""

    def __init__(self, profile: Path) -> None:
        os.environ["SE_OFFLINE"] = "true"
        options = webdriver.ChromeOptions()
        options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which(DRIVER)))
        self.driver.get("about:blank")

    def open(self, page: Path, width: int = 1200, height: int = 900) -> "Chromium":
        """Open a file; what went wrong before is forgotten."""
        self.driver.switch_to.default_content()
        self.resize(width, height)
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(page.as_uri())
        return self

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def run(self, script: str, *arguments):
        """Return what a script returns."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def wait(self, selector: str) -> WebElement:
        """Return the first element that a CSS selector finds, once there is one."""
        return WebDriverWait(self.driver, 20).until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector))

    def wait_for(self, xpath: str) -> WebElement:
        """Return the first shown element that an XPath finds, once there is one."""

        def shown(driver):
            return next((found for found in driver.find_elements(By.XPATH, xpath) if found.is_displayed()), None)

        return WebDriverWait(self.driver, 20).until(shown)

    def faults(self) -> list[str]:
        """Return what the page since it was opened complained of, and what it wanted from outside its folder."""
        return [*self._complaints(), *self._foreign()]

    def _complaints(self) -> list[str]:
        said = [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        return [entry["message"] for entry in said if not any(words in entry["message"] for words in EXCUSED)]

    def _foreign(self) -> list[str]:
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        failed = [m["params"]["errorText"] for m in messages if m["method"] == "Network.loadingFailed"]
        folder = Path(urlsplit(self.driver.current_url).path).parent.as_posix()
        foreign = [url for url in sent if urlsplit(url).scheme not in INSIDE and not _within(url, folder)]
        return [*(f"fetched {url}" for url in foreign), *(f"failed: {text}" for text in failed)]


def _within(url: str, folder: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "file" and parts.path.startswith(folder)

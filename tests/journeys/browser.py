"""Chromium on a live platform: pages as people see them.

def test_…(site):                      # the platform with an administrator, and pages of a browser
    page = site.sign_in()              # a page that is signed in, at the overview
    page.goto(site.url("/devices/"))
    axe(page)                          # no serious finding of accessibility
    shot(page, "devices")              # .run/screenshots/devices-{light,dark}-{1280,360}.png
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from iotplatform.env import BASE_DIR
from iotplatform.launcher import frontend, static
from tests.live import LivePlatform

__all__ = ["PASSWORD", "Site", "axe", "chromium", "open_site", "shot"]

PASSWORD = "correct-horse-battery"
SCREENSHOTS = BASE_DIR / ".run" / "screenshots"
_AXE = BASE_DIR / "iotplatform/dashboard/assets/node_modules/axe-core/axe.min.js"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MS = 15_000
_WIDTHS = {1280: 900, 360: 740}


def chromium() -> str:
    """Where the machine's Chromium is. Where there is none: in CI a RuntimeError, elsewhere the test is left out."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found:
        return found
    missing = "These tests need Chromium: install it (apt-get install chromium), or name it with CHROMIUM=."
    if os.environ.get("CI") == "true":
        raise RuntimeError(missing)
    pytest.skip(missing)


class Site:
    """A running platform and a browser that looks at it."""

    def __init__(self, platform: LivePlatform, browser: Browser) -> None:
        self.platform = platform
        self.browser = browser
        self._contexts: dict[str, BrowserContext] = {}

    def url(self, path: str) -> str:
        return self.platform.url + path

    def sign_in(self, user: str = "admin", password: str = PASSWORD) -> Page:
        """A new page of this person, at the overview. Whatever a script complains of fails the test that closes it."""
        if user not in self._contexts:
            self._contexts[user] = self.browser.new_context(
                viewport={"width": 1280, "height": 900}, timezone_id="Europe/Berlin", locale="en-GB"
            )
            self._contexts[user].grant_permissions(["clipboard-read", "clipboard-write"])
            self._contexts[user].set_default_timeout(_MS)
        page = self._contexts[user].new_page()
        page.complaints = []  # type: ignore[attr-defined]
        page.on("pageerror", lambda error: page.complaints.append(str(error)))  # type: ignore[attr-defined]
        page.on(
            "console",
            lambda said: page.complaints.append(said.text) if "Content Security Policy" in said.text else None,  # type: ignore[attr-defined]
        )
        page.goto(self.url("/"))
        if "/login/" in page.url:
            page.fill("#id_username", user)
            page.fill("#id_password", password)
            page.click("button[type=submit]")
            page.wait_for_url(lambda url: "/login/" not in url)
        return page

    def close(self) -> None:
        for context in self._contexts.values():
            context.close()


@contextmanager
def open_site(**settings: str) -> Iterator[Site]:
    """A platform of its own with the user `admin` / PASSWORD, and a headless Chromium."""
    program = chromium()
    frontend.ensure()
    with (
        tempfile.TemporaryDirectory(prefix="iot-pages-", dir="/tmp") as folder,
        _platform(Path(folder) / "run", settings) as platform,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        site = Site(platform, browser)
        try:
            yield site
        finally:
            site.close()
            browser.close()


@contextmanager
def _platform(run_dir: Path, settings: dict[str, str]) -> Iterator[LivePlatform]:
    platform = LivePlatform(run_dir, DJANGO_SUPERUSER_PASSWORD=PASSWORD, **settings)
    if not static.is_current(BASE_DIR):
        platform.servers.start()
        try:
            platform.environment = platform._environment()
            platform.manage("collectstatic", "--noinput", "--verbosity", "0")
        finally:
            platform.servers.stop()
        static.mark_current(BASE_DIR)
    try:
        platform.start()
        platform.manage("ensure_admin")
        yield platform
    finally:
        platform.stop()


def axe(page: Page, *ignored: str) -> None:
    """Fails where axe-core finds something serious or critical (WCAG 2.1 A and AA)."""
    # Read as the test's own tool: the page's policy allows no script from elsewhere.
    page.evaluate(_AXE.read_text())
    found: Any = page.evaluate(
        """async (ignored) => (await axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
            rules: Object.fromEntries(ignored.map((id) => [id, {enabled: false}])),
        })).violations.filter((each) => ["serious", "critical"].includes(each.impact))
           .map((each) => `${each.id}: ${each.help}: ` + each.nodes.slice(0, 4).map((node) => node.html.slice(0, 160)
             + " — " + node.any.map((any) => any.message).join("; ")).join(" | "))""",
        list(ignored),
    )
    assert not found, f"{page.url}:\n" + "\n".join(found)


def shot(page: Page, name: str, *, check: bool = True) -> list[Path]:
    """Screenshots of the whole page in both schemes and widths; each must fit its width and pass `axe`."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    made = []
    for width, height in _WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.wait_for_function("scheme => document.documentElement.dataset.bsTheme === scheme", arg=scheme)
            made.append(SCREENSHOTS / f"{name}-{scheme}-{width}.png")
            page.screenshot(path=made[-1], full_page=True)
            # Each scheme and each width once: what axe finds depends on one of them, hardly ever on both.
            if check and (scheme == "light") == (width == 1280):
                axe(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{page.url} is {wide} px wide where there are {width}"
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    complaints = getattr(page, "complaints", [])
    assert not complaints, complaints
    return made

"""The two screenshots of the README, made anew: `make screenshots`.

A platform of its own with the simulated fleet, and beside it a plant whose last six hours are told by formulas.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Page

from iotplatform.env import BASE_DIR
from tests.journeys.browser import Site, open_site

_FOLDER = BASE_DIR / "docs" / "screenshots"
_API = "/static/dashboard/js/api.js"
_STEP = timedelta(seconds=30)
_SPAN = timedelta(hours=6)
_FLEET_SECONDS = 75
_METRICS = [
    {"name": "temperature", "unit": "°C", "low": -40, "high": 150, "expected_interval": 30},
    {"name": "pressure", "unit": "bar", "low": 0, "high": 16, "expected_interval": 30},
    {"name": "vibration", "unit": "mm/s", "low": 0, "high": 50, "expected_interval": 30},
    {"name": "running", "kind": "boolean", "expected_interval": 30},
]


def main() -> None:
    """Write docs/screenshots/overview.png and device.png."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with open_site(SIMULATOR="on", SIMULATOR_RATE="120") as site:
        page = site.sign_in()
        keys = _plant(site, page)
        page.goto(site.url("/"))
        page.locator("#overview [data-row]").nth(3).wait_for()
        # The fleet needs a while until its rate and its latency can be drawn.
        page.wait_for_timeout(_FLEET_SECONDS * 1000)
        for number, key in keys.items():
            last = {name: column[-1] for name, column in _measured(number)["metrics"].items()}
            site.platform.post({"metrics": last}, key, "?wait=5")
        page.wait_for_timeout(8000)
        _take(page, "overview", height=560)
        page.goto(site.url("/devices/pump-3/?range=6h"))
        page.get_by_role("img", name="temperature").first.wait_for()
        page.locator(".chart canvas").nth(2).wait_for()
        page.wait_for_timeout(1000)
        _take(page, "device", dark=True)


def _take(page: Page, name: str, *, height: int = 800, dark: bool = False) -> None:
    page.set_viewport_size({"width": 1280, "height": height})
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.wait_for_timeout(500)
    page.screenshot(path=_FOLDER / f"{name}.png")


def _plant(site: Site, page: Page) -> dict[int, str]:
    """Six pumps, their thresholds, and what they measured until now; the keys by their number."""
    keys = {}
    ask(page, "groups", {"path": "plant/hall-1"})
    ask(page, "device-types", {"name": "pump", "metrics": _METRICS})
    for name, metric, condition, severity, trigger, clear in (
        ("Bearing hot", "temperature", "above", "major", 78, 74),
        ("Bearing warm", "temperature", "above", "warning", 70, 68),
        ("Vibrates", "vibration", "above", "critical", 11, 9),
        ("Pressure low", "pressure", "below", "info", 6, 6.2),
    ):
        level = {"severity": severity, "trigger": trigger, "clear": clear}
        body = {
            "name": name,
            "scope": {"device_type": "pump"},
            "metric": metric,
            "condition": condition,
            "levels": [level],
        }
        ask(page, "thresholds", body)
    for number in range(1, 7):
        device = {
            "name": f"pump-{number}",
            "type": "pump",
            "group": "plant/hall-1",
            "labels": {"zone": "Europe/Berlin"},
        }
        ask(page, "devices", device | {"location": f"Hall 1, bay {number}"})
        keys[number] = site.platform.provision(f"pump-{number}", "--type", "pump")
        answer = site.platform.post(_measured(number), keys[number], "?wait=5")
        assert answer.status in (200, 202), answer.body
    return keys


def _measured(number: int) -> dict[str, Any]:
    end = datetime.now(UTC)
    count = int(_SPAN / _STEP)
    columns: dict[str, list[Any]] = {"temperature": [], "pressure": [], "vibration": [], "running": []}
    times = []
    for step in range(count):
        if number == 3 and 290 < step < 330:
            continue  # a gap, as networks make them
        times.append((end - (count - step) * _STEP).isoformat())
        wave, noise = math.sin(step / 70 + number), math.sin(step * 12.9898 * number) * math.cos(step * 4.1414)
        peak = 16 * math.exp(-(((step - 240 - 60 * number) / 45) ** 2)) if number in (3, 5) else 0
        rise = 22 * max(0, step - 620) / 100 if number == 3 else 0
        columns["temperature"].append(round(62 + 4 * wave + 0.9 * noise + peak + rise, 2))
        columns["pressure"].append(round(6.2 + 0.5 * wave - 0.1 * noise, 3))
        columns["vibration"].append(round(4 + abs(wave) + 0.6 * noise + (8 if number == 5 and step > 690 else 0), 2))
        columns["running"].append(not 120 < step < 140)
    return {"times": times, "metrics": columns}


def ask(page: Page, path: str, body: Any) -> None:
    """POST to the REST API with the session of the page."""
    page.evaluate(f"async ([path, body]) => (await import('{_API}')).post(path, body)", [f"/api/v1/{path}", body])


if __name__ == "__main__":
    main()

"""Every recipe of the cookbook is taken by a running platform, and opens what it says over the readings it shows."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iotplatform.env import BASE_DIR
from tests.alerts.receivers import SECRET
from tests.faults.alert_admin import SETTINGS, Admin
from tests.live import LivePlatform

COOKBOOK = (BASE_DIR / "docs" / "cookbook.md").read_text()
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_SAYS = re.compile(r"^Opens(?: nothing| and clears: (\w+)|: (\w+))\.$", re.MULTILINE)
_PUMP = '"pump-7"'


@dataclass(frozen=True)
class Recipe:
    """A heading with what it posts, the readings it shows and the sentence below them."""

    title: str
    body: str
    readings: str
    says: str

    @property
    def route(self) -> str:
        keys = json.loads(self.body).keys()
        chosen = {"condition": "thresholds", "reason": "silences", "kind": "channels", "channels": "routes"}
        return next((route for key, route in chosen.items() if key in keys), "devices")


def recipes() -> list[Recipe]:
    found = []
    for part in COOKBOOK.split("\n### ")[1:]:
        title, _, text = part.partition("\n")
        blocks = re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        said = _SAYS.search(text)
        if blocks:
            found.append(Recipe(title, blocks[0], blocks[1] if len(blocks) > 1 else "", said[0] if said else ""))
    return found


def test_there_are_recipes_and_readings_say_what_comes_of_them() -> None:
    known = recipes()
    assert sum(recipe.route == "thresholds" for recipe in known) >= 15
    assert all(bool(recipe.readings) == bool(recipe.says) for recipe in known)


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[Admin, LivePlatform]]:
    with (
        tempfile.TemporaryDirectory(prefix="iot-docs-", dir="/tmp") as folder,
        LivePlatform(Path(folder) / "run", **SETTINGS) as platform,
    ):
        admin = Admin(platform)
        admin.make("groups", {"path": "plant/hall-1"})
        admin.make("device-types", {"name": "pump"})
        admin.make("devices", {"name": "gateway-1"})
        config = {"url": "https://hooks.example.org/", "secret": SECRET}
        admin.make("channels", {"name": "boss", "kind": "webhook", "config": config})
        yield admin, platform


@pytest.mark.slow
def test_every_recipe_is_taken_and_does_what_it_says(site: tuple[Admin, LivePlatform]) -> None:
    admin, _ = site
    last = 0
    for number, recipe in enumerate(recipes()):
        name = f"pump-7-{number}"
        admin.make("devices", {"name": name, "type": "pump", "group": "plant/hall-1"})
        # Of each recipe's readings only its own device knows.
        body = moved(recipe.body.replace(_PUMP, f'"{name}"'), timedelta(hours=8))
        if "overrides" in body:
            body["overrides"] = last
        made = admin.make(recipe.route, body)
        if recipe.route == "thresholds":
            last = made["id"]
        if recipe.readings:
            send(site, name, moved(recipe.readings.replace(_PUMP, f'"{name}"'), timedelta()), recipe.title)
            (alert,) = admin.look(f"alerts?device={name}&threshold={last}")["results"] or [None]
            check(alert, recipe)


def moved(text: str, ahead: timedelta) -> Any:
    """The JSON, with its times moved so that the last one is now (or as far ahead)."""
    times = [datetime.fromisoformat(found) for found in _TIME.findall(text)]
    if times:
        by = datetime.now(UTC).replace(microsecond=0) + ahead - max(times)
        text = _TIME.sub(lambda found: (datetime.fromisoformat(found[0]) + by).isoformat(), text)
    return json.loads(text)


def send(site: tuple[Admin, LivePlatform], device: str, readings: Any, title: str) -> None:
    admin, platform = site
    key = admin.make(f"devices/{device}/keys", {"name": "cookbook"})["key"]
    answer = platform.post(readings, key, "?wait=5")
    assert (answer.status, answer.json()["state"]) == (200, "stored"), f"{title}: {answer.body!r}"


def check(alert: Any, recipe: Recipe) -> None:
    match = _SAYS.search(recipe.says)
    assert match
    cleared, opened = match.groups()
    if not (cleared or opened):
        assert alert is None, recipe.title
        return
    assert alert is not None, f"{recipe.title}: nothing opened"
    assert alert["highest_severity"] == (cleared or opened), recipe.title
    assert alert["state"] == ("cleared" if cleared else "open"), recipe.title

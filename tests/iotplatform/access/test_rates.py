"""How often the API may be asked."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import redis
from django.core.cache import cache

from iotplatform.access import rates
from telemetry.models import DeviceKey
from telemetry.receipts import Receipt
from tests.telemetry.api.conftest import api_of, person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def few(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PLATFORM = dataclasses.replace(settings.PLATFORM, api_rate_limit=3, api_anonymous_rate_limit=2)
    # In the middle of a minute, whatever the clock says.
    monkeypatch.setattr(rates.time, "time", lambda: 1_795_000_010.0)
    cache.clear()


def test_answers_say_what_is_left_and_beyond_it_comes_429() -> None:
    api = api_of(person("ada", "view_device"))
    answers = [api.get("devices") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert refused.headers["RateLimit-Limit"] == "3"
    assert refused.headers["RateLimit-Policy"] == '"requests";q=3;w=60'
    assert refused.headers["RateLimit"] == f'"requests";r=0;t={refused.headers["Retry-After"]}'
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_each_person_key_and_address_is_counted_alone() -> None:
    ada, eve = (api_of(person(name, "view_device")) for name in ("ada", "eve"))
    device, stranger = api_of(None), api_of(None)
    key = DeviceKey(all_devices=True)
    device.headers["Authorization"] = f"Bearer {key.issue()}"
    for _ in range(4):
        last = ada.get("devices")
    assert last.status == 429
    assert eve.get("devices").headers["RateLimit-Remaining"] == "2"
    receipt = Receipt(key.pk, 0, 1, 0, "x", ()).token()
    assert device.get(f"receipts/{receipt}").headers["RateLimit-Remaining"] == "2"
    tries = [stranger.post("auth/token", {}).status for _ in range(3)]
    assert tries[-1] == 429


def test_a_cache_that_is_down_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Down:
        def pipeline(self, **_: Any) -> Any:
            raise redis.ConnectionError("down")

    monkeypatch.setattr(rates, "_client", Down)
    monkeypatch.setattr(rates, "_down_until", 0.0)
    api = api_of(person("ada", "view_device"))
    assert [api.get("devices").status for _ in range(5)] == [200] * 5

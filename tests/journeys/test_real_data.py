"""A real machine's temperatures of 79 days through the public API: every one stored once, and read back as it was."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from iotplatform.env import BASE_DIR
from tests.builders import make_device, make_key, post_readings

_FILE = BASE_DIR.parent / "shared" / "data" / "nab" / "machine_temperature_system_failure.csv"
_ROWS, _TIMES = 22_695, 22_683


def readings() -> list[dict[str, Any]]:
    with _FILE.open() as file:
        return [
            {"time": row["timestamp"].replace(" ", "T") + "Z", "metrics": {"temperature": float(row["value"])}}
            for row in csv.DictReader(file)
        ]


def send(key: str, drain: Callable[[], int]) -> dict[str, int]:
    """All of them, 1,000 a request; the sums of the receipts."""
    rows = readings()
    receipts = []
    for start in range(0, len(rows), 1000):
        answer = post_readings(key, rows[start : start + 1000])
        assert answer.status_code == 202, answer.content
        receipts.append(answer.json()["receipt"])
    drain()
    states = [Client().get(f"/api/v1/receipts/{each}", HTTP_AUTHORIZATION=f"Bearer {key}").json() for each in receipts]
    assert {state["state"] for state in states} == {"stored"}
    return {name: sum(state[name] for state in states) for name in ("accepted", "stored", "duplicates", "rejected")}


def pages(client: Client, url: str) -> Iterator[dict[str, Any]]:
    while url:
        page = client.get(url).json()
        yield from page["results"]
        url = page["next"]


def test_a_real_file_is_stored_once_however_often_it_is_sent(drain: Callable[[], int]) -> None:
    key = make_key(make_device("machine"), backfill=True)
    assert send(key, drain) == {"accepted": _ROWS, "stored": _TIMES, "duplicates": _ROWS - _TIMES, "rejected": 0}
    assert send(key, drain) == {"accepted": _ROWS, "stored": 0, "duplicates": _ROWS, "rejected": 0}

    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    found = list(pages(client, "/api/v1/readings?device=machine&metric=temperature&limit=5000"))
    first: dict[str, float] = {}
    for reading in readings():
        first.setdefault(reading["time"], reading["metrics"]["temperature"])
    times = [each["time"] for each in found]
    assert times == sorted(first), "in order of time, each once"
    assert {each["time"]: each["value"] for each in found} == first, "of repeated times the first value"
    values = [each["value"] for each in found]
    assert min(values) == pytest.approx(2.0847, abs=1e-4)
    assert max(values) == pytest.approx(108.5105, abs=1e-4)

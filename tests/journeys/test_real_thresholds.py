"""A real machine's temperatures of 79 days, judged: a threshold set from its first two weeks alone finds the shutdown and
the failure that experts labelled, and hardly anything else; without `for` and hysteresis it would cry all the time."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from django.contrib.auth.models import User
from django.test import Client

from alerts.models import Alert, AlertEvent, Message
from iotplatform.env import BASE_DIR
from tests.builders import make_device, make_key, post_readings
from thresholds.models import Level, Severity, Threshold

_NAB = BASE_DIR.parent / "shared" / "data" / "nab"
_FILE = "machine_temperature_system_failure.csv"
_FIRST_DAYS = 14
_HOUR = 3600.0


def rows() -> list[tuple[datetime, float]]:
    with (_NAB / _FILE).open() as file:
        return [(_utc(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]


def windows() -> list[tuple[datetime, datetime]]:
    """Labelled by experts: a drop of the first days, the planned shutdown, a precursor, the failure itself."""
    labelled = json.loads((_NAB / "anomaly_windows.json").read_text())[_FILE]
    return [(_utc(begin), _utc(end)) for begin, end in labelled]


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def make_threshold(name: str, trigger: float, clear: float | None, seconds: float) -> Threshold:
    threshold = Threshold.objects.create(
        name=name, metric="temperature", condition="below", all_devices=True, for_seconds=seconds
    )
    Level.objects.create(threshold=threshold, severity=Severity.MAJOR, trigger=trigger, clear=clear)
    return threshold


def openings(threshold: Threshold) -> list[datetime]:
    return list(
        Alert.objects.filter(threshold_id=threshold.pk).order_by("opened_at").values_list("opened_at", flat=True)
    )


def by_window(moments: list[datetime]) -> tuple[list[int], int]:
    """How many lie in each window, and how many in none."""
    inside = [sum(begin <= moment <= end for moment in moments) for begin, end in windows()]
    return inside, len(moments) - sum(inside)


def test_a_threshold_from_the_first_two_weeks_finds_the_shutdown_and_the_failure(
    drain: Callable[[], int], capsys: Any
) -> None:
    readings = rows()
    first = min(moment for moment, _ in readings)
    known = [value for moment, value in readings if (moment - first).days < _FIRST_DAYS]
    trigger, clear = (float(np.percentile(known, percent)) for percent in (2, 25))
    careful = make_threshold("careful", trigger, clear, _HOUR)
    naive = make_threshold("naive", trigger, None, 0)
    key = make_key(make_device("machine"), backfill=True)
    for start in range(0, len(readings), 1000):
        body = [
            {"time": moment.isoformat(), "metrics": {"temperature": value}}
            for moment, value in readings[start : start + 1000]
        ]
        assert post_readings(key, body, "?judge=true").status_code == 202
    drain()

    found, many = openings(careful), openings(naive)
    (_, shutdown, _, failure), outside = by_window(found)
    _, naive_outside = by_window(many)
    with capsys.disabled():
        print(
            f"\nbelow {trigger:.1f} °F, clear {clear:.1f}, for 1 h: {len(found)} openings, {outside} outside any window; "
            f"without both: {len(many)} openings, {naive_outside} outside"
        )
    assert shutdown >= 1
    assert failure >= 1
    assert outside <= 2
    assert len(many) >= 4 * len(found)
    assert not Alert.objects.filter(imported=False).exists(), "an import is recorded and nobody is notified"
    assert not Message.objects.exists()
    assert AlertEvent.objects.filter(kind="opened").count() == len(found) + len(many)
    preview_agrees(careful, found, first)
    preview_agrees(naive, many, first)


def preview_agrees(threshold: Threshold, found: list[datetime], first: datetime) -> None:
    """The preview of history gives what judging gave."""
    client = Client()
    client.force_login(User.objects.get_or_create(username="admin", is_superuser=True, is_staff=True)[0])
    body = {"threshold": threshold.pk, "start": first.isoformat(), "end": "2014-03-01T00:00:00Z"}
    answer = client.post("/api/v1/thresholds/preview", body, content_type="application/json").json()
    assert answer["openings"] == len(found)
    assert [_parsed(alert["opened_at"]) for alert in answer["alerts"]] == found
    ended = list(
        Alert.objects.filter(threshold_id=threshold.pk).order_by("opened_at").values_list("ended_at", flat=True)
    )
    assert [alert["ended_at"] and _parsed(alert["ended_at"]) for alert in answer["alerts"]] == ended


def _parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)

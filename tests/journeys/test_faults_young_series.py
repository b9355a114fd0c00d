"""The database is set back to before a series was registered, while the log still has readings of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from tests.builders import make_device, make_key, post_readings
from tests.conftest import forget_process

pytestmark = pytest.mark.usefixtures("drain")
_NOW = datetime.now(UTC)


def send(key: str, device: str, metric: str, value: float, seconds: int = 0) -> None:
    at = (_NOW + timedelta(seconds=seconds)).isoformat()
    answer = post_readings(key, {"device": device, "time": at, "metrics": {metric: value}})
    assert answer.status_code == 202, answer.content


def set_back() -> None:
    """Series and their sequence are as before the first one; every process has lost its connection."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM telemetry_series")
        cursor.execute("SELECT setval(pg_get_serial_sequence('telemetry_series', 'id'), %s, false)", [_first_id()])
    forget_process()


def stored() -> list[tuple[str, str, float]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.name, s.metric, r.value FROM telemetry_reading r JOIN telemetry_series s ON s.id = r.series_id "
            "JOIN telemetry_device d ON d.id = s.device_id ORDER BY 3"
        )
        return cursor.fetchall()


def _first_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM telemetry_series_id_seq")
        return int(cursor.fetchone()[0])


def test_a_drain_brings_the_series_back(drain) -> None:
    key = make_key()
    make_device("a")
    send(key, "a", "temperature", 1.0)
    set_back()
    drain()
    assert stored() == [("a", "temperature", 1.0)]


def test_intake_brings_the_series_back_under_its_id(drain) -> None:
    key = make_key()
    make_device("a")
    send(key, "a", "temperature", 1.0)
    set_back()
    send(key, "a", "temperature", 2.0, seconds=1)
    drain()
    assert stored() == [("a", "temperature", 1.0), ("a", "temperature", 2.0)]


def test_another_series_does_not_get_its_id(drain) -> None:
    key = make_key()
    make_device("a")
    make_device("b")
    send(key, "a", "temperature", 1.0)
    set_back()
    send(key, "b", "pressure", 2.0)
    drain()
    assert stored() == [("a", "temperature", 1.0), ("b", "pressure", 2.0)]


def test_a_deleted_devices_series_stays_deleted(drain) -> None:
    key = make_key()
    device = make_device("a")
    send(key, "a", "temperature", 1.0)
    device.delete()
    make_device("a")
    drain()
    assert stored() == []

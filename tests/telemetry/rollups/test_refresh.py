"""Rollups equal what the readings say, whatever came when."""

from __future__ import annotations

import random
from typing import Any

from django.db import connection

from tests.builders import drain_all, make_device, make_key, post_readings
from tests.telemetry.rollups.readings import DAY, START, assert_rolled_up, refresh_upto


def send(key: str, rows: list[tuple[str, int, float]]) -> None:
    """(metric, time in µs, value) of the key's device, stored."""
    answer = post_readings(key, [{"time": time, "metrics": {metric: value}} for metric, time, value in rows])
    assert answer.status_code == 202, answer.content
    drain_all()


def marks() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT level, low, high, series FROM telemetry_rollupmark ORDER BY level, low, series")
        return cursor.fetchall()


def test_readings_of_three_days_become_minutes_hours_and_days(platform_db: None) -> None:
    key = make_key(make_device("pump-7"), backfill=True)
    rng = random.Random(7)
    send(key, [(rng.choice("ab"), START + rng.randrange(3 * DAY), rng.gauss(20, 5)) for _ in range(2000)])
    done = refresh_upto(START + 3 * DAY)
    assert done.complete
    assert_rolled_up(START + 3 * DAY)
    assert marks() == []

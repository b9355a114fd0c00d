"""How long a preview takes: a year of one series at a reading a minute."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from django.db import connection

from telemetry.models import Device, Series
from telemetry.query.columns import columns_of
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import TABLE, as_microseconds, engine_in_use
from tests.telemetry.api.conftest import Api
from tests.thresholds.conftest import hot, level

YEAR = 365 * 1440
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def year(platform_db: None, api: Api) -> Series:
    """525,600 readings: a wave with noise, which is above 28 every few days."""
    series = Series.objects.create(device=Device.objects.create(name="pump-7"), metric="temperature")
    begin = as_microseconds(BEGIN)
    with connection.cursor() as cursor:
        Coverage(engine_in_use(cursor), 7).ensure(cursor, begin + np.arange(0, YEAR, 1440) * 60_000_000)
        cursor.execute(
            f"INSERT INTO {TABLE} (time, series_id, value) SELECT %s + number * interval '1 min', %s, "
            "20 + 10 * sin(number / 500.0) + (number * 7919::bigint %% 1000) / 1000.0 "
            f"FROM generate_series(0, {YEAR - 1}) AS number",
            [BEGIN, series.pk],
        )
        cursor.execute(f"ANALYZE {TABLE}")
    return series


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [
        hot(levels=[level(28, 25, "warning"), level(30, 27, "critical")], **{"for": 300}),
        hot(condition="rate_above", levels=[level(0.0156)]),
        hot(condition="outside", levels=[level([12, 28], [14, 26])], clear_for=600),
    ],
    ids=lambda rule: rule["condition"],
)
def test_a_year_of_minutes_takes_less_than_two_seconds(api: Api, year: Series, rule: dict[str, Any]) -> None:
    took = []
    while not took or (took[-1] >= 2 and len(took) < 3):  # a machine that others share may pause, but not each time
        begin = time.perf_counter()
        found = api.post(
            "thresholds/preview", {"threshold": rule, "start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}
        )
        took.append(time.perf_counter() - begin)
        assert (found.status, found.body["readings"]) == (200, YEAR)
    print(f"{took[-1]:.2f} s, {found.body['openings']} openings")
    assert min(took) < 2


@pytest.mark.slow
def test_columns_come_in_order_and_whole(year: Series) -> None:
    begin, minute = as_microseconds(BEGIN), 60_000_000
    found = columns_of(year.pk, begin + minute, begin + YEAR * minute, 10**9)
    assert np.array_equal(found.times, begin + np.arange(1, YEAR) * minute)
    number = np.arange(1, YEAR)
    assert np.allclose(found.values, 20 + 10 * np.sin(number / 500.0) + (number * 7919 % 1000) / 1000.0)
    assert len(columns_of(year.pk, begin, begin + YEAR * minute, 5).times) == 5
    assert len(columns_of(year.pk, 0, begin, 5).times) == 0

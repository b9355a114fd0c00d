"""Readings put straight into the table: these tests are about reading back, not about the way there."""

from collections.abc import Iterable
from datetime import datetime

import numpy as np
from django.db import connection

from telemetry.models import Device, Series
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import TABLE, as_microseconds, engine_in_use


def store(device: Device, metric: str, readings: Iterable[tuple[datetime, float | bool]]) -> Series:
    """Store readings of one series, which is made if needed."""
    rows = list(readings)
    boolean = bool(rows) and isinstance(rows[0][1], bool)
    series, _ = Series.objects.get_or_create(device=device, metric=metric, defaults={"boolean": boolean})
    with connection.cursor() as cursor:
        times = np.array([as_microseconds(time) for time, _ in rows], np.int64)
        Coverage(engine_in_use(cursor), 7).ensure(cursor, times)
        cursor.executemany(
            f"INSERT INTO {TABLE} (time, series_id, value) VALUES (%s, %s, %s)",
            [(time, series.pk, float(value)) for time, value in rows],
        )
    return series

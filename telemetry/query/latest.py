"""The newest value of every metric of a device, straight from the index.

"Newest" is the largest event time, not the last arrival. Nothing is kept for it: a row per series, written with every
drain, would double the database's work.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from telemetry.query.values import Value, typed
from telemetry.timeseries.engine import TABLE

__all__ = ["Latest", "latest"]

# One descent of the index (series_id, time) per series, newest range first: the scan stops at the first row.
_NEWEST = f"""
    SELECT series.metric, newest.time, newest.value, series.boolean
    FROM telemetry_series AS series
    CROSS JOIN LATERAL (
        SELECT time, value FROM {TABLE} AS reading
        WHERE reading.series_id = series.id AND reading.time >= %s ORDER BY time DESC LIMIT 1
    ) AS newest
    WHERE series.device_id = %s AND series.metric <> ALL(%s)
"""

# What most devices need. The planner then looks at a few ranges instead of all of them: with ten years of weekly
# partitions planning alone would take longer than everything else.
_RECENT = timedelta(days=31)
_EVER = datetime(1, 1, 1, tzinfo=UTC)


class Latest(NamedTuple):
    """The newest reading of one metric; time is aware, UTC."""

    metric: str
    time: datetime
    value: Value


def latest(device_id: int) -> list[Latest]:
    """The newest reading of every metric that the device ever sent and that is still stored, by metric."""
    with connection.cursor() as cursor:
        found = _newest(cursor, device_id, datetime.now(UTC) - _RECENT, [])
        cursor.execute("SELECT count(*) FROM telemetry_series WHERE device_id = %s", [device_id])
        if cursor.fetchone()[0] > len(found):
            found += _newest(cursor, device_id, _EVER, [reading.metric for reading in found])
    return sorted(found)


def _newest(cursor: Any, device_id: int, since: datetime, known: list[str]) -> list[Latest]:
    cursor.execute(_NEWEST, [since, device_id, known])
    return [Latest(metric, time, typed(value, boolean)) for metric, time, value, boolean in cursor.fetchall()]

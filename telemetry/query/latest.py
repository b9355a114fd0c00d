"""The newest value of every metric of a device, straight from the index.

"Newest" is the largest event time, not the last arrival. Nothing is kept for it: a row per series, written with every
drain, would double the database's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from telemetry.query.values import Value, typed
from telemetry.timeseries.engine import TABLE

__all__ = ["Latest", "latest", "latest_of"]

# One descent of the index (series_id, time) per series, newest range first: the scan stops at the first row.
_NEWEST = f"""
    SELECT series.device_id, series.metric, newest.time, newest.value, series.boolean, series.id
    FROM telemetry_series AS series
    CROSS JOIN LATERAL (
        SELECT time, value FROM {TABLE} AS reading
        WHERE reading.series_id = series.id AND reading.time >= %s ORDER BY time DESC LIMIT 1
    ) AS newest
    WHERE series.device_id = ANY(%s) AND series.id <> ALL(%s)
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
    return latest_of([device_id]).get(device_id, [])


def latest_of(device_ids: Sequence[int]) -> dict[int, list[Latest]]:
    """The same of some devices, such as those of a page, in two or three questions; devices without any are left out."""
    wanted = list(device_ids)
    with connection.cursor() as cursor:
        found = _newest(cursor, wanted, datetime.now(UTC) - _RECENT, [])
        cursor.execute("SELECT count(*) FROM telemetry_series WHERE device_id = ANY(%s)", [wanted])
        if cursor.fetchone()[0] > len(found):
            found += _newest(cursor, wanted, _EVER, [row[-1] for row in found])
    answer: dict[int, list[Latest]] = {}
    for device_id, metric, time, value, boolean, _ in found:
        answer.setdefault(device_id, []).append(Latest(metric, time, typed(value, boolean)))
    for readings in answer.values():
        readings.sort()
    return answer


def _newest(cursor: Any, device_ids: list[int], since: datetime, known: list[int]) -> list[Any]:
    cursor.execute(_NEWEST, [since, device_ids, known])
    return list(cursor.fetchall())

"""The newest value of every metric of devices, straight from the index, or out of landed columns (`newest`).

"Newest" is the largest event time, not the last arrival. Nothing is kept for it: a row per series, written with every
drain, would double the database's work.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import psycopg
from django.db import connection

from telemetry.query.newest import newest_in
from telemetry.query.values import Value, typed
from telemetry.timeseries.engine import EARLIEST, TABLE, as_microseconds, as_timestamp
from telemetry.timeseries.landed import landed, parts

__all__ = ["Latest", "latest", "latest_of"]

# One descent of the index (series_id, time) per series and range, newest range first: the scan stops at the first row.
_NEWEST = f"""
    SELECT series.id, newest.time, newest.value
    FROM unnest(%s::integer[]) AS series (id)
    CROSS JOIN LATERAL (
        SELECT time, value FROM {TABLE} AS reading
        WHERE reading.series_id = series.id AND reading.time >= %s AND reading.time < %s ORDER BY time DESC LIMIT 1
    ) AS newest
"""

# How far back is looked, in turn, for what was not found yet. What most series need lies in one partition or two; with ten
# years of weekly partitions planning alone would take longer than everything else, and so would looking into those that
# are kept ready for the future. No reading is accepted from more than a day ahead.
_AHEAD, _BACK = timedelta(days=2), (timedelta(days=2), timedelta(days=31))
_EVER = as_timestamp(EARLIEST)
#: What is known of landed ranges may be this old, in seconds.
_LOOK_SECONDS = 10.0


class Latest(NamedTuple):
    """The newest reading of one metric; time is aware, UTC."""

    metric: str
    time: datetime
    value: Value


def latest(device_id: int) -> list[Latest]:
    """The newest reading of every metric that the device ever sent and that is still stored, by metric."""
    return latest_of([device_id]).get(device_id, [])


def latest_of(device_ids: Collection[int], metrics: Collection[str] = ()) -> dict[int, list[Latest]]:
    """The same of several devices, by their ids, in a number of queries that does not grow with theirs; of these metrics
    only, if any are named. A device without a reading is left out. Meant for a page of devices, not for all of them."""
    if not device_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, device_id, metric, boolean FROM telemetry_series "
            "WHERE device_id = ANY(%s) AND (%s OR metric = ANY(%s)) ORDER BY metric",
            [list(device_ids), not metrics, list(metrics)],
        )
        series = cursor.fetchall()
        newest = _newest_of(cursor, [row[0] for row in series])
    found: dict[int, list[Latest]] = {}
    for number, device_id, metric, boolean in series:
        if number in newest:
            time, value = newest[number]
            found.setdefault(device_id, []).append(Latest(metric, time, typed(value, boolean)))
    return found


def _newest_of(cursor: Any, series_ids: list[int]) -> dict[int, tuple[datetime, float]]:
    """(time, value) by series id."""
    now = datetime.now(UTC)
    found: dict[int, tuple[datetime, float]] = {}
    missing, until = series_ids, now + _AHEAD
    known = landed(cursor, within=_LOOK_SECONDS)
    for since in (*(now - back for back in _BACK), _EVER):
        for part in parts(known, as_microseconds(since), as_microseconds(until)):
            if not missing:
                break
            if part.landed is None:
                cursor.execute(_NEWEST, [missing, as_timestamp(part.low), as_timestamp(part.high)])
                found |= {number: (time, value) for number, time, value in cursor.fetchall()}
            else:
                with connection.wrap_database_errors, psycopg.Cursor(cursor.connection) as own:
                    newest = newest_in(own, part, np.array(missing, np.int32), as_microseconds(now))
                found |= {number: (as_timestamp(time), value) for number, (time, value) in newest.items()}
            missing = [number for number in missing if number not in found]
        until = since
    return found

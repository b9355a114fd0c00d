"""Remove the readings and rollups of deleted devices.

Readings go a stretch of time at a time, with the series and the times said as constants: the server then opens only the
columns that hold them, where a join would have it open every chunk. Columns as they were landed hold a series in a batch of
every drain, of which each would be turned back into a thousand rows; so these wait until the chunk is sorted.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from telemetry.database import connect
from telemetry.intake.batch import Int32
from telemetry.rollups.levels import LEVELS
from telemetry.timeseries.engine import EARLIEST, MICROSECONDS_PER_DAY, TABLE, as_timestamp
from telemetry.timeseries.landed import FOREVER, Landed, Part, landed, parts
from telemetry.timeseries.stretches import sums_in

__all__ = ["purge_deleted"]

Connection = psycopg.Connection[Any]

_SERIES_AT_ONCE = 1_000
_ROWS_AT_ONCE = 20_000
#: A chunk that is over for so long and still not sorted will not be.
_WAIT = 7 * MICROSECONDS_PER_DAY
_IN = f"FROM {TABLE} WHERE series_id = %s AND time >= %s AND time < %s"
_NEXT = f"SELECT time {_IN} ORDER BY time OFFSET %s LIMIT 1"


def purge_deleted(now: int | None = None) -> int:
    """Remove what is left of deleted devices, a bounded number of readings at a time; answers how many. ``now`` in µs since
    1970."""
    now = int(time.time() * 1e6) if now is None else now
    removed = 0
    with connect(autocommit=True) as connection:
        rows = connection.execute(
            "SELECT series_id FROM telemetry_purgedseries ORDER BY requested_at LIMIT %s", [_SERIES_AT_ONCE]
        ).fetchall()
        if not rows:
            return 0
        with connection.cursor() as cursor:
            waits = [part for part in landed(cursor) if part.high > now - _WAIT]
        series = np.sort(np.array(rows, np.int32).ravel())
        kept = _held_in(connection, waits, series)
        for number in series.tolist():
            for part in parts(waits, EARLIEST, FOREVER):
                if part.landed is None:
                    removed += _purge(connection, number, part)
            if number not in kept:
                _forget(connection, number)
    return removed


def _held_in(connection: Connection, waits: list[Landed], series: Int32) -> set[int]:
    """Those of these series that have readings there."""
    held: set[int] = set()
    for part in waits:
        with connection.transaction(), connection.cursor() as cursor:
            held.update(sums_in(cursor, series, part.low, part.high)["series"].tolist())
    return held


def _purge(connection: Connection, series: int, part: Part) -> int:
    removed, end = 0, as_timestamp(part.high)
    low = _next(connection, series, as_timestamp(part.low), end, 0)
    while low is not None:
        until = _next(connection, series, low, end, _ROWS_AT_ONCE)
        removed += connection.execute(f"DELETE {_IN}", [series, low, until or end]).rowcount
        low = until
    return removed


def _next(connection: Connection, series: int, low: datetime, high: datetime, offset: int) -> datetime | None:
    """The time of the reading so many after the first; None where there are not as many."""
    row = connection.execute(_NEXT, [series, low, high, offset]).fetchone()
    return row[0] if row else None


def _forget(connection: Connection, series: int) -> None:
    for level in LEVELS:
        connection.execute(f"DELETE FROM {level.table} WHERE series_id = %s", [series])
    connection.execute("DELETE FROM telemetry_purgedseries WHERE series_id = %s", [series])

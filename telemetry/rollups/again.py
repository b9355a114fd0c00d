"""Mark a range of time to be rolled up again, whatever is in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from telemetry.binary_arrays import int4_array
from telemetry.intake.batch import Int32
from telemetry.rollups.levels import MINUTE
from telemetry.rollups.marks import add_marks
from telemetry.rollups.pieces import Pieces
from telemetry.timeseries.engine import TABLE, as_microseconds, as_timestamp
from telemetry.timeseries.landed import Part, landed, parts, whole_columns

__all__ = ["mark_range"]

_HELD = f"""
SELECT s.id,
    (SELECT time FROM {TABLE} WHERE series_id = s.id AND time >= %s AND time < %s ORDER BY time LIMIT 1),
    (SELECT time FROM {TABLE} WHERE series_id = s.id AND time >= %s AND time < %s ORDER BY time DESC LIMIT 1)
FROM unnest(%b) AS s(id)
"""
_HELD_IN_COLUMNS = f"""
SELECT series_id, min(time), max(time) FROM {TABLE}
WHERE series_id >= %s AND series_id <= %s AND time >= %s AND time < %s GROUP BY series_id
"""
_SERIES_AT_ONCE = 10_000


def mark_range(connection: psycopg.Connection[Any], series_ids: Sequence[int], start: int, end: int) -> int:
    """Mark the minutes of [start, end) (µs) in which these series have readings; answers how many series have any.

    Their hours and days follow from them. Needs a connection in autocommit mode.
    """
    with connection.cursor() as cursor:
        known = landed(cursor)
    marked = 0
    for at in range(0, len(series_ids), _SERIES_AT_ONCE):
        ids = np.unique(np.array(series_ids[at : at + _SERIES_AT_ONCE], np.int32))
        low, high = np.full(len(ids), end, np.int64), np.full(len(ids), start, np.int64)
        for part in parts(known, start, end):
            for series, oldest, newest in _held(connection, ids, part):
                place = np.searchsorted(ids, series)
                low[place] = min(low[place], as_microseconds(oldest))
                high[place] = max(high[place], as_microseconds(newest))
        held = low <= high
        ids, low, high = ids[held], low[held], high[held]
        if len(ids):
            add_marks(
                connection,
                MINUTE,
                Pieces(ids, low - low % MINUTE.width, high - high % MINUTE.width + MINUTE.width),
            )
        marked += len(ids)
    return marked


def _held(connection: psycopg.Connection[Any], ids: Int32, part: Part) -> list[tuple[int, datetime, datetime]]:
    """(series, oldest, newest) of those of these series (ascending) that have readings in the part."""
    bounds = [as_timestamp(part.low), as_timestamp(part.high)]
    if part.landed is None:
        rows = connection.execute(_HELD, [*bounds, *bounds, int4_array(ids)]).fetchall()
        return [row for row in rows if row[1] is not None]
    wanted = set(ids.tolist())
    with whole_columns(connection):
        rows = connection.execute(_HELD_IN_COLUMNS, [int(ids[0]), int(ids[-1]), *bounds]).fetchall()
    return [row for row in rows if row[0] in wanted]

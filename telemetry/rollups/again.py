"""Mark a range of time to be rolled up again, whatever is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg

from telemetry.binary_arrays import int4_array
from telemetry.rollups.levels import MINUTE
from telemetry.rollups.marks import add_marks
from telemetry.rollups.pieces import Pieces
from telemetry.timeseries.engine import TABLE, as_microseconds, as_timestamp

__all__ = ["mark_range"]

_HELD = f"""
SELECT s.id,
    (SELECT time FROM {TABLE} WHERE series_id = s.id AND time >= %s AND time < %s ORDER BY time LIMIT 1),
    (SELECT time FROM {TABLE} WHERE series_id = s.id AND time >= %s AND time < %s ORDER BY time DESC LIMIT 1)
FROM unnest(%b) AS s(id)
"""
_SERIES_AT_ONCE = 10_000


def mark_range(connection: psycopg.Connection[Any], series_ids: Sequence[int], start: int, end: int) -> int:
    """Mark the minutes of [start, end) (µs) in which these series have readings; answers how many series have any.

    Their hours and days follow from them. Needs a connection in autocommit mode.
    """
    marked = 0
    for at in range(0, len(series_ids), _SERIES_AT_ONCE):
        part = np.array(series_ids[at : at + _SERIES_AT_ONCE], np.int32)
        bounds = [as_timestamp(start), as_timestamp(end)]
        rows = connection.execute(_HELD, [*bounds, *bounds, int4_array(part)]).fetchall()
        held = [(series, as_microseconds(low), as_microseconds(high)) for series, low, high in rows if low is not None]
        if held:
            series, low, high = (np.array(column, np.int64) for column in zip(*held, strict=True))
            whole = Pieces(series.astype(np.int32), low - low % MINUTE.width, high - high % MINUTE.width + MINUTE.width)
            add_marks(connection, MINUTE, whole)
        marked += len(held)
    return marked

"""All readings of a series over a time range, as arrays: for whoever computes with them instead of showing them.

The server packs them into one binary value, 16 bytes a reading: no Python object is made for each. (COPY hands its rows
over one by one, which alone takes 2 s for half a million of them.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from telemetry.binary_rows import TO_2000
from telemetry.timeseries.engine import TABLE, as_timestamp

__all__ = ["Columns", "columns_of"]

#: As timestamptz_send and float8send write them.
_ROW = np.dtype([("time", ">i8"), ("value", ">f8")])
_PACKED = f"""
    SELECT string_agg(packed, ''::bytea) FROM (
        SELECT timestamptz_send(time) || float8send(value) AS packed FROM {TABLE}
        WHERE series_id = %s AND time >= %s AND time < %s ORDER BY time LIMIT %s
    ) AS ordered
"""


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings of one series in time order, no two of the same time."""

    #: µs since 1970.
    times: NDArray[np.int64]
    #: Booleans are 1.0 and 0.0.
    values: NDArray[np.float64]


def columns_of(series_id: int, start: int, end: int, limit: int) -> Columns:
    """The readings of a series with event times in [start, end) (µs since 1970), the first `limit` of them.

    Raises OperationalError where the server's time limit or the request's deadline ends it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_PACKED, [series_id, as_timestamp(start), as_timestamp(end), limit])
        (packed,) = cursor.fetchone()
    rows = np.frombuffer(packed or b"", _ROW)
    return Columns(rows["time"].astype(np.int64) + TO_2000, rows["value"].astype(np.float64))

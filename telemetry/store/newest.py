"""The newest stored event times of series, looked up in the readings: what confirms a frontier.

Two ways, right on every layout. Down the index for each series: microseconds where rows lie as rows or in sorted columns.
Or everything of a stretch of time, grouped by series: 35 ns a row in columns as they were landed, where going down to one
series costs milliseconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.binary_arrays import int4_array, timestamptz_array
from telemetry.binary_rows import TO_2000
from telemetry.intake.batch import Int32, Int64
from telemetry.timeseries.engine import EARLIEST, TABLE, as_timestamp
from telemetry.timeseries.landed import FOREVER, Part, landed, parts, whole_columns

__all__ = ["Newest"]

Connection = psycopg.Connection[Any]
#: (series ids, newest event time of each in µs since 1970); series of which nothing was found are left out.
Found = tuple[NDArray[np.int32], NDArray[np.int64]]

_ROW = np.dtype([("series", ">i4"), ("time", ">i8")])
_EACH = f"""
SELECT string_agg(int4send(u.s) || timestamptz_send(r.time), ''::bytea)
FROM unnest(%b, %b) AS u(s, low)
CROSS JOIN LATERAL (
    SELECT time FROM {TABLE}
    WHERE series_id = u.s AND time > u.low AND time >= %s AND time < %s ORDER BY time DESC LIMIT 1
) r
"""
_GROUPED = f"""
SELECT string_agg(int4send(series_id) || timestamptz_send(newest), ''::bytea) FROM (
    SELECT series_id, max(time) AS newest FROM {TABLE}
    WHERE time >= %s AND time < %s AND series_id >= %s AND series_id <= %s GROUP BY series_id
) AS each
"""
#: Series that one statement goes down for: however many there are and however slow the disk is, none is given up as
#: hanging.
_AT_ONCE = 5_000
#: Rows that one statement groups, about, for the same reason.
_ROWS_AT_ONCE = 20_000_000


class Newest:
    """Asks the readings table over a connection, inside the caller's transaction or without one."""

    def parts(self, connection: Connection) -> list[Part]:
        """All of event time, cut where landed ranges begin and end, newest first."""
        with connection.cursor() as cursor:
            return parts(landed(cursor), EARLIEST, FOREVER)

    def is_empty(self, connection: Connection, part: Part) -> bool:
        """Whether no reading lies there."""
        sql = f"SELECT EXISTS (SELECT FROM {TABLE} WHERE time >= %s AND time < %s)"
        row = connection.execute(sql, [as_timestamp(part.low), as_timestamp(part.high)]).fetchone()
        return row is not None and not row[0]

    def each(self, connection: Connection, part: Part, series: Int32, low: Int64) -> Found:
        """The newest in the part of each of these series that lies beyond its ``low`` (µs)."""
        found = []
        for begin in range(0, len(series), _AT_ONCE):
            those = slice(begin, begin + _AT_ONCE)
            oldest = max(part.low, int(low[those].min()))
            found.append(
                _asked(
                    connection,
                    _EACH,
                    [
                        int4_array(series[those]),
                        timestamptz_array(low[those]),
                        as_timestamp(oldest),
                        as_timestamp(part.high),
                    ],
                )
            )
        return _joined(found)

    def grouped(self, connection: Connection, part: Part, series: Int32) -> Found:
        """The newest in the part of these series (ascending), and perhaps of others."""
        rows = part.landed.rows if part.landed else 0
        found = []
        with whole_columns(connection):
            for those in np.array_split(series, max(1, min(len(series), -(-rows // _ROWS_AT_ONCE)))):
                bounds = [as_timestamp(part.low), as_timestamp(part.high), int(those[0]), int(those[-1])]
                found.append(_asked(connection, _GROUPED, bounds))
        return _joined(found)


def _asked(connection: Connection, sql: str, parameters: list[Any]) -> NDArray[Any]:
    row = connection.execute(sql, parameters, binary=True).fetchone()  # type: ignore[call-overload]
    return np.frombuffer((row[0] if row else None) or b"", _ROW)


def _joined(found: list[NDArray[Any]]) -> Found:
    rows = np.concatenate([np.empty(0, _ROW), *found])
    return rows["series"].astype(np.int32), rows["time"].astype(np.int64) + TO_2000

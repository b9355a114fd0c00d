"""The frontier of a shard: the newest stored event time of each of its series, in the memory of its drain.

A reading beyond its series' frontier is new by construction, for one drain at a time stores a shard and nothing else
writes readings. The frontier may lie too high (a reading is then only looked up without need), never too low. It is
derivable from the readings, so it is never the only copy: a checkpoint in the database is a lower bound that makes
taking a shard over quick, and every series is confirmed against the readings above it before its first use.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.intake.batch import Batch, Int32, Int64
from telemetry.store.loaders import AS_TIME
from telemetry.timeseries.engine import EARLIEST, TABLE

#: Before every time: nothing stored yet.
NEVER = np.iinfo(np.int64).min

#: Series that one statement looks up: however many there are and however slow the disk is, none is given up as hanging.
_AT_ONCE = 5_000

_NEWEST = f"""
SELECT u.s, (extract(epoch FROM r.time) * 1000000)::bigint
FROM unnest(%s::int[], %s::bigint[]) AS u(s, low)
CROSS JOIN LATERAL (
    SELECT time FROM {TABLE} WHERE series_id = u.s AND time > {AS_TIME.format("u.low")} ORDER BY time DESC LIMIT 1
) r
"""


class Frontier:
    """Newest stored event times (µs since 1970) by series id."""

    def __init__(self) -> None:
        self._newest: Int64 = np.full(1024, NEVER, np.int64)
        self._confirmed: NDArray[np.bool_] = np.zeros(1024, np.bool_)

    def of(self, connection: psycopg.Connection[Any], series: Int32) -> Int64:
        """The frontier of each of these series, confirmed by the readings."""
        if not len(series):
            return np.empty(0, np.int64)
        self._grow(int(series.max()))
        if not self._confirmed[series].all():
            self._confirm(connection, np.unique(series[~self._confirmed[series]]))
        return self._newest[series]

    def advance(self, stored: Batch) -> None:
        """After COMMIT: these readings are stored. ``stored`` is sorted by (series, time)."""
        if not len(stored):
            return
        last = np.append(stored.series[1:] != stored.series[:-1], True)
        series, times = stored.series[last], stored.times[last]
        self._newest[series] = np.maximum(self._newest[series], times)

    def checkpoint(self) -> tuple[bytes, bytes]:
        """Series ids (int32) and times (int64), little-endian, of all that is known."""
        known = np.flatnonzero(self._newest != NEVER)
        return known.astype("<i4").tobytes(), self._newest[known].astype("<i8").tobytes()

    def load(self, series: bytes, times: bytes) -> None:
        """Begin from a checkpoint: lower bounds, each to be confirmed before its first use."""
        ids, newest = np.frombuffer(series, "<i4"), np.frombuffer(times, "<i8")
        if len(ids):
            self._grow(int(ids.max()))
            self._newest[ids] = newest

    def _confirm(self, connection: psycopg.Connection[Any], series: Int32) -> None:
        low = np.maximum(self._newest[series], EARLIEST - 1)
        for begin in range(0, len(series), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            for found, newest in connection.execute(_NEWEST, [series[part].tolist(), low[part].tolist()]).fetchall():
                self._newest[found] = newest
        self._confirmed[series] = True

    def _grow(self, largest: int) -> None:
        size = len(self._newest)
        if largest < size:
            return
        more = max(largest + 1, 2 * size) - size
        self._newest = np.concatenate([self._newest, np.full(more, NEVER, np.int64)])
        self._confirmed = np.concatenate([self._confirmed, np.zeros(more, np.bool_)])

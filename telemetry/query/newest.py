"""The newest reading of series in landed columns, where going down to each costs milliseconds.

Series that speak are found in the last seconds, read as a stretch that grows backwards. What is older than the rollups'
reach is named by them: a series' newest minute, or a mark of one that is not made yet, is all that has to be read, backwards
too: where ten thousand series send ten readings a second, its last seconds hold what the rest of six million would bury.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from telemetry.binary_arrays import int4_array
from telemetry.intake.batch import Int32, Int64
from telemetry.rollups.levels import MINUTE
from telemetry.rollups.marks import marked, rolled_upto
from telemetry.timeseries.engine import as_microseconds, as_timestamp
from telemetry.timeseries.landed import Landed, Part
from telemetry.timeseries.stretches import Windows, in_windows

__all__ = ["newest_in"]

#: (time in µs since 1970, value) by series id.
Newest = dict[int, tuple[int, float]]

#: The first stretch, in µs, and how many times longer each is than the one before.
_FIRST, _LONGER = 250_000, 8
_NEWEST_MINUTE = f"""
SELECT s.id, (SELECT time FROM {MINUTE.table} WHERE series_id = s.id AND time >= %s AND time < %s ORDER BY time DESC LIMIT 1)
FROM unnest(%b) AS s (id)
"""


def newest_in(cursor: Any, part: Part, series: Int32, now: int) -> Newest:
    """The newest readings of these series in a landed part, over a psycopg cursor; ``now`` in µs since 1970. Series without
    one there are left out."""
    assert part.landed is not None
    upto = min(max(rolled_upto(cursor), part.low), part.high)
    # What lies ahead of now is little, and read with the first stretch.
    found = _backwards(cursor, part.landed, _same(series, upto, part.high), now)
    missing = series[~np.isin(series, list(found))]
    if len(missing) and upto > part.low:
        found |= _rolled(cursor, part.landed, missing, part.low, upto)
    return found


def _rolled(cursor: Any, landed: Landed, series: Int32, low: int, upto: int) -> Newest:
    """The same before the time up to which minutes are made, unless they are marked."""
    bounds = [as_timestamp(low), as_timestamp(upto)]
    cursor.execute(_NEWEST_MINUTE, [*bounds, int4_array(series)])
    minutes = {number: as_microseconds(time) for number, time in cursor.fetchall() if time is not None}
    for number, _, high in marked(cursor, MINUTE, series.tolist(), low, upto):
        minutes[number] = max(minutes.get(number, low), min(high, upto) - MINUTE.width)
    if not minutes:
        return {}
    ids, begin = np.array(list(minutes), np.int32), np.array(list(minutes.values()), np.int64)
    begin = np.maximum(begin, low)
    found = _backwards(cursor, landed, Windows(ids, begin, np.minimum(begin + MINUTE.width, upto)), upto)
    # The readings of a marked minute may be gone: a device's that was deleted.
    empty = ids[~np.isin(ids, list(found))]
    return found | (_last_of(cursor, landed, _same(empty, low, upto)) if len(empty) else {})


def _backwards(cursor: Any, landed: Landed, windows: Windows, now: int) -> Newest:
    """The newest readings in windows, one for each series: their last moments before ``now`` (µs) first."""
    found: Newest = {}
    length = _FIRST
    windows = windows.at(np.flatnonzero(windows.low < windows.high))
    while len(windows):
        low = np.maximum(windows.low, np.minimum(windows.high, now) - length)
        found |= _last_of(cursor, landed, Windows(windows.series, low, windows.high))
        missing = ~np.isin(windows.series, list(found)) & (low > windows.low)
        windows = Windows(windows.series[missing], windows.low[missing], low[missing])
        length *= _LONGER
    return found


def _same(series: Int32, low: int, high: int) -> Windows:
    return Windows(series, np.full(len(series), low, np.int64), np.full(len(series), high, np.int64))


def _last_of(cursor: Any, landed: Landed, windows: Windows) -> Newest:
    series, times, values = in_windows(cursor, landed, windows)
    last: Int64 = np.flatnonzero(np.append(series[1:] != series[:-1], True)[: len(series)])
    rows = zip(series[last].tolist(), times[last].tolist(), values[last].tolist(), strict=True)
    return {number: (time, value) for number, time, value in rows}

"""The newest reading of series in landed columns, where going down to each costs milliseconds.

While many drains are not rolled up, series that speak are found in what the last of them brought, read as one stretch. Where
another series' newest reading lies is known to the minute, from its marks and its rollups: each reading is in one of these.
Only that minute is read, backwards too: where ten thousand series send ten readings a second, its last seconds hold what the
rest of six million would bury.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from telemetry.binary_arrays import int4_array
from telemetry.intake.batch import Int32, Int64
from telemetry.rollups.levels import MINUTE
from telemetry.rollups.marks import SAID, marked, marked_upto, said
from telemetry.timeseries.engine import TABLE, as_microseconds, as_timestamp
from telemetry.timeseries.landed import Landed, Part
from telemetry.timeseries.stretches import Windows, in_windows

__all__ = ["newest_in"]

#: (time in µs since 1970, value) by series id.
Newest = dict[int, tuple[int, float]]

#: Fewer marks than these are looked through at once. Otherwise what came since the last so many is read first: some ten
#: batches of columns for each of a few series.
_FEW_MARKS = 16
#: The first stretch of a minute, in µs, where nothing says how often a series speaks; and how many times longer each is
#: than the one before.
_FIRST, _LONGER = 250_000, 8
#: The longest stretch of what came last, in µs.
_LONGEST_FIRST = 10_000_000
#: In so many minutes a series is looked for before everything is read.
_MINUTES_TRIED = 3
#: Where a minute may have more readings than these, its end is looked for by halves if it is not where it should be.
_MANY_READINGS = 100_000
#: With how many of its usual intervals the first stretch of a series' minute begins.
_INTERVALS = 1.5
_LAST_MARKS = f"""
SELECT {SAID}, at FROM telemetry_rollupmark
WHERE level = %s AND low < %s AND high > %s AND first_series <= %s AND last_series >= %s ORDER BY id DESC LIMIT %s
"""
_ANY = f"SELECT EXISTS (SELECT FROM {TABLE} WHERE time >= %s AND time < %s AND series_id >= %s AND series_id <= %s)"
_NEWEST_MINUTE = f"""
SELECT s.id, m.time, m.count FROM unnest(%b) AS s (id) CROSS JOIN LATERAL (
    SELECT time, count FROM {MINUTE.table} WHERE series_id = s.id AND time >= %s AND time < %s ORDER BY time DESC LIMIT 1
) AS m
"""


def newest_in(cursor: Any, part: Part, series: Int32, now: int) -> Newest:
    """The newest readings of these series in a landed part, over a psycopg cursor; ``now`` in µs since 1970. Series without
    one there are left out."""
    return _newest(cursor, part, series, now, _MINUTES_TRIED)


def _newest(cursor: Any, part: Part, series: Int32, now: int, tries: int) -> Newest:
    """``tries``: in how many minutes a series is looked for before its part is read as a whole."""
    assert part.landed is not None
    if not len(series):
        return {}
    # Marks before minutes: when they go meanwhile, their minutes are there.
    bounds = [as_timestamp(part.high), as_timestamp(part.low), int(series.max()), int(series.min())]
    cursor.execute(_LAST_MARKS, [MINUTE.name, *bounds, _FEW_MARKS], binary=True)
    last = cursor.fetchall()
    if len(last) < _FEW_MARKS:
        return _by_minutes(cursor, part, series, _minutes(_ends(last, series, part), part), now, tries)
    # What was left over by a refresh is marked again as of when it came.
    low = max(part.low, now - _LONGEST_FIRST, min(now, as_microseconds(last[-1][-1])))
    # What lies ahead of now is little, and read with it.
    found = _last_of(cursor, part.landed, _same(series, low, part.high)) if low < part.high else {}
    missing = series[~np.isin(series, list(found))]
    if not len(missing):
        return found
    named = marked(cursor, MINUTE, missing.tolist(), part.low, part.high)
    minutes = _minutes(((number, high) for number, _, high in named), part)
    return found | _by_minutes(cursor, part, missing, minutes, now, tries)


def _ends(marks: Sequence[Any], series: Int32, part: Part) -> Iterator[tuple[int, int]]:
    """(series, end of its range) of what rows of `_LAST_MARKS` say of these series in a part."""
    for pieces in said([mark[:-1] for mark in marks]):
        ours = np.isin(pieces.series, series) & (pieces.low < part.high) & (pieces.high > part.low)
        yield from zip(pieces.series[ours].tolist(), pieces.high[ours].tolist(), strict=True)


def _minutes(ends: Iterable[tuple[int, int]], part: Part) -> dict[int, int]:
    """The start (µs) of each series' last minute in a part, by (series, end of a range)."""
    minutes: dict[int, int] = {}
    for number, high in ends:
        minutes[number] = max(minutes.get(number, part.low), MINUTE.floor(min(high, part.high) - 1))
    return minutes


def _by_minutes(cursor: Any, part: Part, series: Int32, marked: dict[int, int], now: int, tries: int) -> Newest:
    """The same by the newest minutes in which these series are known to have readings: those that are ``marked`` (their starts
    in µs), or made."""
    assert part.landed is not None
    windows, first, readings = _newest_minutes(cursor, part, series, marked)
    found = _backwards(cursor, part.landed, windows, first, now, readings > _MANY_READINGS)
    # The readings of a minute may lie beyond the part, which need not end with a minute, or be gone: a device's that was
    # deleted.
    empty = windows.at(np.flatnonzero(~np.isin(windows.series, list(found))))
    until = int(empty.low.max(initial=part.low))
    if until == part.low:
        return found
    if tries > 1:
        return found | _newest(cursor, Part(part.low, until, part.landed), empty.series, min(now, until), tries - 1)
    return found | _last_of(cursor, part.landed, _same(empty.series, part.low, until))


def _newest_minutes(cursor: Any, part: Part, series: Int32, marked: dict[int, int]) -> tuple[Windows, Int64, int]:
    """The newest minute of each of these series that has one, as far as it lies in the part; how much of its end (µs) is
    worth reading first; and how many readings a minute may have, if all series speak like these."""
    assert part.landed is not None
    # When marks go meanwhile, their minutes are there: so these are asked for last.
    upto = marked_upto(cursor, int(series.min()), int(series.max()), part.low, part.high) if marked else []
    cursor.execute(_NEWEST_MINUTE, [int4_array(series), as_timestamp(MINUTE.floor(part.low)), as_timestamp(part.high)])
    made = {number: (as_microseconds(time), count) for number, time, count in cursor.fetchall()}
    # Devices that are behind fill minutes that are long over: what is only marked ends with its newest reading.
    ends = {minute: _end(minute, upto) for minute in set(marked.values())}
    rows = []
    for number in {**marked, **made}:
        minute, count = made.get(number, (part.low - MINUTE.width, 0))
        interval = MINUTE.width // count if count else 0
        newest = marked.get(number, minute)
        if newest > minute:
            rows.append((number, newest, ends[newest], interval))
        else:
            # More may have come to a minute that is made and marked.
            rows.append(
                (number, minute, minute + MINUTE.width, 0 if number in marked and newest == minute else interval)
            )
    number, low, high, interval = np.array(rows, np.int64).reshape(-1, 4).T
    low, high = np.maximum(low, part.low), np.minimum(high, part.high)
    first = np.maximum((_INTERVALS * interval).astype(np.int64), _FIRST)
    readings = part.landed.series * max((count for _, count in made.values()), default=0)
    return Windows(number.astype(np.int32), low, np.maximum(low, high)), first, readings


def _end(minute: int, said_upto: list[tuple[int, int, int]]) -> int:
    """The time (µs) before which all readings lie that are marked in a minute."""
    upto = [upto for low, high, upto in said_upto if low < minute + MINUTE.width and high > minute]
    return min(minute + MINUTE.width, max(upto, default=minute + MINUTE.width) + 1)


def _backwards(cursor: Any, landed: Landed, windows: Windows, length: Int64, now: int, many: bool = False) -> Newest:
    """The newest readings in windows, one for each series: their last ``length`` (µs each) before ``now`` first. ``many``: they
    may have so many readings that a stretch which begins far before the last of them costs more than looking for that."""
    found: Newest = {}
    rows = np.flatnonzero(windows.low < windows.high)
    windows, length = windows.at(rows), length[rows]
    while len(windows):
        low = np.maximum(windows.low, np.minimum(windows.high, now) - length)
        found |= _last_of(cursor, landed, Windows(windows.series, low, windows.high))
        if many and not found:
            # All fell silent within a minute.
            end, many = _end_of(cursor, Windows(windows.series, windows.low, low)), False
            windows = Windows(windows.series, windows.low, np.maximum(windows.low, np.minimum(windows.high, end)))
            continue
        missing = ~np.isin(windows.series, list(found)) & (low > windows.low)
        windows = Windows(windows.series[missing], windows.low[missing], low[missing])
        length = length[missing] * _LONGER
    return found


def _end_of(cursor: Any, windows: Windows) -> int:
    """The time (µs) before which all readings in windows lie, give or take `_FIRST`; any of the series in between count."""
    low, high = int(windows.low.min()), int(windows.high.max())
    between = [int(windows.series.min()), int(windows.series.max())]
    while high - low > _FIRST:
        middle = (low + high) // 2
        cursor.execute(_ANY, [as_timestamp(middle), as_timestamp(high), *between])
        if cursor.fetchone()[0]:
            low = middle
        else:
            high = middle
    return high


def _same(series: Int32, low: int, high: int) -> Windows:
    return Windows(series, np.full(len(series), low, np.int64), np.full(len(series), high, np.int64))


def _last_of(cursor: Any, landed: Landed, windows: Windows) -> Newest:
    series, times, values = in_windows(cursor, landed, windows)
    last: Int64 = np.flatnonzero(np.append(series[1:] != series[:-1], True)[: len(series)])
    rows = zip(series[last].tolist(), times[last].tolist(), values[last].tolist(), strict=True)
    return {number: (time, value) for number, time, value in rows}

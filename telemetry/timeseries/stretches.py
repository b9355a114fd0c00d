"""Readings of many series out of a landed range: (series, low, high) windows, read in stretches.

In landed columns a window costs a look through the list of batches and the opening of a batch for every drain in it,
however few readings it has; while a stretch of event time is read as a whole for less than a microsecond a row. Windows
that lie together are therefore read as one stretch where that is cheaper. Both ways are right on every layout.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.binary_arrays import int4_array, timestamptz_array
from telemetry.binary_rows import TO_2000
from telemetry.intake.batch import Int32, Int64
from telemetry.timeseries.engine import TABLE, as_timestamp
from telemetry.timeseries.landed import Landed, whole_columns

__all__ = ["Costs", "Group", "Readings", "Windows", "groups", "in_windows", "sums_in", "window_of", "windows_around"]

#: (series, times in µs since 1970, values), sorted by (series, time).
Readings = tuple[Int32, Int64, NDArray[np.float64]]

_ROW = np.dtype([("series", ">i4"), ("time", ">i8"), ("value", ">f8")])
_EACH = f"""
SELECT string_agg(int4send(w.series) || timestamptz_send(r.time) || float8send(r.value), ''::bytea)
FROM unnest(%b, %b, %b) AS w(series, low, high) CROSS JOIN LATERAL (
    SELECT time, value FROM {TABLE}
    WHERE series_id = w.series AND time >= w.low AND time < w.high AND time >= %s AND time < %s OFFSET 0
) AS r
"""
_WHOLE = f"""
SELECT string_agg(int4send(series_id) || timestamptz_send(time) || float8send(value), ''::bytea) FROM (
    SELECT series_id, time, value FROM {TABLE}
    WHERE time >= %s AND time < %s AND series_id >= %s AND series_id <= %s{{named}} LIMIT %s
) AS stretch
"""
_SUMS = f"""
SELECT string_agg(int4send(series_id) || int8send(n) || float8send(total) || float8send(low) || float8send(high), ''::bytea)
FROM (
    SELECT series_id, count(*) AS n, sum(value) AS total, min(value) AS low, max(value) AS high FROM {TABLE}
    WHERE time >= %s AND time < %s AND series_id >= %s AND series_id <= %s GROUP BY series_id
) AS each
"""
_SUM = np.dtype([("series", ">i4"), ("count", ">i8"), ("sum", ">f8"), ("min", ">f8"), ("max", ">f8")])
#: So few series are named when a stretch is read: a comparison with each costs less than handing all rows out.
_NAMED = 64
#: No stretch has more rows in memory (20 bytes each): where the guess was wrong, its windows are read one by one.
_MOST_ROWS = 4_000_000
#: What one statement may be expected to take, in µs; and where there is a pause after each.
_STATEMENT = 5_000_000
_SHORT_STATEMENT = 50_000
_ROWS_BETWEEN_PAUSES = 60_000
#: The first stretch up to a pause is so small a part of all.
_FIRST_CUT = 16
#: Windows of which one is this many times as long as the other are not read as one stretch.
_ALIKE = 4
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Windows:
    """Ranges [low, high) µs since 1970 of series; those of a series do not overlap."""

    series: Int32
    low: Int64
    high: Int64

    def __len__(self) -> int:
        return len(self.series)

    def at(self, rows: NDArray[Any]) -> Windows:
        """Those rows of it."""
        return Windows(self.series[rows], self.low[rows], self.high[rows])


@dataclass(frozen=True, slots=True)
class Costs:
    """What reading a landed range takes, in µs of a core: measured with 20,000 rows a drain, and only compared."""

    #: A look through the list of batches.
    look: float
    #: Readings of all series in a µs of event time.
    density: float
    #: Batches that hold one series, in a µs of event time.
    batches: float
    #: How many series there are, about.
    series: int
    #: Event time (µs since 1970) after which there is next to nothing.
    upto: int

    @classmethod
    def of(cls, landed: Landed, now: int) -> Costs:
        """``now`` in µs since 1970."""
        density = landed.rows_a_second(now) / _SECOND
        return cls(100 + landed.rows / 10_000, density, density / 20_000, landed.series, now)

    def each(self, windows: Windows) -> NDArray[np.float64]:
        """Windows, each by itself."""
        length = np.maximum(0, np.minimum(windows.high, self.upto) - windows.low)
        return np.asarray(self.look + 60 * (1 + self.batches * length), np.float64)

    def whole(self, windows: Windows) -> float:
        """Windows as one stretch: rows of all series in between are handed out, or of a few that are named; then only batches
        that hold one of these are opened."""
        largest, smallest = int(windows.series.max()), int(windows.series.min())
        known, many = max(self.series, largest), len(np.unique(windows.series))
        length = max(0, min(self.upto, int(windows.high.max())) - int(windows.low.min()))
        between = self.density * length * (largest - smallest + 1) / known
        if many > _NAMED:
            return self.look + between * (0.02 + 0.8)
        opened = min(between / 1000, many * (1 + self.batches * length))
        return self.look + opened * (20 + 2 * many) + 0.8 * self.density * length * many / known

    @property
    def gap(self) -> int:
        """Two windows of a series that lie nearer together than this (µs) are cheaper as one."""
        return int(min(86_400 * _SECOND, self.look / (60 * max(self.batches, 1e-12))))


@dataclass(frozen=True, slots=True)
class Group:
    """Windows that are read together: by their places, and whether as one stretch."""

    rows: NDArray[np.intp]
    whole: bool


def in_windows(
    cursor: psycopg.Cursor[Any], landed: Landed, windows: Windows, pause: Callable[[], None] | None = None
) -> Readings:
    """The readings in windows that lie in a landed range, sorted by (series, time). ``pause`` is called after each statement,
    and each is then short."""
    costs = Costs.of(landed, int(time.time() * _SECOND))
    found = [np.empty(0, _ROW)]
    for group in groups(windows, costs):
        those = windows.at(group.rows)
        whole = _whole(cursor, those, pause) if group.whole else None
        found += whole if whole is not None else _each(cursor, those, costs, pause)
    rows = np.concatenate(found)
    series, times = rows["series"].astype(np.int32), rows["time"].astype(np.int64) + TO_2000
    order = np.lexsort((times, series))
    return series[order], times[order], rows["value"].astype(np.float64)[order]


def sums_in(cursor: psycopg.Cursor[Any], series: Int32, low: int, high: int) -> NDArray[Any]:
    """(series, count, sum, min, max) of those of these series (ascending) that have readings in [low, high) µs: 35 to 440 ns
    for each reading that lies there, of whatever series."""
    bounds = [as_timestamp(low), as_timestamp(high), int(series[0]), int(series[-1])]
    with whole_columns(cursor.connection):
        rows = _packed(cursor, _SUMS, bounds, _SUM)
    return rows[np.isin(rows["series"], series)].astype(_SUM.newbyteorder("="))


def windows_around(series: Int32, times: Int64, gap: int) -> Windows:
    """Windows that hold each of these (series, time), as few as there are with no gap (µs) longer than that inside."""
    order = np.lexsort((times, series))
    series, times = series[order], times[order]
    begins = np.ones(len(series), np.bool_)
    begins[1:] = (series[1:] != series[:-1]) | (times[1:] - times[:-1] > gap)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(series))[: len(first)] - 1
    return Windows(series[first], times[first], times[last] + 1)


def groups(windows: Windows, costs: Costs) -> list[Group]:
    """Which windows are read as one stretch, and which one by one: those of similar length that lie together."""
    if not len(windows):
        return []
    length = np.maximum(1, windows.high - windows.low)
    kind = (np.log2(length) / np.log2(_ALIKE)).astype(np.int64)
    found = []
    for each in np.unique(kind):
        rows = np.flatnonzero(kind == each)
        rows = rows[np.argsort(windows.low[rows], kind="stable")]
        reached = np.maximum.accumulate(windows.high[rows])
        cuts = np.flatnonzero(windows.low[rows][1:] - reached[:-1] > 5 * _SECOND) + 1
        for part in np.split(rows, cuts):
            those = windows.at(part)
            found.append(Group(part, len(part) > 1 and costs.whole(those) < costs.each(those).sum()))
    return found


def _whole(
    cursor: psycopg.Cursor[Any], windows: Windows, pause: Callable[[], None] | None
) -> list[NDArray[Any]] | None:
    """The rows of a stretch that lie in its windows; None where it has too many. For pauses it is cut by time: in landed
    columns rows of a moment lie together, and those of a few series nowhere."""
    series = np.unique(windows.series)
    named = len(series) <= _NAMED
    statement = _WHOLE.format(named=" AND series_id = ANY(%b)" if named else "")
    begin, high = int(windows.low.min()), int(windows.high.max())
    # Nothing else is handed out then.
    exact = named and begin == windows.low.max() and high == windows.high.min()
    step = high - begin if pause is None else max(_SECOND, (high - begin) // _FIRST_CUT)
    found = []
    while begin < high:
        until = min(begin + step, high)
        parameters: list[Any] = [
            *(as_timestamp(begin), as_timestamp(until), int(series[0]), int(series[-1])),
            *([int4_array(series)] if named else []),
            _MOST_ROWS + 1,
        ]
        rows = _packed(cursor, statement, parameters)
        if len(rows) > _MOST_ROWS:
            return None
        if not exact:
            times = rows["time"].astype(np.int64) + TO_2000
            rows = rows[window_of(windows, rows["series"].astype(np.int32), times) >= 0]
        found.append(rows)
        if pause is not None:
            pause()
            # The next one is as long as this one was dense.
            step = max(1, min(step * _ROWS_BETWEEN_PAUSES // max(1, len(rows)), 4 * step))
        begin = until
    return found


def window_of(windows: Windows, series: Int32, times: Int64) -> NDArray[np.intp]:
    """The place of the window in which each reading lies, -1 where it lies in none."""
    if not len(windows):
        return np.full(len(series), -1)
    # Series and time make one number, so that windows lie on one axis.
    known = np.unique(windows.series)
    start, width = int(windows.low.min()), int(windows.high.max() - windows.low.min()) + 1
    order = np.lexsort((windows.low, windows.series))
    base = np.searchsorted(known, windows.series[order]) * width - start
    low, high = base + windows.low[order], base + windows.high[order]
    rank = np.minimum(np.searchsorted(known, series), len(known) - 1)
    inside = (known[rank] == series) & (times >= start) & (times < start + width)
    at = np.where(inside, rank * width + (times - start), -1)
    window = np.searchsorted(low, at, "right") - 1
    return np.where((window >= 0) & (at < high[window]), order[window], -1)


def _each(
    cursor: psycopg.Cursor[Any], windows: Windows, costs: Costs, pause: Callable[[], None] | None
) -> list[NDArray[Any]]:
    cost = np.cumsum(costs.each(windows)) // (_STATEMENT if pause is None else _SHORT_STATEMENT)
    found = []
    for rows in np.split(np.arange(len(windows)), np.flatnonzero(np.diff(cost)) + 1):
        those = windows.at(rows)
        parameters = [
            int4_array(those.series),
            timestamptz_array(those.low),
            timestamptz_array(those.high),
            as_timestamp(int(those.low.min())),
            as_timestamp(int(those.high.max())),
        ]
        found.append(_packed(cursor, _EACH, parameters))
        if pause is not None:
            pause()
    return found


def _packed(cursor: psycopg.Cursor[Any], sql: str, parameters: list[Any], kind: np.dtype[Any] = _ROW) -> NDArray[Any]:
    cursor.execute(sql, parameters, binary=True)  # type: ignore[call-overload]
    row = cursor.fetchone()
    return np.frombuffer((row[0] if row else None) or b"", kind)

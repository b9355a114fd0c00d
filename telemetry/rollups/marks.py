"""The list of what rollups do not know yet: written by drains, worked off by the refresh, respected by every query.

A drain notes for every reading that it stores in which minute of which series it lies, in a few rows: series with the same
range share one. Rows are only ever added and removed, never changed, so that drains wait for nobody and a refresh removes
exactly what it has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.binary_arrays import int4_array
from telemetry.intake.batch import Batch
from telemetry.rollups.levels import DAY, HOUR, MINUTE, Level
from telemetry.timeseries.engine import Cursor, as_microseconds, as_timestamp

__all__ = ["Marked", "add_marks", "grouped", "mark", "marked", "oldest_marked", "rolled_upto"]

#: (series ids ascending, low, high): readings came in [low, high) µs of each of these series.
Marked = tuple[NDArray[np.int32], int, int]

#: One drain adds at most about so many rows; with more different ranges they are rounded to hours, then days.
_MOST_ROWS = 200
_ADD = (
    "INSERT INTO telemetry_rollupmark (level, low, high, first_series, last_series, series) "
    "VALUES (%s, %s, %s, %s, %s, %b)"
)


def mark(connection: psycopg.Connection[Any], written: Batch) -> None:
    """Note rows that were stored, sorted by (series, time), in their transaction."""
    found = ranges_of(written)
    if found:
        add_marks(connection, MINUTE, found)


def add_marks(connection: psycopg.Connection[Any], level: Level, found: Sequence[Marked]) -> None:
    """Say of these ranges that their buckets of this level have to be made again."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _ADD,
            [
                (
                    level.name,
                    as_timestamp(low),
                    as_timestamp(high),
                    int(series[0]),
                    int(series[-1]),
                    int4_array(series),
                )
                for series, low, high in found
            ],
        )


def ranges_of(written: Batch) -> list[Marked]:
    """The minutes in which rows, sorted by (series, time), lie: runs of them, those of the same extent together."""
    if not len(written):
        return []
    found: list[Marked] = []
    for level in (MINUTE, HOUR, DAY):
        found = grouped(*_runs(written, level))
        if len(found) <= _MOST_ROWS:
            return found
    # Scattered over many days in as many ways: one range a series, cut at years.
    return grouped(*_runs(written, Level("year", 365 * DAY.width, percentiles=False)))


def _runs(written: Batch, level: Level) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """(series, low, high) of each run of buckets that touch."""
    buckets = written.times - written.times % level.width
    begins = np.ones(len(written), np.bool_)
    begins[1:] = (written.series[1:] != written.series[:-1]) | (buckets[1:] - buckets[:-1] > level.width)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(written)) - 1
    return written.series[first], buckets[first], buckets[last] + level.width


def grouped(series: NDArray[np.int32], low: NDArray[np.int64], high: NDArray[np.int64]) -> list[Marked]:
    """Ranges, one a row, as marks: series of the same range together."""
    if not len(series):
        return []
    order = np.lexsort((series, high, low))
    series, low, high = series[order], low[order], high[order]
    begins = np.flatnonzero(np.append(True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])))
    return [
        (part, int(low[begin]), int(high[begin]))
        for part, begin in zip(np.split(series, begins[1:]), begins, strict=True)
    ]


def rolled_upto(cursor: Cursor) -> int:
    """Event time (µs) from which on only the readings themselves are right."""
    cursor.execute("SELECT rolled_upto FROM telemetry_rollupstate WHERE id = 1")
    row = cursor.fetchone()
    return as_microseconds(row[0]) if row else 0


def oldest_marked(cursor: Cursor, otherwise: int) -> int:
    """The earliest event time (µs) of anything that is marked."""
    cursor.execute("SELECT min(low) FROM telemetry_rollupmark")
    row = cursor.fetchone()
    return as_microseconds(row[0]) if row and row[0] is not None else otherwise


def marked(cursor: Cursor, level: Level, series_ids: Sequence[int], start: int, end: int) -> list[tuple[int, int, int]]:
    """(series id, low, high) in µs: where in [start, end) rows of this level may be wrong or missing.

    Ranges may overlap, and reach beyond what was asked. To be asked in the same snapshot as the rows themselves, for ranges
    before `rolled_upto` (rounded down to the level's width): what lies after it is not looked up here.
    """
    if not series_ids or start >= end:
        return []
    cursor.execute(
        "SELECT s.id, m.low, m.high FROM telemetry_rollupmark m CROSS JOIN LATERAL unnest(m.series) AS s (id) "
        "WHERE m.level = ANY(%s) AND m.low < %s AND m.high > %s AND m.first_series <= %s AND m.last_series >= %s "
        "AND s.id = ANY(%s)",
        [
            _also_marking(level),
            as_timestamp(end),
            as_timestamp(start),
            max(series_ids),
            min(series_ids),
            list(series_ids),
        ],
    )
    return [(series, as_microseconds(low), as_microseconds(high)) for series, low, high in cursor.fetchall()]


def _also_marking(level: Level) -> list[str]:
    """A minute that has to be made again makes its hour and its day wrong."""
    return {"minute": ["minute"], "hour": ["minute", "hour"], "day": ["minute", "hour", "day"]}[level.name]

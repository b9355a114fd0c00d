"""The list of what rollups do not know yet: written by drains, worked off by the refresh, respected by every query.

A drain notes for every reading that it stores in which minute of which series it lies, in a few rows: series with the same
range share one. Rows are only ever added and removed, never changed, so that drains wait for nobody and a refresh removes
exactly what it has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from telemetry.binary_arrays import int4_array, timestamptz_array
from telemetry.intake.batch import Batch
from telemetry.rollups.levels import MINUTE, Level
from telemetry.rollups.pieces import Pieces
from telemetry.timeseries.engine import Cursor, as_microseconds, as_timestamp

__all__ = ["add_marks", "mark", "marked", "oldest_marked", "rolled_upto"]

#: With more different ranges than that, one row holds a range for each series.
_MOST_ROWS = 50
_ADD = (
    "INSERT INTO telemetry_rollupmark (level, low, high, first_series, last_series, series, lows, highs) "
    "VALUES (%s, %s, %s, %s, %s, %b, %b, %b)"
)
_ADD_AGAIN = (
    "INSERT INTO telemetry_rollupmark (level, low, high, first_series, last_series, series, lows, highs, at) "
    "VALUES (%s, %s, %s, %s, %s, %b, %b, %b, %s)"
)


def mark(connection: psycopg.Connection[Any], written: Batch) -> None:
    """Note rows that were stored, sorted by (series, time), in their transaction."""
    add_marks(connection, MINUTE, minutes_of(written))


def add_marks(connection: psycopg.Connection[Any], level: Level, pieces: Pieces, at: datetime | None = None) -> None:
    """Say of these ranges that their buckets of this level have to be made again; ``at``: since when, if not since now."""
    if not len(pieces):
        return
    order = np.lexsort((pieces.series, pieces.high, pieces.low))
    series, low, high = pieces.series[order], pieces.low[order], pieces.high[order]
    begins = np.flatnonzero(np.append(True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])))
    if len(begins) > _MOST_ROWS:
        rows: list[tuple[Any, ...]] = [
            (
                *(level.name, as_timestamp(int(low.min())), as_timestamp(int(high.max()))),
                *(
                    int(series.min()),
                    int(series.max()),
                    int4_array(series),
                    timestamptz_array(low),
                    timestamptz_array(high),
                ),
            )
        ]
    else:
        rows = [
            (
                *(level.name, as_timestamp(int(low[begin])), as_timestamp(int(high[begin]))),
                *(int(part[0]), int(part[-1]), int4_array(part), None, None),
            )
            for part, begin in zip(np.split(series, begins[1:]), begins, strict=True)
        ]
    with connection.cursor() as cursor:
        if at is None:
            cursor.executemany(_ADD, rows)
        else:
            cursor.executemany(_ADD_AGAIN, [(*row, at) for row in rows])


def minutes_of(written: Batch) -> Pieces:
    """The minutes in which rows, sorted by (series, time), lie, as runs of them."""
    if not len(written):
        return Pieces.none()
    buckets = written.times - written.times % MINUTE.width
    begins = np.ones(len(written), np.bool_)
    begins[1:] = (written.series[1:] != written.series[:-1]) | (buckets[1:] - buckets[:-1] > MINUTE.width)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(written)) - 1
    return Pieces(written.series[first], buckets[first], buckets[last] + MINUTE.width)


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
        "SELECT s.id, coalesce(s.low, m.low), coalesce(s.high, m.high) "
        "FROM telemetry_rollupmark m CROSS JOIN LATERAL unnest(m.series, m.lows, m.highs) AS s (id, low, high) "
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

"""The list of what rollups do not know yet: written by drains, worked off by the refresh, respected by every query.

A drain notes for every reading that it stores in which minute of which series it lies, in a few rows: series with the same
range share one. Rows are only ever added and removed, never changed, so that drains wait for nobody and a refresh removes
exactly what it has seen.

Which series a row is about is said by their numbers or, where these lie close together, by a bit for each: five thousand
numbers a drain, kept out of line, would cost the database twenty times as much, and whoever asks a hundred times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.binary_arrays import int4_array, int4s_of, times_of, timestamptz_array
from telemetry.intake.batch import Batch
from telemetry.rollups.levels import MINUTE, Level
from telemetry.rollups.members import bits_of, series_of
from telemetry.rollups.pieces import Pieces
from telemetry.timeseries.engine import Cursor, as_microseconds, as_timestamp

__all__ = ["SAID", "add_marks", "mark", "marked", "marked_upto", "oldest_marked", "said"]

#: With more different ranges than that, one row holds a range for each series.
_MOST_ROWS = 50
_ADD = (
    "INSERT INTO telemetry_rollupmark (level, low, high, newest, first_series, last_series, members, series, lows, highs) "
    "VALUES (%s, %s, %s, %s, %s, %s, %b, %b, %b, %b)"
)
_ADD_AGAIN = (
    "INSERT INTO telemetry_rollupmark (level, low, high, newest, first_series, last_series, members, series, lows, highs, at) "
    "VALUES (%s, %s, %s, %s, %s, %s, %b, %b, %b, %b, %s)"
)
#: What `said` reads of a row.
SAID = "id, low, high, first_series, members, array_send(series), array_send(lows), array_send(highs)"
# A hundred drains may have named the same ten thousand series: looking for some of them is the work of a tenth here.
_MARKED = f"""
SELECT {SAID} FROM telemetry_rollupmark
WHERE level = ANY(%s) AND low < %s AND high > %s AND first_series <= %s AND last_series >= %s AND id > %s ORDER BY id LIMIT %s
"""
# Minutes that are marked: ranges, and up to when readings in them may go.
_UPTO = """
SELECT low, high, max(least(coalesce(newest, high), high - interval '1 microsecond')) FROM telemetry_rollupmark
WHERE level = %s AND low < %s AND high > %s AND first_series <= %s AND last_series >= %s GROUP BY low, high
"""
#: What is here at a time.
_MARKS_AT_ONCE = 500


def mark(connection: psycopg.Connection[Any], written: Batch) -> None:
    """Note rows that were stored, sorted by (series, time), in their transaction."""
    if len(written):
        add_marks(connection, MINUTE, minutes_of(written), newest=int(written.times.max()))


def add_marks(
    connection: psycopg.Connection[Any],
    level: Level,
    pieces: Pieces,
    at: datetime | None = None,
    newest: int | None = None,
) -> None:
    """Say of these ranges that their buckets of this level have to be made again; ``at``: since when, if not since now;
    ``newest``: the latest event time (µs) of what they are about, if it is known."""
    if not len(pieces):
        return
    series, low, high = pieces.series, pieces.low, pieces.high
    # Most drains speak of one minute.
    if not ((low == low[0]).all() and (high == high[0]).all()):
        order = np.lexsort((series, high, low))
        series, low, high = series[order], low[order], high[order]
    known = None if newest is None else as_timestamp(newest)
    begins = np.flatnonzero(np.append(True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])))
    if len(begins) > _MOST_ROWS:
        rows: list[tuple[Any, ...]] = [
            (
                *(level.name, as_timestamp(int(low.min())), as_timestamp(int(high.max())), known),
                *(int(series.min()), int(series.max()), None),
                *(int4_array(series), timestamptz_array(low), timestamptz_array(high)),
            )
        ]
    else:
        rows = []
        for part, begin in zip(np.split(series, begins[1:]), begins, strict=True):
            members = bits_of(part)
            rows.append(
                (
                    *(level.name, as_timestamp(int(low[begin])), as_timestamp(int(high[begin])), known),
                    *(int(part[0]), int(part[-1]), members, None if members else int4_array(part), None, None),
                )
            )
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


def oldest_marked(cursor: Cursor, otherwise: int) -> int:
    """The earliest event time (µs) of anything that is marked."""
    cursor.execute("SELECT min(low) FROM telemetry_rollupmark")
    row = cursor.fetchone()
    return as_microseconds(row[0]) if row and row[0] is not None else otherwise


def marked(
    cursor: psycopg.Cursor[Any], level: Level, series_ids: Sequence[int], start: int, end: int
) -> list[tuple[int, int, int]]:
    """(series id, low, high) in µs: where in [start, end) rows of this level may be wrong or missing.

    Ranges are ascending, may overlap and reach beyond what was asked. To be asked in the same snapshot as the rows
    themselves, or before them.
    """
    if not series_ids or start >= end:
        return []
    asked = np.array(series_ids, np.int32)
    overlapping = [as_timestamp(end), as_timestamp(start), int(asked.max()), int(asked.min())]
    found: set[tuple[int, int, int]] = set()
    last = 0
    while True:
        cursor.execute(_MARKED, [_also_marking(level), *overlapping, last, _MARKS_AT_ONCE], binary=True)
        marks = cursor.fetchall()
        for pieces in said(marks):
            ours = np.isin(pieces.series, asked) & (pieces.low < end) & (pieces.high > start)
            found.update(
                zip(*(column[ours].tolist() for column in (pieces.series, pieces.low, pieces.high)), strict=True)
            )
        if len(marks) < _MARKS_AT_ONCE:
            return sorted(found)
        last = marks[-1][0]


def marked_upto(cursor: Cursor, first: int, last: int, start: int, end: int) -> list[tuple[int, int, int]]:
    """(low, high, latest event time at which there may be a reading) in µs, of all that is marked of minutes in [start, end)
    for any of the series from ``first`` to ``last``."""
    cursor.execute(_UPTO, [MINUTE.name, as_timestamp(end), as_timestamp(start), last, first])
    return [
        (as_microseconds(low), as_microseconds(high), as_microseconds(upto)) for low, high, upto in cursor.fetchall()
    ]


def said(marks: Sequence[Any]) -> Iterator[Pieces]:
    """What marks say, each a row of `SAID` in binary form: once however many drains said it."""
    numbers: dict[tuple[datetime, datetime], list[Any]] = {}
    sets: dict[tuple[datetime, datetime], list[tuple[int, bytes]]] = {}
    for _, low, high, first, members, series, lows, highs in marks:
        if members is not None:
            sets.setdefault((low, high), []).append((first, members))
        elif lows is not None and highs is not None:
            yield Pieces(int4s_of(series), times_of(lows), times_of(highs))
        else:
            numbers.setdefault((low, high), []).append(int4s_of(series))
    alike = [(bounds, series_of(each)) for bounds, each in sets.items()]
    alike += [(bounds, _once(np.concatenate(each))) for bounds, each in numbers.items()]
    for (low, high), ids in alike:
        ones = np.ones(len(ids), np.int64)
        yield Pieces(ids, ones * as_microseconds(low), ones * as_microseconds(high))


def _once(ids: NDArray[np.int32]) -> NDArray[np.int32]:
    """Each of them once, ascending."""
    first, span = ids.min(), int(ids.max()) - int(ids.min()) + 1
    if span > 100 * len(ids):
        return np.unique(ids)
    # A table of all numbers between is many times faster than sorting a million.
    there = np.zeros(span, np.bool_)
    there[ids - first] = True
    return (np.flatnonzero(there) + first).astype(np.int32)


def _also_marking(level: Level) -> list[str]:
    """A minute that has to be made again makes its hour and its day wrong."""
    return {"minute": ["minute"], "hour": ["minute", "hour"], "day": ["minute", "hour", "day"]}[level.name]

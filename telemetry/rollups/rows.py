"""Readings out of their table in pieces, and buckets into theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.binary_arrays import BinaryArray, float8_array, int4_array, int8_array, timestamptz_array
from telemetry.binary_rows import TO_2000, copy_body
from telemetry.rollups.buckets import Buckets
from telemetry.rollups.levels import Level
from telemetry.rollups.pieces import Pieces
from telemetry.timeseries.engine import TABLE, Range, as_timestamp
from telemetry.timeseries.landed import landed, parts
from telemetry.timeseries.stretches import Readings, Windows, in_windows

__all__ = ["Table", "fetch"]

#: As timestamptz_send and float8send write them.
_PACKED = np.dtype([("time", ">i8"), ("value", ">f8")])
# Each piece goes down the index by itself; the outer bounds are constants, by which the planner leaves out partitions.
_FETCH = f"""
SELECT u.place, (
    SELECT string_agg(packed, ''::bytea) FROM (
        SELECT timestamptz_send(time) || float8send(value) AS packed FROM {TABLE}
        WHERE series_id = u.series AND time >= u.low AND time < u.high AND time >= %s AND time < %s ORDER BY time
    ) AS ordered)
FROM unnest(%b, %b, %b) WITH ORDINALITY AS u(series, low, high, place) ORDER BY u.place
"""
#: What is known of landed ranges may be this old, in seconds.
_LOOK_SECONDS = 5.0
#: About so many readings are fetched at once: a tenth of a second. Of landed columns more, in several statements, for each
#: fetch opens batches of other series too.
_READINGS_AT_ONCE = 100_000
_LANDED_AT_ONCE = 400_000
_FIRST_PIECES = 16
_MOST_PIECES = 5_000


def fetch(
    connection: psycopg.Connection[Any], pieces: Pieces, level: Level, pause: Callable[[], None]
) -> Iterator[tuple[slice, Readings]]:
    """The readings of pieces, so many at a time that it is short, cut between buckets of the level: (which pieces,
    readings). ``pause`` is called between the statements of one fetch."""
    at, size = 0, _FIRST_PIECES
    while at < len(pieces):
        end = _between_buckets(pieces, min(len(pieces), at + size), level)
        part = slice(at, end)
        readings, whole = _fetch(connection, pieces.at(part), pause)
        yield part, readings
        # The next fetch is as large as this one was dense.
        wanted = (end - at) * (_LANDED_AT_ONCE if whole else _READINGS_AT_ONCE) // max(1, len(readings[1]))
        size = max(1, min(wanted, 4 * (end - at), _MOST_PIECES))
        at = end


def _between_buckets(pieces: Pieces, end: int, level: Level) -> int:
    """The first place from ``end`` on where no bucket is cut in two."""
    while (
        end < len(pieces)
        and pieces.series[end] == pieces.series[end - 1]
        and pieces.low[end] == pieces.high[end - 1]
        and pieces.low[end] % level.width
    ):
        end += 1
    return end


def _fetch(connection: psycopg.Connection[Any], pieces: Pieces, pause: Callable[[], None]) -> tuple[Readings, bool]:
    """With whether some of it lies in landed columns."""
    with connection.cursor() as cursor:
        known = landed(cursor, within=_LOOK_SECONDS)
        found, whole = [], False
        for part in parts(known, int(pieces.low.min()), int(pieces.high.max())):
            due = pieces.before(part.high).since(part.low)
            if len(due) and part.landed is not None:
                found.append(in_windows(cursor, part.landed, Windows(due.series, due.low, due.high), pause))
                whole = True
            elif len(due):
                found.append(_fetch_each(cursor, due))
    if len(found) == 1:
        return found[0], whole
    series, times, values = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((times, series))
    return (series[order], times[order], values[order]), whole


def _fetch_each(cursor: psycopg.Cursor[Any], pieces: Pieces) -> Readings:
    parameters = [
        as_timestamp(int(pieces.low.min())),
        as_timestamp(int(pieces.high.max())),
        *_ranges(pieces),
    ]
    found = cursor.execute(_FETCH, parameters, binary=True).fetchall()
    rows = np.frombuffer(b"".join(packed or b"" for _, packed in found), _PACKED)
    lengths = [len(packed) // _PACKED.itemsize if packed else 0 for _, packed in found]
    times = rows["time"].astype(np.int64) + TO_2000
    return np.repeat(pieces.series, lengths), times, rows["value"].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Table:
    """One level's table as a refresh finds it: the ranges that it is kept in, none where it is one table, and whether its
    server takes COPY FROM STDIN."""

    level: Level
    ranges: tuple[Range, ...]
    copy: bool

    def replace(self, connection: psycopg.Connection[Any], pieces: Pieces, buckets: Buckets) -> None:
        """Put the buckets of pieces in the place of those that were there."""
        packed = np.zeros(len(buckets), np.bool_)
        for each in self.ranges:
            if each.compressed:
                packed |= (buckets.time >= each.start) & (buckets.time < each.end)
        with connection.transaction():
            for table, loose in self._loose(pieces):
                _delete(connection, table, loose)
            self._put(connection, buckets.at(~packed), by_row=not self.copy)
            # In a compressed range a row finds its segment by itself, while a DELETE would unpack them all.
            self._put(connection, buckets.at(packed), by_row=True)

    def _loose(self, pieces: Pieces) -> Iterator[tuple[str, Pieces]]:
        """What of pieces may have rows outside compressed ranges, range by range and by the range's own table: a DELETE with a
        join would go down the index of every range for each piece."""
        if not self.ranges:
            yield self.level.table, pieces
        for each in self.ranges:
            inside = pieces.before(each.end).since(each.start)
            if len(inside) and not each.compressed:
                yield each.table, inside

    def _put(self, connection: psycopg.Connection[Any], buckets: Buckets, *, by_row: bool) -> None:
        if not len(buckets):
            return
        columns = _columns(buckets, self.level)
        names = ", ".join(columns)
        if by_row:
            arrays = [_array(name, kind, values) for name, (kind, values) in columns.items()]
            changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in ("series_id", "time"))
            connection.execute(
                f"INSERT INTO {self.level.table} ({names}) SELECT * FROM unnest({', '.join(['%b'] * len(arrays))}) "
                f"ON CONFLICT (series_id, time) DO UPDATE SET {changes}",
                arrays,
            )
        else:
            body = copy_body([(kind, _sent(name, values)) for name, (kind, values) in columns.items()])
            with connection.cursor().copy(f"COPY {self.level.table} ({names}) FROM STDIN (FORMAT BINARY)") as into:
                into.write(body)


def _sent(name: str, values: NDArray[Any]) -> NDArray[Any]:
    return values - TO_2000 if name == "time" else values


def _array(name: str, kind: str, values: NDArray[Any]) -> BinaryArray:
    return timestamptz_array(values) if name == "time" else _ARRAYS[kind](values)


_ARRAYS = {">i4": int4_array, ">i8": int8_array, ">f8": float8_array}


def _columns(buckets: Buckets, level: Level) -> dict[str, tuple[str, NDArray[Any]]]:
    """Name → (type, values) of the columns of a level's table; time in µs since 1970."""
    numbers = {name: getattr(buckets, name) for name in ("mean", "m2", "min", "max", "first", "last", "increase")}
    if level.percentiles:
        numbers |= dict(zip(("p50", "p95", "p99"), buckets.quantiles, strict=True))
    return {
        "series_id": (">i4", buckets.series),
        "time": (">i8", buckets.time),
        "count": (">i8", buckets.count),
        **{name: (">f8", column) for name, column in numbers.items()},
    }


def _ranges(pieces: Pieces) -> list[BinaryArray]:
    return [int4_array(pieces.series), timestamptz_array(pieces.low), timestamptz_array(pieces.high)]


def _delete(connection: psycopg.Connection[Any], table: str, pieces: Pieces) -> None:
    """Take the buckets of pieces out of a table.

    By the pieces alone, without their outer bounds: the newest buckets are always beyond what the planner's statistics know.
    It would expect no row within such bounds, walk through the whole index for them, and look through all pieces for each
    row that there is: seconds for some minutes of 10,000 series.
    """
    if len(pieces):
        connection.execute(
            f"DELETE FROM {table} AS r USING unnest(%b, %b, %b) AS u(series, low, high) "
            "WHERE r.series_id = u.series AND r.time >= u.low AND r.time < u.high",
            _ranges(pieces),
        )

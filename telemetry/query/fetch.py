"""Rows of a level, or readings, out of their tables: the SQL of every question.

Each window (tag, series, low, high) goes down the index by itself, except in landed columns (`landed_rows`). The tag says
whose rows they are: the place of a series, or of a line where the server itself adds up. Rows come packed in one binary
value: no Python object for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry.binary_arrays import int4_array, timestamptz_array
from telemetry.binary_rows import TO_2000
from telemetry.query import landed_rows
from telemetry.query.landed_rows import LOOK_SECONDS, Part, Windows, landed_apart
from telemetry.query.newest import newest_in
from telemetry.query.snapshot import Cursor
from telemetry.rollups.levels import DAY, Level
from telemetry.timeseries.engine import EARLIEST, TABLE, as_timestamp
from telemetry.timeseries.landed import landed
from telemetry.timeseries.landed import parts as parts_of_time

__all__ = [
    "Part",
    "Rows",
    "TooManyRows",
    "Windows",
    "added_up",
    "estimated_readings",
    "last_before",
    "rolled_days_hold",
    "rows_of",
]

Rows = NDArray[Any]


class TooManyRows(Exception):
    """More rows than the limit lie in the windows."""


#: So many different times of windows are told apart in one statement.
_MOST_TIMES = 12
#: (PostgreSQL's function that packs it, numpy's type) of each column that can be asked for.
_INT8 = ("int8send", ">i8")
_FLOAT8 = ("float8send", ">f8")
#: In the columns of a level's table a reading is a bucket of its own.
_OF_A_READING = {
    "count": "1::bigint",
    "m2": "0::float8",
    "increase": "0::float8",
    **dict.fromkeys(("mean", "min", "max", "first", "last"), "value"),
}
_NOTHING = "'NaN'::float8"


def rows_of(cursor: Cursor, parts: Sequence[Part], columns: Sequence[str], limit: int) -> Rows:
    """(tag, time, *columns) of every row of levels and of every reading, unsorted; time in µs since 1970. What a reading has
    not (percentiles) is NaN. Raises TooManyRows beyond `limit`."""
    fields = [("tag", "int4send(tag)", ">i4"), ("time", "timestamptz_send(time)", ">i8")]
    for name in columns:
        packer, kind = _INT8 if name == "count" else _FLOAT8
        fields.append((name, f"{packer}({name})", kind))
    parts, in_columns = landed_apart(cursor, parts)
    parts = _by_time(parts)
    found = [np.empty(0, _native(fields))]
    if parts:
        packed = _packed(cursor, fields, f"{_union(parts, columns)} LIMIT %s", [*_parameters(parts), limit + 1])
        packed["time"] += TO_2000
        found.append(packed)
    for part, windows in in_columns:
        found += [each.rows(columns, found[0].dtype) for each in landed_rows.read(cursor, part, windows)]
    if sum(map(len, found)) > limit:
        raise TooManyRows
    return np.concatenate(found)


def added_up(
    cursor: Cursor, parts: Sequence[Part], edges: NDArray[np.int64], columns: Sequence[str], limit: int
) -> Rows:
    """(tag, bucket, rows, count, mean, *columns) added up by tag and bucket (its place between the edges) on the server.

    Columns may be min and max. Raises TooManyRows where more than `limit` rows are added up.
    """
    fields = [("tag", "int4send(tag)", ">i4"), ("bucket", "int4send(bucket)", ">i4")]
    fields += [(name, f"float8send({name})", ">f8") for name in ("rows", "count", "mean", *columns)]
    parts, in_columns = landed_apart(cursor, parts)
    parts = _by_time(parts)
    wanted = ("count", "mean", *columns)
    added = "".join(f", {name}({name}) AS {name}" for name in columns)
    inner = (
        "SELECT tag, bucket, count(*)::float8 AS rows, sum(count::float8) AS count, "
        f"sum(count * mean) / sum(count::float8) AS mean{added} FROM ("
        f"SELECT tag, width_bucket(time, %b) - 1 AS bucket, {', '.join(wanted)} FROM ({_union(parts, wanted)}) AS found "
        "LIMIT %s) AS each GROUP BY tag, bucket"
    )
    found = [landed_rows.sums(cursor, part, windows, edges, _native(fields)) for part, windows in in_columns]
    if parts:
        found.append(_packed(cursor, fields, inner, [timestamptz_array(edges), *_parameters(parts), limit + 1]))
    packed = np.concatenate([np.empty(0, _native(fields)), *found])
    if packed["rows"].sum() > limit:
        raise TooManyRows
    return packed


def rolled_days_hold(cursor: Cursor, series: NDArray[np.int32], start: int, end: int) -> int:
    """About how many readings lie in a range, as far as its days are rolled up: cheap, and for guesses only."""
    cursor.execute(
        f"SELECT coalesce(sum(count), 0)::bigint FROM {DAY.table} WHERE series_id = ANY(%b) AND time >= %s AND time < %s",
        [int4_array(series), as_timestamp(DAY.ceiling(start)), as_timestamp(DAY.floor(end))],
    )
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def last_before(cursor: Cursor, series: NDArray[np.int32], time: int) -> dict[int, float]:
    """The value of the newest reading before a time, by series id; a series without one is left out."""
    # What most need lies near; the planner then looks at a few ranges instead of all of them.
    near = max(EARLIEST, time - 31 * 86_400_000_000)
    found = _last_between(cursor, series, near, time)
    missing = np.array([each for each in series.tolist() if each not in found], np.int32)
    if len(missing) and near > EARLIEST:
        found |= _last_between(cursor, missing, EARLIEST, near)
    return found


def estimated_readings(cursor: Cursor, windows: Windows) -> float:
    """How many readings the planner expects there; nothing is read."""
    seconds = (windows.high - windows.low).sum() / 1e6
    low, high = int(windows.low.min()), int(windows.high.max())
    series = np.unique(windows.series)
    cursor.execute(
        f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {TABLE} WHERE series_id = ANY(%b) AND time >= %s AND time < %s",
        [int4_array(series), as_timestamp(low), as_timestamp(high)],
    )
    row = cursor.fetchone()
    assert row is not None
    whole = float(row[0][0]["Plan"]["Plan Rows"])
    return whole * seconds / max(1.0, len(series) * timedelta(microseconds=high - low).total_seconds())


def _last_between(cursor: Cursor, series: NDArray[np.int32], low: int, high: int) -> dict[int, float]:
    found: dict[int, float] = {}
    for part in parts_of_time(landed(cursor, LOOK_SECONDS), low, high):
        missing = series[~np.isin(series, list(found))]
        if not len(missing):
            break
        if part.landed is not None:
            newest = newest_in(cursor, part, missing, part.high)
            found |= {number: value for number, (_, value) in newest.items()}
        else:
            found |= _last_each(cursor, missing, part.low, part.high)
    return found


def _last_each(cursor: Cursor, series: NDArray[np.int32], low: int, high: int) -> dict[int, float]:
    cursor.execute(
        f"SELECT s.id, newest.value FROM unnest(%b) AS s (id) CROSS JOIN LATERAL ("
        f"SELECT value FROM {TABLE} WHERE series_id = s.id AND time >= %s AND time < %s ORDER BY time DESC LIMIT 1"
        ") AS newest",
        [int4_array(series), as_timestamp(low), as_timestamp(high)],
    )
    return dict(cursor.fetchall())


def _by_time(parts: Sequence[Part]) -> list[Part]:
    """The same, windows of the same time apart from others where those are few times: with times that are the same for all,
    the server need not look for each window which partitions it leaves out. That is half of what a thousand windows take."""
    found: list[Part] = []
    for level, windows in parts:
        spans, span = np.unique(np.stack([windows.low, windows.high]), axis=1, return_inverse=True)
        if spans.shape[1] > _MOST_TIMES:
            found.append((level, windows))
        else:
            found += [(level, windows.at(span.ravel() == place)) for place in range(spans.shape[1])]
    return found


def _are_alike(windows: Windows) -> bool:
    return bool((windows.low == windows.low[0]).all() and (windows.high == windows.high[0]).all())


def _union(parts: Sequence[Part], columns: Sequence[str]) -> str:
    return " UNION ALL ".join(
        f"(SELECT {', '.join(['tag', 'time', *columns])} {_from(level, columns, alike=_are_alike(windows))})"
        for level, windows in parts
    )


def _from(level: Level | None, columns: Sequence[str], *, alike: bool) -> str:
    """The windows with their rows. OFFSET keeps the planner from joining in any other way."""
    table = level.table if level else TABLE
    shown = [name if level else f"{_OF_A_READING.get(name, _NOTHING)} AS {name}" for name in columns]
    given = "unnest(%b, %b) AS w (tag, series)" if alike else "unnest(%b, %b, %b, %b) AS w (tag, series, low, high)"
    own = "" if alike else "AND time >= w.low AND time < w.high "
    # The outer bounds are constants, by which the planner leaves out partitions.
    return (
        f"FROM {given} CROSS JOIN LATERAL (SELECT {', '.join(['time', *shown])} FROM {table} "
        f"WHERE series_id = w.series {own}AND time >= %s AND time < %s OFFSET 0) AS r"
    )


def _parameters(parts: Sequence[Part]) -> list[Any]:
    found: list[Any] = []
    for _, windows in parts:
        found += [int4_array(windows.tag), int4_array(windows.series)]
        if not _are_alike(windows):
            found += [timestamptz_array(windows.low), timestamptz_array(windows.high)]
        found += [as_timestamp(int(windows.low.min())), as_timestamp(int(windows.high.max()))]
    return found


def _packed(cursor: Cursor, fields: Sequence[tuple[str, str, str]], inner: str, parameters: Sequence[Any]) -> Rows:
    pack = " || ".join(packer for _, packer, _ in fields)
    cursor.execute(f"SELECT string_agg({pack}, ''::bytea) FROM ({inner}) AS rows", parameters, binary=True)
    row = cursor.fetchone()
    assert row is not None
    sent = np.frombuffer(row[0] or b"", np.dtype([(name, kind) for name, _, kind in fields]))
    return sent.astype(_native(fields))


def _native(fields: Sequence[tuple[str, str, str]]) -> np.dtype[Any]:
    """In the machine's own order of bytes, for arithmetic."""
    return np.dtype([(name, kind.replace(">", "=")) for name, _, kind in fields])

"""Raw readings in time order, a page at a time: as fast on the millionth page as on the first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import numpy as np
import psycopg
from django.db import connection

from telemetry.query.landed_rows import LOOK_SECONDS
from telemetry.timeseries.engine import EARLIEST, TABLE, as_microseconds, as_timestamp
from telemetry.timeseries.landed import FOREVER, Landed, Part, landed, parts
from telemetry.timeseries.stretches import Windows, in_windows

__all__ = ["Order", "Position", "Reading", "pages", "raw"]

Order = Literal["asc", "desc"]

_MICROSECOND = timedelta(microseconds=1)
_FIRST = as_timestamp(EARLIEST)
_LAST = as_timestamp(FOREVER)
_LEAST_ROWS = 16


class Position(NamedTuple):
    """A place in the order of readings, which is by time, then by series."""

    time: datetime
    series_id: int


class Reading(NamedTuple):
    """One stored reading; time is aware, UTC. Booleans are 1.0 and 0.0 here (see `telemetry.query.values`)."""

    time: datetime
    series_id: int
    value: float

    @property
    def position(self) -> Position:
        return Position(self.time, self.series_id)


def raw(
    series_ids: Sequence[int],
    start: datetime | None = None,
    end: datetime | None = None,
    order: Order = "asc",
    limit: int = 1000,
    after: Position | None = None,
) -> list[Reading]:
    """At most `limit` readings of these series with event times in [start, end), by (time, series id).

    `after` goes on behind a reading (before it, in descending order). Each series is read along its own index, or out of
    landed columns in stretches of time, in portions: a page of a device with 500 metrics reads about the rows that it
    shows, not all that lie in the range.
    """
    windows = _windows(series_ids, start or _FIRST, end or _LAST, order, after)
    rows: list[Reading] = []
    portion = min(limit, limit // max(1, len(windows)) + _LEAST_ROWS)
    hungry = list(windows)
    while hungry:
        unread: dict[int, Reading] = {}
        for series_id, got in _read(windows, hungry, order, portion).items():
            rows += got
            if len(got) == portion:
                unread[series_id] = got[-1]
                windows[series_id] = _beyond(windows[series_id], got[-1].time, order)
        rows.sort(reverse=order == "desc")
        last = rows[limit - 1] if len(rows) >= limit else None
        # Only a series that was cut off before the end of the page can still have something for it.
        hungry = [
            series_id
            for series_id, newest in unread.items()
            if last is None or (newest > last if order == "desc" else newest < last)
        ]
        portion = min(limit, portion * 2)
    return rows[:limit]


def pages(
    series_ids: Sequence[int],
    start: datetime | None = None,
    end: datetime | None = None,
    order: Order = "asc",
    size: int = 10_000,
) -> Iterator[list[Reading]]:
    """Everything in [start, end), a page at a time, each in a query of its own.

    Between pages no connection and no transaction is held, so that a slow reader blocks nobody (no server-side cursor:
    it would keep dropped partitions alive, and be cut off by idle_in_transaction_session_timeout).
    """
    after: Position | None = None
    while page := raw(series_ids, start, end, order, size, after):
        if not connection.in_atomic_block:
            connection.close()
        yield page
        if len(page) < size:
            return
        after = page[-1].position


_Window = tuple[datetime, datetime]


def _windows(
    series_ids: Sequence[int], start: datetime, end: datetime, order: Order, after: Position | None
) -> dict[int, _Window]:
    """Where to read each series: [from, until)."""
    windows = {}
    for series_id in series_ids:
        window = (start, end)
        if after is not None and order == "asc":
            window = (max(start, after.time if series_id > after.series_id else _next(after.time)), end)
        elif after is not None:
            window = (start, min(end, after.time if series_id >= after.series_id else _next(after.time)))
        if window[0] < window[1]:
            windows[series_id] = window
    return windows


def _beyond(window: _Window, time: datetime, order: Order) -> _Window:
    return (_next(time), window[1]) if order == "asc" else (window[0], time)


def _next(time: datetime) -> datetime:
    return time + _MICROSECOND


def _read(windows: dict[int, _Window], series_ids: list[int], order: Order, portion: int) -> dict[int, list[Reading]]:
    """The next readings of each series, at most `portion` each."""
    low, high = min(windows[each][0] for each in series_ids), max(windows[each][1] for each in series_ids)
    found: dict[int, list[Reading]] = {}
    with connection.cursor() as cursor:
        since, until = max(EARLIEST, as_microseconds(low)), min(FOREVER, as_microseconds(high))
        known = parts(landed(cursor, LOOK_SECONDS), since, until)
        for part in known if order == "desc" else known[::-1]:
            hungry = {
                each: window
                for each in series_ids
                if len(found.get(each, ())) < portion and (window := _inside(windows[each], part))
            }
            if hungry and part.landed is not None:
                with connection.wrap_database_errors, psycopg.Cursor(cursor.connection) as own:
                    more = _along(own, part, hungry, order, portion)
            else:
                more = _down(cursor, hungry, order, portion) if hungry else {}
            for series_id, got in more.items():
                found[series_id] = (found.get(series_id, []) + got)[:portion]
    return found


def _inside(window: _Window, part: Part) -> _Window | None:
    low, high = max(window[0], as_timestamp(part.low)), min(window[1], as_timestamp(part.high))
    return (low, high) if low < high else None


def _along(
    cursor: psycopg.Cursor[Any], part: Part, windows: dict[int, _Window], order: Order, portion: int
) -> dict[int, list[Reading]]:
    """The same out of landed columns: in stretches that grow, away from where the page begins."""
    assert part.landed is not None
    found: dict[int, list[Reading]] = {each: [] for each in windows}
    low = np.array([as_microseconds(window[0]) for window in windows.values()])
    high = np.array([as_microseconds(window[1]) for window in windows.values()])
    series = np.array(list(windows), np.int32)
    now = int(time.time() * 1e6)
    begin = int(low.min()) if order == "asc" else int(high.max())
    reached = max(begin, part.landed.since) if order == "asc" else min(begin, now)
    length = _stretch(part.landed, portion, now)
    while len(series):
        reached = reached + length if order == "asc" else reached - length
        length *= 4
        since, until = (begin, reached) if order == "asc" else (reached, begin)
        some = (low < until) & (high > since)
        if some.any():
            each = Windows(series[some], np.maximum(low[some], since), np.minimum(high[some], until))
            rows = zip(*(column.tolist() for column in in_windows(cursor, part.landed, each)), strict=True)
            got = [Reading(as_timestamp(at), number, value) for number, at, value in rows]
            for reading in got if order == "asc" else got[::-1]:
                if len(found[reading.series_id]) < portion:
                    found[reading.series_id].append(reading)
        begin = reached
        full = np.array([len(found[number]) >= portion for number in series.tolist()], np.bool_)
        left = ~full & ((high > reached) if order == "asc" else (low < reached))
        series, low, high = series[left], low[left], high[left]
    return found


def _stretch(known: Landed, portion: int, now: int) -> int:
    """About the time (µs) in which a series has so many readings."""
    return max(2_000_000, round(1.5e6 * portion * known.series / max(1.0, known.rows_a_second(now))))


def _down(cursor: Any, windows: dict[int, _Window], order: Order, portion: int) -> dict[int, list[Reading]]:
    direction = "DESC" if order == "desc" else "ASC"
    # The outer bounds are constants, by which the planner leaves out partitions; the inner ones differ by series.
    sql = f"""
        SELECT reading.time, wanted.series_id, reading.value
        FROM unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[]) AS wanted (series_id, low, high)
        CROSS JOIN LATERAL (
            SELECT time, value FROM {TABLE} AS stored
            WHERE stored.series_id = wanted.series_id AND stored.time >= wanted.low AND stored.time < wanted.high
              AND stored.time >= %s AND stored.time < %s
            ORDER BY time {direction} LIMIT %s
        ) AS reading
    """
    lows, highs = [window[0] for window in windows.values()], [window[1] for window in windows.values()]
    found: dict[int, list[Reading]] = {}
    cursor.execute(sql, [list(windows), lows, highs, min(lows), max(highs), portion])
    for row in cursor.fetchall():
        found.setdefault(row[1], []).append(Reading(*row))
    for got in found.values():
        got.sort(reverse=order == "desc")
    return found

"""Make the rollups true again where readings came: exactly the buckets that are marked, level by level.

One refresh at a time, whoever starts it: an advisory lock sees to that, for two would overwrite each other's newer rows
with older ones. A range is read, rolled and written before its marks go; readings that are stored meanwhile bring marks of
their own. So a crash at any moment only means that something is done again, and a query, which takes marked ranges from the
readings, is right at every moment.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from telemetry import measures
from telemetry.binary_arrays import int4s_of, times_of
from telemetry.rollups.buckets import roll
from telemetry.rollups.levels import LEVELS, MINUTE, Level
from telemetry.rollups.marks import add_marks
from telemetry.rollups.pieces import Pieces, union
from telemetry.rollups.rows import Table, fetch
from telemetry.store.loaders import can_copy
from telemetry.timeseries.engine import as_microseconds, as_timestamp, engine_in_use

__all__ = ["Refreshed", "is_refreshing", "refresh"]

logger = logging.getLogger(__name__)
Connection = psycopg.Connection[Any]

_LOCK = 7_261_002
_NEVER = 2**61
#: Marks taken up together, and series named in them: what one round holds in memory.
_MARKS_A_ROUND = 20_000
_SERIES_A_ROUND = 2_000_000
_TAKE = """
SELECT id, low, high, array_send(series), array_send(lows), array_send(highs) FROM (
    SELECT id, low, high, series, lows, highs, sum(cardinality(series)) OVER (ORDER BY id) - cardinality(series) AS before
    FROM (
        SELECT id, low, high, series, lows, highs FROM telemetry_rollupmark
        WHERE level = %s AND low < %s ORDER BY id LIMIT %s
    ) AS oldest
) AS counted WHERE before < %s
"""


@dataclass(slots=True)
class Refreshed:
    """What a refresh did."""

    readings: int = 0
    buckets: int = 0
    #: Nothing that was due is left.
    complete: bool = False
    #: Another process is at it: nothing was done here.
    elsewhere: bool = False
    #: Where it is: the level, and how many of its pieces of this round are made.
    level: str = ""
    pieces: int = 0
    made: int = 0


def refresh(
    connection: Connection,
    upto: int,
    *,
    keeps_all: bool = True,
    go_on: Callable[[], bool] = lambda: True,
    show: Callable[[Refreshed], None] = lambda done: None,
) -> Refreshed:
    """Work off what is marked before event time ``upto`` (µs; rounded down to the minute), over a connection in autocommit.

    ``keeps_all``: readings are kept for ever. Otherwise buckets that begin before the oldest range that is left stay as
    they are, for some of their readings may be gone. ``go_on`` is asked between portions; ``show`` is told of each.
    """
    done = Refreshed()
    with _alone(connection) as alone:
        if not alone:
            return Refreshed(elsewhere=True)
        begun = time.monotonic()
        upto = MINUTE.floor(upto)
        horizon = 0 if keeps_all else _oldest(connection)
        work = _Work(connection, horizon, can_copy(connection), go_on, show, done)
        # Finest first, and none before the finer ones are done: they mark what is to be made above them.
        done.complete = all(_level(work, level, level.floor(upto)) for level in LEVELS)
        if done.complete:
            connection.execute(
                "UPDATE telemetry_rollupstate SET rolled_upto = greatest(rolled_upto, %s), refreshed_at = now()",
                [as_timestamp(upto)],
            )
        measures.rollup_refresh_seconds.observe(time.monotonic() - begun)
    return done


def is_refreshing(connection: Connection) -> bool:
    """Whether a refresh is at work anywhere, over a connection in autocommit."""
    with _alone(connection) as alone:
        return not alone


@contextmanager
def _alone(connection: Connection) -> Iterator[bool]:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    got = bool(row and row[0])
    try:
        if got:
            # Every statement here goes down an index piece by piece, and the planner, who cannot know how many there are,
            # must not read a table of years instead.
            connection.execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
        yield got
    finally:
        if got and not connection.broken:
            connection.execute("RESET enable_seqscan; RESET enable_hashjoin; RESET enable_mergejoin")
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _oldest(connection: Connection) -> int:
    """Start of the oldest range of readings; beyond all times where there is none left."""
    with connection.cursor() as cursor:
        ranges = engine_in_use(cursor).ranges(cursor)
    return ranges[0].start if ranges else _NEVER


@dataclass(slots=True)
class _Work:
    """What one refresh works with, and what it has done."""

    connection: Connection
    horizon: int
    copy: bool
    go_on: Callable[[], bool]
    show: Callable[[Refreshed], None]
    done: Refreshed


def _level(work: _Work, level: Level, upto: int) -> bool:
    """Work off the marks of one level; answers whether none is left that begins before ``upto``."""
    limits = [level.name, as_timestamp(upto), _MARKS_A_ROUND, _SERIES_A_ROUND]
    while work.go_on():
        marks = work.connection.execute(_TAKE, limits, binary=True).fetchall()
        if not marks:
            return True
        everything = union([_said(*mark) for mark in marks], level)
        due = everything.before(upto).since(level.ceiling(work.horizon)).cut()
        made = _make(work, level, due)
        left, later = due.at(slice(made, None)), everything.since(upto)
        _settle(work.connection, level, [row[0] for row in marks], due.at(slice(made)), [left, later])
        if made < len(due):
            return False
    return False


def _said(number: int, low: datetime, high: datetime, series: bytes, lows: bytes | None, highs: bytes | None) -> Pieces:
    ids = int4s_of(series)
    if lows is not None and highs is not None:
        return Pieces(ids, times_of(lows), times_of(highs))
    ones = np.ones(len(ids), np.int64)
    return Pieces(ids, ones * as_microseconds(low), ones * as_microseconds(high))


def _make(work: _Work, level: Level, due: Pieces) -> int:
    """Make the buckets of these pieces; answers how many pieces there was time for."""
    made, done = 0, work.done
    done.level, done.pieces = level.name, len(due)
    for part, readings in fetch(work.connection, due, level):
        buckets = roll(*readings, level)
        _table(work, level).replace(work.connection, due.at(part), buckets)
        made = done.made = part.stop
        done.readings += len(readings[1])
        done.buckets += len(buckets)
        measures.rollup_buckets.labels(level=level.name).inc(len(buckets))
        work.show(done)
        if not work.go_on():
            break
    return made


def _table(work: _Work, level: Level) -> Table:
    with work.connection.cursor() as cursor:
        ranges = engine_in_use(cursor).ranges(cursor, level.table)
    return Table(level, tuple(ranges), work.copy)


def _settle(connection: Connection, level: Level, ids: list[int], made: Pieces, again: list[Pieces]) -> None:
    """The marks that were taken up go; what of them was not done or is not over yet is marked ``again``, and so are the wider
    buckets of what was made."""
    with connection.transaction():
        for rest in again:
            _mark(connection, level, rest)
        for wider in LEVELS[LEVELS.index(level) + 1 :][:1]:
            _mark(connection, wider, made)
        connection.execute("DELETE FROM telemetry_rollupmark WHERE id = ANY(%s)", [ids])


def _mark(connection: Connection, level: Level, pieces: Pieces) -> None:
    add_marks(connection, level, union([pieces], level))

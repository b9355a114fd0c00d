"""Make the rollups true again where readings came: exactly the buckets that are marked, level by level.

One refresh at a time, whoever starts it: an advisory lock sees to that, for two would overwrite each other's newer rows
with older ones. A range is read, rolled and written before its marks go; readings that are stored meanwhile bring marks of
their own. So a crash at any moment only means that something is done again, and a query, which takes marked ranges from the
readings, is right at every moment.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from telemetry import measures
from telemetry.rollups.buckets import roll
from telemetry.rollups.levels import LEVELS, MINUTE, Level
from telemetry.rollups.marks import SAID, add_marks, said
from telemetry.rollups.pieces import Pieces, union
from telemetry.rollups.rows import Table, fetch
from telemetry.store.loaders import can_copy
from telemetry.timeseries.engine import as_timestamp, engine_in_use

__all__ = ["Refreshed", "refresh"]

logger = logging.getLogger(__name__)
Connection = psycopg.Connection[Any]

_LOCK = 7_261_002
_NEVER = 2**61
#: What one round holds in memory.
_PIECES_A_ROUND = 1_000_000
#: Marks read by one statement, and series named in them.
_MARKS_AT_ONCE = 2_000
_SERIES_AT_ONCE = 500_000
#: Hours and days that are made again rest so long (s) after the first thing that is new in them, where nobody is in a hurry.
_RESTS = {"hour": 300.0, "day": 1800.0}
_WAITING = """
SELECT coalesce(max(id), 0), min(at) FILTER (WHERE level = %s AND low < %s), clock_timestamp() FROM telemetry_rollupmark
"""
_TAKE = f"""
SELECT {SAID} FROM (
    SELECT *, sum(named) OVER (ORDER BY id) - named AS before FROM (
        SELECT *, coalesce(bit_count(members), cardinality(series)) AS named FROM telemetry_rollupmark
        WHERE level = %s AND low < %s AND id > %s AND id <= %s ORDER BY id LIMIT %s
    ) AS oldest
) AS counted WHERE before < %s ORDER BY id
"""


@dataclass(slots=True)
class Refreshed:
    """What a refresh did."""

    readings: int = 0
    buckets: int = 0
    #: Nothing is left of what was due and marked as each level was begun.
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
    patient: bool = False,
    go_on: Callable[[], bool] = lambda: True,
    pause: Callable[[], None] = lambda: None,
    show: Callable[[Refreshed], None] = lambda done: None,
) -> Refreshed:
    """Work off what is marked before event time ``upto`` (µs; rounded down to the minute), over a connection in autocommit.

    ``keeps_all``: readings are kept for ever. Otherwise buckets that begin before the oldest range that is left stay as
    they are, for some of their readings may be gone. ``patient``: hours and days are made again some minutes after what is
    new in them, for they are made of all their readings, and more may be on its way. ``go_on`` is asked between portions,
    ``show`` is told of each, and ``pause`` is called within them, no lock being held.
    """
    done = Refreshed()
    with _alone(connection) as alone:
        if not alone:
            return Refreshed(elsewhere=True)
        begun = time.monotonic()
        upto = MINUTE.floor(upto)
        work = _Work(connection, keeps_all, _RESTS if patient else {}, can_copy(connection), go_on, pause, show, done)
        # Finest first, and none before the finer ones are done: they mark what is to be made above them. So once the minutes
        # are there, all before is said by buckets and marks, also where an hour of many readings takes longer.
        if _level(work, MINUTE, upto):
            connection.execute(
                "UPDATE telemetry_rollupstate SET rolled_upto = greatest(rolled_upto, %s)", [as_timestamp(upto)]
            )
            done.complete = all(_level(work, level, level.floor(upto)) for level in LEVELS[1:])
        if done.complete:
            connection.execute("UPDATE telemetry_rollupstate SET refreshed_at = now()")
        measures.rollup_refresh_seconds.observe(time.monotonic() - begun)
    return done


@contextmanager
def _alone(connection: Connection) -> Iterator[bool]:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    got = bool(row and row[0])
    try:
        if got:
            # Every statement here goes down an index piece by piece, and the planner, who cannot know how many there are,
            # must not read a table of years instead.
            connection.execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
            # One core of the database's at most, whatever else it has to do.
            connection.execute("SET max_parallel_workers_per_gather = 0")
        yield got
    finally:
        if got and not connection.broken:
            connection.execute("RESET enable_seqscan; RESET enable_hashjoin; RESET enable_mergejoin")
            connection.execute("RESET max_parallel_workers_per_gather")
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
    keeps_all: bool
    #: Seconds by level.
    rests: Mapping[str, float]
    copy: bool
    go_on: Callable[[], bool]
    pause: Callable[[], None]
    show: Callable[[Refreshed], None]
    done: Refreshed


def _level(work: _Work, level: Level, upto: int) -> bool:
    """Work off the marks of one level; answers whether none is left that begins before ``upto`` and was there already. While
    late readings keep coming there would be no end: a minute would be made again for every drain that brings some."""
    row = work.connection.execute(_WAITING, [level.name, as_timestamp(upto)]).fetchone()
    last, since, now = row or (0, None, None)
    if since is None or (now - since).total_seconds() < work.rests.get(level.name, 0.0):
        return True
    while work.go_on():
        ids, everything = _take(work, level, upto, last)
        if not ids:
            return True
        # After the marks: the ranges of all that they speak of are there, or were dropped.
        horizon = 0 if work.keeps_all else _oldest(work.connection)
        due = everything.before(upto).since(level.ceiling(horizon)).cut()
        made = _make(work, level, due)
        left, later = due.at(slice(made, None)), everything.since(upto)
        _settle(work.connection, level, ids, due.at(slice(made)), [left, later], since)
        if made < len(due):
            return False
    return False


def _take(work: _Work, level: Level, upto: int, last: int) -> tuple[list[int], Pieces]:
    """Marks of a level that begin before ``upto``, up to the id ``last``: their ids, and what they say together. Drains that
    follow each other mark the same minutes of the same series, which are to be read once."""
    ids, everything = [0], Pieces.none()
    while len(everything) < _PIECES_A_ROUND:
        limits = [level.name, as_timestamp(upto), ids[-1], last, _MARKS_AT_ONCE, _SERIES_AT_ONCE]
        marks = work.connection.execute(_TAKE, limits, binary=True).fetchall()
        if not marks:
            break
        ids += [row[0] for row in marks]
        everything = union([everything, *said(marks)], level)
        work.pause()
    return ids[1:], everything


def _make(work: _Work, level: Level, due: Pieces) -> int:
    """Make the buckets of these pieces; answers how many pieces there was time for."""
    made, done = 0, work.done
    done.level, done.pieces = level.name, len(due)
    for part, readings in fetch(work.connection, due, level, work.pause):
        work.pause()
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


def _settle(
    connection: Connection, level: Level, ids: list[int], made: Pieces, again: list[Pieces], since: datetime
) -> None:
    """The marks that were taken up go; what of them was not done or is not over yet is marked ``again`` (as it was ``since``
    then), and so are the wider buckets of what was made."""
    with connection.transaction():
        for rest in again:
            add_marks(connection, level, union([rest], level), since)
        for wider in LEVELS[LEVELS.index(level) + 1 :][:1]:
            add_marks(connection, wider, union([made], wider))
        connection.execute("DELETE FROM telemetry_rollupmark WHERE id = ANY(%s)", [ids])

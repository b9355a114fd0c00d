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
from typing import Any

import psycopg

from telemetry import measures
from telemetry.binary_arrays import int4s_of
from telemetry.rollups.buckets import roll
from telemetry.rollups.levels import LEVELS, MINUTE, Level
from telemetry.rollups.marks import Marked, add_marks, grouped
from telemetry.rollups.pieces import Pieces, union
from telemetry.rollups.rows import fetch, write_buckets
from telemetry.timeseries.engine import as_microseconds, as_timestamp, engine_in_use

__all__ = ["Refreshed", "refresh"]

logger = logging.getLogger(__name__)
Connection = psycopg.Connection[Any]

_LOCK = 7_261_002
#: Marks taken up together, and series named in them: what one round holds in memory.
_MARKS_A_ROUND = 20_000
_SERIES_A_ROUND = 2_000_000
_TAKE = """
SELECT id, low, high, array_send(series) FROM (
    SELECT id, low, high, series, sum(cardinality(series)) OVER (ORDER BY id) - cardinality(series) AS before
    FROM (
        SELECT id, low, high, series FROM telemetry_rollupmark
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
        # Finest first, and none before the finer ones are done: they mark what is to be made above them.
        done.complete = all(
            _level(connection, level, level.floor(upto), horizon, go_on, show, done) for level in LEVELS
        )
        if done.complete:
            connection.execute(
                "UPDATE telemetry_rollupstate SET rolled_upto = greatest(rolled_upto, %s), refreshed_at = now()",
                [as_timestamp(upto)],
            )
        measures.rollup_refresh_seconds.observe(time.monotonic() - begun)
    return done


@contextmanager
def _alone(connection: Connection) -> Iterator[bool]:
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    got = bool(row and row[0])
    try:
        yield got
    finally:
        if got and not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _oldest(connection: Connection) -> int:
    with connection.cursor() as cursor:
        ranges = engine_in_use(cursor).ranges(cursor)
    return ranges[0].start if ranges else 0


def _level(
    connection: Connection,
    level: Level,
    upto: int,
    horizon: int,
    go_on: Callable[[], bool],
    show: Callable[[Refreshed], None],
    done: Refreshed,
) -> bool:
    """Work off the marks of one level; answers whether none is left that begins before ``upto``."""
    while go_on():
        marks = connection.execute(
            _TAKE, [level.name, as_timestamp(upto), _MARKS_A_ROUND, _SERIES_A_ROUND], binary=True
        ).fetchall()
        if not marks:
            return True
        said: list[Marked] = [
            (int4s_of(series), as_microseconds(low), as_microseconds(high)) for _, low, high, series in marks
        ]
        everything = union(said, level)
        due = everything.before(upto).since(level.ceiling(horizon)).cut()
        made = 0
        for part, readings in fetch(connection, due, level):
            buckets = roll(*readings, level)
            write_buckets(connection, level, buckets)
            made = part.stop
            done.readings += len(readings[1])
            done.buckets += len(buckets)
            measures.rollup_buckets.labels(level=level.name).inc(len(buckets))
            show(done)
            if not go_on():
                break
        ids = [row[0] for row in marks]
        _settle(connection, level, ids, due.at(slice(0, made)), due.at(slice(made, None)), everything.since(upto))
        if made < len(due):
            return False
    return False


def _settle(connection: Connection, level: Level, ids: list[int], made: Pieces, left: Pieces, later: Pieces) -> None:
    """The marks that were taken up go; what of them was not done, or is not over yet, is marked anew, and so are the wider
    buckets of what was done."""
    wider = LEVELS[LEVELS.index(level) + 1 :][:1]
    with connection.transaction():
        for rest in (left, later):
            _mark(connection, level, rest)
        for above in wider:
            _mark(connection, above, made)
        connection.execute("DELETE FROM telemetry_rollupmark WHERE id = ANY(%s)", [ids])


def _mark(connection: Connection, level: Level, pieces: Pieces) -> None:
    whole = union(grouped(pieces.series, pieces.low, pieces.high), level)
    add_marks(connection, level, grouped(whole.series, whole.low, whole.high))

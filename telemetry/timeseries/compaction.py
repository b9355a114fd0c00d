"""Columnar chunks that are written no more are sorted as a whole: smaller, and a series is found in one place.

TimescaleDB locks a chunk against writers while it sorts it, and for a moment at the end against readers too. So whoever
sorts gives way: a drain that waits for the chunk has the work cancelled, and it is done again later, from the start.
Nothing is lost then, for the sorted copy takes the place of the other in one transaction. Where late readings never stop it
has to insist at last: drains then put those off that go into this chunk (`telemetry.timeseries.columnar.wait_for`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import psycopg

from telemetry.timeseries.engine import TABLE, Cursor, Unsorted, as_microseconds

__all__ = ["Outcome", "compact", "unsorted"]

logger = logging.getLogger(__name__)
Connection = psycopg.Connection[Any]

#: Bits of a chunk's status in TimescaleDB's catalog: it has columns, these are not sorted, it has rows beside them.
_COLUMNS, _LANDED, _ROWS = 1, 2, 8
#: Rows beside columns that are not sorted either: one call merges the rows, the next sorts, unless rows came meanwhile.
_CALLS = 3
#: A lock that is not had within this time is not waited for: readers queue up behind who waits to lock them out. Less
#: than the server's deadlock_timeout (1 s), so that a drain is seldom the one to be ended; then it begins again at once.
_LOCK_MILLISECONDS = 500
_LOOK_SECONDS = 0.05
#: Whoever looks at a chunk for longer than this keeps its sorted copy from taking its place.
_LONG_SECONDS = 2.0

# A chunk that was made before its first columns came is said to have rows from then on, also where it has none.
_CHUNKS = f"""
SELECT name, range_start, range_end, status & {_LANDED} <> 0, pg_relation_size(to_regclass(name)) > 0
FROM (
    SELECT name, range_start, range_end, _timescaledb_functions.chunk_status(to_regclass(name)) AS status
    FROM timescaledb_information.chunks
    CROSS JOIN LATERAL format('%%I.%%I', chunk_schema, chunk_name) AS name
    WHERE hypertable_name = '{TABLE}' AND hypertable_schema = current_schema()
) chunks
WHERE status & {_LANDED | _ROWS} <> 0 OR status & {_COLUMNS} = 0 AND pg_relation_size(to_regclass(name)) > 0
ORDER BY range_start
"""
_STATUS = "SELECT _timescaledb_functions.chunk_status(to_regclass(%s))"
_LOOKED_AT = """
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.relation = to_regclass(%s) AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - make_interval(secs => %s)
"""
# While the one who sorts waits for a lock himself, his lock_timeout decides.
_KEPT_WAITING = """
SELECT count(*) FROM pg_locks w
WHERE NOT w.granted AND w.waitstart < clock_timestamp() - make_interval(secs => %s) AND %s = ANY(pg_blocking_pids(w.pid))
  AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = %s AND a.wait_event_type = 'Lock')
"""

#: ``done``; ``gave_way`` to a writer; ``held`` by a reader that takes long; ``gone`` with the retention.
Outcome = Literal["done", "gave_way", "held", "gone"]


def unsorted(cursor: Cursor, before: int | None = None) -> list[Unsorted]:
    """Chunks of the readings to be sorted, oldest first; with ``before`` those that end at or before that time (µs).

    Only for a columnar table: any engine is asked by `Engine.unsorted`.
    """
    cursor.execute(_CHUNKS, [])
    found = [
        Unsorted(table, as_microseconds(start), as_microseconds(end), landed, bool(rows))
        for table, start, end, landed, rows in cursor.fetchall()
    ]
    return found if before is None else [chunk for chunk in found if chunk.end <= before]


def compact(connect: Callable[[], Connection], chunk: Unsorted, patience: float | None) -> Outcome:
    """Sort a chunk, unless a writer would wait for it longer than ``patience`` seconds; None: whoever waits.

    ``connect`` makes connections in autocommit mode on which a statement may take long. Raises psycopg.Error where it
    was neither writers nor readers.
    """
    with connect() as connection:
        if _looked_at(connection, chunk):
            return "held"
        connection.execute(f"SET lock_timeout = '{_LOCK_MILLISECONDS}ms'")
        # Where this process is killed, nobody is kept waiting for what nobody wants any more.
        connection.execute("SET client_connection_check_interval = '1s'")
        outcome = _sort(connect, connection, chunk, patience)
        if outcome == "done" and chunk.rows:
            _give_back(connection, chunk)
    return outcome


def _sort(
    connect: Callable[[], Connection], connection: Connection, chunk: Unsorted, patience: float | None
) -> Outcome:
    try:
        # In one transaction: what is locked for the merging stays so for the sorting, and no row comes in between.
        giving_way = nullcontext() if patience is None else _giving_way(connect, connection, patience)
        with giving_way, connection.transaction():
            for _ in range(_CALLS):
                connection.execute("SELECT compress_chunk(%s::regclass, if_not_compressed => true)", [chunk.table])
                if _is_sorted(connection, chunk):
                    return "done"
    except psycopg.errors.QueryCanceled:
        return "gave_way"
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        return "held"
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedObject):
        return "gone"
    return "gave_way"


def _give_back(connection: Connection, chunk: Unsorted) -> None:
    """The room of the rows that are in columns now, and of their index: a third of the chunk where a tenth of it came as
    rows. Nobody waits for VACUUM but who would change or drop the table; the index of a table that is empty, or nearly,
    is made in no time."""
    try:
        connection.execute(f"VACUUM {chunk.table}")
        connection.execute(f"REINDEX TABLE {chunk.table}")
    except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable):
        logger.info("chunk_not_vacuumed", extra={"chunk": chunk.table})


def _looked_at(connection: Connection, chunk: Unsorted) -> bool:
    row = connection.execute(_LOOKED_AT, [chunk.table, _LONG_SECONDS]).fetchone()
    return bool(row and row[0])


def _is_sorted(connection: Connection, chunk: Unsorted) -> bool:
    row = connection.execute(_STATUS, [chunk.table]).fetchone()
    return row is not None and row[0] is not None and not row[0] & (_LANDED | _ROWS)


@contextmanager
def _giving_way(connect: Callable[[], Connection], working: Connection, patience: float) -> Iterator[None]:
    """Whatever ``working`` does in here is cancelled once somebody has waited for its locks so long (seconds)."""
    watching, over = threading.Event(), threading.Event()
    pid = working.info.backend_pid

    def watch() -> None:
        try:
            with connect() as connection:
                while not over.wait(_LOOK_SECONDS if watching.is_set() else 0):
                    waiting = connection.execute(_KEPT_WAITING, [patience, pid, pid]).fetchone()
                    watching.set()
                    if waiting and waiting[0] and not over.is_set():
                        connection.execute("SELECT pg_cancel_backend(%s)", [pid])
        except psycopg.Error:
            # Who cannot see whom he keeps waiting must not go on.
            logger.exception("compaction_unwatched")
            over.set()
            working.cancel_safe(timeout=_LOOK_SECONDS * 20)
        finally:
            watching.set()

    watcher = threading.Thread(target=watch, name="compaction-watch", daemon=True)
    watcher.start()
    try:
        watching.wait()
        if over.is_set():
            raise psycopg.OperationalError("nobody could look who waits for the compaction")
        yield
    finally:
        over.set()
        watcher.join()

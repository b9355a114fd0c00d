"""Which event times lie in columns as drains landed them, and what that means for whoever reads.

TimescaleDB keeps such a chunk in batches of 1,000 rows, a thousand of which may hold one series: going down to one series
costs milliseconds there, while whole stretches of time are read at tens of nanoseconds a row. Elsewhere (rows, and columns
once they are sorted) a series is found in microseconds. So readers choose their way by this; every way is right
everywhere, and what is known here may be late.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from telemetry.timeseries.engine import TABLE, as_microseconds, as_timestamp

__all__ = ["FOREVER", "Landed", "Part", "landed", "parts", "whole_columns"]

#: After every event time, in µs: the last day of the year 9999, which both PostgreSQL and Python can say.
FOREVER = 253_402_214_400_000_000
#: What a landed row takes on the disk, in bytes: it only has to be right within a factor of two.
_BYTES_A_ROW = 14
_NO_WORKERS = "SELECT set_config('max_parallel_workers_per_gather', '0', true)"
_CAN_LAND = "SELECT to_regclass('_timescaledb_catalog.compression_settings') IS NOT NULL"
# Bit 2 of a chunk's status says that its columns are not in order (src/chunk.h of TimescaleDB). A chunk may go meanwhile.
_LANDED = """
SELECT v.range_start, v.range_end, coalesce(pg_total_relation_size(s.compress_relid), 0)
FROM timescaledb_information.chunks v
JOIN _timescaledb_catalog.chunk c ON c.schema_name = v.chunk_schema AND c.table_name = v.chunk_name AND c.status & 2 <> 0
JOIN _timescaledb_catalog.compression_settings s ON s.relid = to_regclass(format('%%I.%%I', v.chunk_schema, v.chunk_name))
WHERE v.hypertable_schema = current_schema() AND v.hypertable_name = %s
ORDER BY v.range_start
"""


@dataclass(frozen=True, slots=True)
class Landed:
    """A range [low, high) of event time (µs since 1970) that lies in landed columns."""

    low: int
    high: int
    #: About how many rows, the event time of the oldest, and the largest series id: for guesses only.
    rows: int = 0
    since: int = 0
    series: int = 1

    def rows_a_second(self, now: int) -> float:
        """About how many rows a second of event time has; ``now`` in µs since 1970."""
        return self.rows * 1e6 / max(1_000_000, min(self.high, now) - max(self.low, self.since))


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch [low, high) of event time that is landed, or of which nothing is."""

    low: int
    high: int
    landed: Landed | None = None


_remembered: dict[str, tuple[float, tuple[Landed, ...]]] = {}
_ends: dict[tuple[str, int], tuple[int, int]] = {}


def landed(cursor: Any, within: float = 0.0) -> tuple[Landed, ...]:
    """The landed ranges of the readings table, oldest first. ``within``: an answer so old (seconds) will do."""
    info = cursor.connection.info
    database = f"{info.host}:{info.port}/{info.dbname}"
    asked, known = _remembered.get(database, (float("-inf"), ()))
    now = time.monotonic()
    if now - asked > within:
        known = _look(cursor, database)
        _remembered[database] = (now, known)
    return known


def parts(known: Sequence[Landed], low: int, high: int) -> list[Part]:
    """[low, high) cut where landed ranges begin and end, newest first."""
    found, end = [], high
    for each in sorted(known, key=lambda one: one.low, reverse=True):
        begin, until = max(low, each.low), min(end, each.high)
        if begin >= until:
            continue
        if until < end:
            found.append(Part(until, end))
        found.append(Part(begin, until, each))
        end = begin
    if low < end:
        found.append(Part(low, end))
    return found


@contextmanager
def whole_columns(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """In here the server groups and adds up whole columns: 35 ns a reading, without workers at its side. With them it goes row
    by row and takes four times as long. Holds for the rest of the caller's transaction; where there is none, in one of its
    own. Such a statement must compare with constants only, and join nothing."""
    outside = connection.info.transaction_status == TransactionStatus.IDLE
    with connection.transaction() if outside else nullcontext():
        connection.execute(_NO_WORKERS)
        yield


def _look(cursor: Any, database: str) -> tuple[Landed, ...]:
    cursor.execute(_CAN_LAND)
    if not cursor.fetchone()[0]:
        return ()
    cursor.execute(_LANDED, [TABLE])
    found = []
    for start, end, size in cursor.fetchall():
        low, high = as_microseconds(start), as_microseconds(end)
        ends = _ends.get((database, low))
        if ends is None:
            ends = _ends[database, low] = _ends_of(cursor, low, high)
        found.append(Landed(low, high, size // _BYTES_A_ROW, *ends))
    return tuple(found)


def _ends_of(cursor: Any, low: int, high: int) -> tuple[int, int]:
    """The oldest event time and the largest series id there: read from whole columns, once for each range."""
    cursor.execute(
        f"SELECT min(time), max(series_id) FROM {TABLE} WHERE time >= %s AND time < %s",
        [as_timestamp(low), as_timestamp(high)],
    )
    oldest, largest = cursor.fetchone()
    return (low, 1) if oldest is None else (as_microseconds(oldest), largest)

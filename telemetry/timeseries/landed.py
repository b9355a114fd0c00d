"""Which event times lie in columns as drains landed them, and what that means for whoever reads.

TimescaleDB keeps such a chunk in batches of 1,000 rows, a thousand of which may hold one series: going down to one series
costs milliseconds there, while whole stretches of time are read at tens of nanoseconds a row. Elsewhere (rows, and columns
once they are sorted) a series is found in microseconds. So readers choose their way by this; every way is right
everywhere, and what is known here may be late.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from telemetry.timeseries.engine import TABLE, as_microseconds, as_timestamp

__all__ = ["FOREVER", "Landed", "Part", "landed", "parts"]

#: After every event time, in µs: the last day of the year 9999, which both PostgreSQL and Python can say.
FOREVER = 253_402_214_400_000_000
#: What a landed row takes on the disk, in bytes: it only has to be right within a factor of two.
_BYTES_A_ROW = 14
_CAN_LAND = "SELECT to_regprocedure('_timescaledb_functions.chunk_status(regclass)') IS NOT NULL"
#: Bit 2 of a chunk's status says that its batches are not in order (src/chunk.h of TimescaleDB).
_LANDED = """
SELECT c.range_start, c.range_end, pg_total_relation_size(s.compress_relid)
FROM timescaledb_information.chunks c
JOIN _timescaledb_catalog.compression_settings s ON s.relid = format('%%I.%%I', c.chunk_schema, c.chunk_name)::regclass
WHERE c.hypertable_schema = current_schema() AND c.hypertable_name = %s AND c.is_compressed
    AND _timescaledb_functions.chunk_status(s.relid) & 2 <> 0
ORDER BY c.range_start
"""


@dataclass(frozen=True, slots=True)
class Landed:
    """A range [low, high) of event time (µs since 1970) that lies in landed columns."""

    low: int
    high: int
    #: About how many, and the event time of the oldest.
    rows: int = 0
    since: int = 0

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
_since: dict[tuple[str, int], int] = {}


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


def _look(cursor: Any, database: str) -> tuple[Landed, ...]:
    cursor.execute(_CAN_LAND)
    if not cursor.fetchone()[0]:
        return ()
    cursor.execute(_LANDED, [TABLE])
    found = []
    for start, end, size in cursor.fetchall():
        low, high = as_microseconds(start), as_microseconds(end)
        since = _since.get((database, low))
        if since is None:
            since = _since[database, low] = _oldest(cursor, low, high)
        found.append(Landed(low, high, size // _BYTES_A_ROW, since))
    return tuple(found)


def _oldest(cursor: Any, low: int, high: int) -> int:
    cursor.execute(f"SELECT min(time) FROM {TABLE} WHERE time >= %s AND time < %s", _bounds(low, high))
    row = cursor.fetchone()
    return as_microseconds(row[0]) if row[0] is not None else low


def _bounds(low: int, high: int) -> list[Any]:
    return [as_timestamp(low), as_timestamp(high)]

"""TimescaleDB's columnar hot path: large drains are written straight into the compressed columnstore.

COPY does so ("direct compress") where the hypertable has no unique index, no exclusion constraint and no row trigger; with
one of them it silently writes rows. So this layout gives the unique index up: a reading is new because its series'
frontier says so, and nothing else. Rows are ordered by (series_id, time) and not segmented by series, for a drain brings a
few readings of each of thousands of series: segments of so few rows cost more bytes than plain rows, and a fifth of the
speed (docs/architecture.md has the figures).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.timeseries import compaction, widths
from telemetry.timeseries.engine import INDEX, TABLE, Cursor, Unsorted, as_microseconds, as_timestamp
from telemetry.timeseries.timescale import Timescale

__all__ = ["SOUND_FROM", "BeingSorted", "Columnar", "chunks_for", "holding", "unsound", "wait_for"]

#: Before it, COPY into the columnstore skipped NOT NULL and CHECK (TimescaleDB's changelog of 2.28.1).
SOUND_FROM = (2, 28, 1)

#: How wide the first chunks are, while nobody knows how much comes.
_FIRST_DAYS = 1

_CHUNKS = f"""
SELECT format('%%I.%%I', chunk_schema, chunk_name), range_start, range_end FROM timescaledb_information.chunks
WHERE hypertable_name = '{TABLE}' AND hypertable_schema = current_schema() AND range_end > %s AND range_start <= %s
"""


class Columnar(Timescale):
    """A hypertable without a unique index; what is landed in columns is ordered by (series_id, time)."""

    refuses_repeats = False

    def _index(self, cursor: Cursor) -> None:
        cursor.execute(f"CREATE INDEX {INDEX} ON {TABLE} (series_id, time)")
        cursor.execute(self.compression())

    @staticmethod
    def compression() -> str:
        # Left to itself, the server adds a bloom filter of 1 kB to every batch of 1,000 rows, because of the index: looking
        # for batches then reads ten times as much (smallest and largest series and time, which it keeps anyway, find them).
        # Smallest and largest value, 16 bytes, are the least that takes its place: with '' the server ends with a
        # segmentation fault on two equalities, and on DELETE (timescale/timescaledb#10414, 2.27.0 to 2.29.1).
        return (
            f"ALTER TABLE {TABLE} SET (timescaledb.compress, timescaledb.compress_segmentby = '', "
            "timescaledb.compress_orderby = 'series_id, time', timescaledb.sparse_index = 'minmax(value)')"
        )

    def create(self, cursor: Cursor, days: int) -> None:
        super().create(cursor, min(days, _FIRST_DAYS))

    def width(self, cursor: Cursor, days: int) -> int:
        return widths.width(cursor)

    def fit(self, cursor: Cursor, now: int, readings: int, days: int, keep_days: int) -> bool:
        return widths.fit(cursor, now, readings, days, keep_days)

    def compress_before(self, cursor: Cursor, before: int, table: str = TABLE) -> list[str]:
        """Rollups as elsewhere. Readings are compressed as they land; who sorts them later gives way to drains."""
        return [] if table == TABLE else super().compress_before(cursor, before, table)

    def unsorted(self, cursor: Cursor, before: int) -> list[Unsorted]:
        return compaction.unsorted(cursor, before)


def chunks_for(cursor: Cursor, times: NDArray[np.int64]) -> list[str]:
    """The chunks of these event times (µs), to be held (`holding`) before columns are written to them; none where one of the
    times has no chunk yet, for then no columns may be written.

    TimescaleDB 2.28 takes a chunk that did not exist when a COPY into columns first looked for it for an empty one, also
    where another session has just made it and written rows into it: it does not note that there are rows beside the
    columns, and no query ever sees them (`ts_chunk_tuple_routing_find_chunk`: "mark chunk as partial unless completely
    new chunk").
    """
    names, covered = _chunks(cursor, times)
    return names if covered else []


def holding(names: Sequence[str]) -> str:
    """The statement after which none of these chunks can be dropped, or exchanged, before the end of the transaction."""
    return f"LOCK TABLE {', '.join(names)} IN ROW EXCLUSIVE MODE"


class BeingSorted(TimeoutError):
    """A chunk that readings are to be written to is being sorted, and that is not given up for them."""


def wait_for(cursor: psycopg.Cursor[Any], times: NDArray[np.int64], seconds: float) -> None:
    """Lock the chunks of these event times (µs), as far as there are any, for writing. Raises BeingSorted after so long.

    To be called before the transaction has read any of them: with the lock that reading takes it would stand in the way of
    who sorts (at the end he needs the chunk for himself), and be in the same deadlock with him.
    """
    names, _ = _chunks(cursor, times)
    if not names:
        return
    try:
        with cursor.connection.pipeline():
            cursor.execute(f"SET LOCAL lock_timeout = '{int(seconds * 1000)}ms'")
            cursor.execute(holding(names))
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
        raise BeingSorted(", ".join(names)) from error


def _chunks(cursor: Cursor, times: NDArray[np.int64]) -> tuple[list[str], bool]:
    """The chunks of these event times (µs), and whether each has one."""
    cursor.execute(_CHUNKS, [as_timestamp(int(times.min())), as_timestamp(int(times.max()))])
    names, missing = [], np.ones(len(times), np.bool_)
    for name, start, end in cursor.fetchall():
        here = (times >= as_microseconds(start)) & (times < as_microseconds(end))
        if here.any():
            names.append(name)
            missing &= ~here
    return names, not missing.any()


def unsound(cursor: Cursor) -> str | None:
    """Why this server cannot be trusted with columnar landing, as a sentence; None where it can."""
    cursor.execute(
        "SELECT extversion, current_setting('timescaledb.license', true), "
        "current_setting('timescaledb.enable_direct_compress_copy', true) FROM pg_extension WHERE extname = 'timescaledb'"
    )
    row = cursor.fetchone()
    if row is None:
        return "The database has no TimescaleDB."
    version, licence, switch = row
    if _number(version) < SOUND_FROM:
        return (
            f"TimescaleDB is {version}; from {'.'.join(map(str, SOUND_FROM))} on COPY into the columnstore checks NOT NULL "
            "and CHECK."
        )
    if licence != "timescale":
        return f"timescaledb.license is {licence}: the columnstore needs the licence 'timescale'."
    if switch is None:
        return f"TimescaleDB {version} does not know enable_direct_compress_copy."
    return None


def _number(version: str) -> tuple[int, ...]:
    """The numbers of a version; one that is not released yet counts as the release before it."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(-)?", version)
    if found is None:
        return (0,)
    number = int(found[1]), int(found[2]), int(found[3] or 0)
    return (*number[:2], number[2] - 1) if found[4] else number

"""How rows get into the readings table: COPY in binary, straight into the columnstore where that can be; INSERT … SELECT
FROM unnest where COPY cannot be or failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry import measures
from telemetry.binary_rows import TO_2000, copy_body
from telemetry.intake.batch import Batch
from telemetry.timeseries.columnar import chunks_for, holding, unsound, wait_for
from telemetry.timeseries.engine import TABLE, Engine

logger = logging.getLogger(__name__)

_COPY = f"COPY {TABLE} (time, series_id, value) FROM STDIN (FORMAT BINARY)"

#: µs since 1970 as a timestamptz, exactly: the product of a bigint below 2^53 and an interval is not rounded.
AS_TIME = "(timestamptz 'epoch' + {} * interval '1 microsecond')"

_INSERT = f"""
INSERT INTO {TABLE} (time, series_id, value)
SELECT {AS_TIME.format("t")}, s, v FROM unnest(%s::bigint[], %s::int[], %s::float8[]) AS u(t, s, v)
"""
_INSERT_NEW = f"""{_INSERT}
ON CONFLICT (series_id, time) DO NOTHING
RETURNING series_id, (extract(epoch FROM time) * 1000000)::bigint
"""

# Rows that this session wrote as rows, since its statistics were last sent on: what it is about is the difference.
_AS_ROWS = (
    f"(SELECT coalesce(sum(pg_stat_get_xact_tuples_inserted(inhrelid)), 0)::bigint FROM pg_inherits "
    f"WHERE inhparent = '{TABLE}'::regclass)"
)
# Rows come sorted: the server need not sort them again. (That it may trust their order *between* statements too, which is
# `..._client_sorted`, is not so: its chunk stays marked as unordered until it is sorted as a whole.)
_INTO_COLUMNS = (
    "SELECT set_config('timescaledb.enable_direct_compress_copy_sort_batches', 'off', true), "
    f"set_config('timescaledb.enable_direct_compress_copy', 'on', true), {_AS_ROWS}"
)


@dataclass(frozen=True, slots=True)
class Loader:
    """What the server of one connection, and its readings table, can do."""

    #: It takes COPY FROM STDIN.
    copy: bool
    #: A unique index refuses a second row of the same (series, time).
    refuses_repeats: bool = True
    #: So many new rows and more are written straight into the columnstore; None: never.
    columnar_from: int | None = None

    @classmethod
    def of(cls, connection: psycopg.Connection[Any], engine: Engine, columnar: str, least: int) -> Loader:
        """``columnar`` is TIMESERIES_COLUMNAR, ``least`` the rows from which on it is worth it."""
        copy = can_copy(connection)
        with connection.cursor() as cursor:
            lands = copy and columnar == "auto" and not engine.refuses_repeats and unsound(cursor) is None
        if lands and (way := probe(connection)) is not None:
            logger.error("columnar_landing_does_not_work", extra={"found": way})
            lands = False
        return cls(copy, engine.refuses_repeats, least if lands else None)

    def wait_for(self, connection: psycopg.Connection[Any], late: NDArray[np.int64], seconds: float) -> None:
        """Before anything is read in the caller's transaction: have the chunks of these event times (µs), whose time is
        over, to write to. Raises BeingSorted where one of them is being sorted for longer."""
        if self.columnar_from is not None and len(late):
            with connection.cursor() as cursor:
                wait_for(cursor, late, seconds)

    def put(self, connection: psycopg.Connection[Any], batch: Batch) -> NDArray[np.bool_]:
        """Write rows that are believed to be new, distinct in (series, time), inside the caller's transaction; answers a
        mask of those that were new. Without a unique index all are, for nobody else knows."""
        everything = np.ones(len(batch), np.bool_)
        if not len(batch):
            return everything
        if held := self._landing_in(connection, batch):
            copy_into_columns(connection, batch, held)
            return everything
        measures.readings_landed.labels(layout="rows").inc(len(batch))
        if not self.refuses_repeats:
            (copy_rows if self.copy else insert_rows)(connection, batch)
            return everything
        if self.copy and _copied(connection, batch):
            return everything
        return insert_new_rows(connection, batch)

    def _landing_in(self, connection: psycopg.Connection[Any], batch: Batch) -> list[str]:
        """The chunks to write it into as columns; none where it is written as rows."""
        if self.columnar_from is None or len(batch) < self.columnar_from:
            return []
        with connection.cursor() as cursor:
            return chunks_for(cursor, batch.times)


def binary_rows(batch: Batch) -> memoryview:
    """The rows as COPY's binary format has them, header and trailer included."""
    return copy_body([(">i8", batch.times - TO_2000), (">i4", batch.series), (">f8", batch.values)])


def copy_rows(connection: psycopg.Connection[Any], batch: Batch) -> None:
    """COPY rows that are believed to be new. Raises UniqueViolation where one is not and a unique index knows."""
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.write(binary_rows(batch))


def probe(connection: psycopg.Connection[Any]) -> str | None:
    """Try in a transaction that is taken back whether COPY really writes columns here and now: why not, or None.

    Where a lock is in the way it is taken to work, for every COPY that matters is looked at again.
    """
    count = 2_000
    now = int(time.time() * 1e6)
    batch = Batch(np.zeros(count, np.int32), now - np.arange(count)[::-1], np.zeros(count))
    as_rows = 0
    try:
        with connection.transaction(force_rollback=True):
            as_rows = _copied_as_rows(connection, batch)
    except psycopg.errors.LockNotAvailable:
        return None
    return f"COPY wrote {as_rows} of {count} rows as rows" if as_rows else None


def _copied_as_rows(connection: psycopg.Connection[Any], batch: Batch, held: Sequence[str] = ()) -> int:
    """COPY into compressed columns; answers how many became rows all the same."""
    with connection.pipeline():
        if held:
            connection.execute(holding(held))
        before = connection.execute(_INTO_COLUMNS)
    copy_rows(connection, batch)
    after = connection.execute(f"SELECT set_config('timescaledb.enable_direct_compress_copy', 'off', true), {_AS_ROWS}")
    return int(after.fetchone()[-1] - before.fetchone()[-1])  # type: ignore[index]


def copy_into_columns(connection: psycopg.Connection[Any], batch: Batch, held: Sequence[str] = ()) -> None:
    """COPY rows, sorted by (series, time), into compressed columns of chunks that are to be held, and look whether they are
    there: the server writes rows without a word where something is in the way."""
    as_rows = _copied_as_rows(connection, batch, held)
    measures.readings_landed.labels(layout="columns").inc(len(batch) - as_rows)
    if as_rows:
        measures.readings_landed.labels(layout="rows").inc(as_rows)
        measures.columnar_fallbacks.inc()
        logger.warning("columnar_landing_wrote_rows", extra={"rows": as_rows, "of": len(batch)})


def _copied(connection: psycopg.Connection[Any], batch: Batch) -> bool:
    """COPY inside a savepoint; False where the unique index found a row that was there already."""
    try:
        with connection.transaction():
            copy_rows(connection, batch)
    except psycopg.errors.UniqueViolation:
        measures.store_fallbacks.inc()
        return False
    return True


def insert_rows(connection: psycopg.Connection[Any], batch: Batch) -> None:
    """Insert rows that are new, where no index would say otherwise and the server does not take COPY."""
    connection.execute(_INSERT, [batch.times.tolist(), batch.series.tolist(), batch.values.tolist()])


def insert_new_rows(connection: psycopg.Connection[Any], batch: Batch) -> NDArray[np.bool_]:
    """Insert rows of which some may be there already; answers a mask of those that were new. Needs the unique index.

    Rows must be distinct in (series, time).
    """
    lists = [batch.times.tolist(), batch.series.tolist(), batch.values.tolist()]
    written = set(connection.execute(_INSERT_NEW, lists).fetchall())
    pairs = zip(lists[1], lists[0], strict=True)
    return np.fromiter((pair in written for pair in pairs), np.bool_, len(batch))


def can_copy(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server takes COPY FROM STDIN: PostgreSQL compiled to WebAssembly does not."""
    row = connection.execute("SELECT version()").fetchone()
    return row is not None and "emscripten" not in row[0].lower()

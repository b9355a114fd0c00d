"""A readings table of one engine on one server, and one loader: what the storage suite writes to and looks at."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import psycopg

from telemetry.intake.batch import Batch
from telemetry.store.frontier import Frontier
from telemetry.store.loaders import Loader
from telemetry.store.write import Stored, write
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import Engine

DAY = 86_400_000_000
#: 1 November 2026, 12:00 UTC, µs since 1970.
NOON = 1_793_534_400_000_000
#: Rows beside landed columns: one call merges them, the next one sorts.
_CALLS = 2
Row = tuple[int, int, float]


def batch_of(rows: list[Row]) -> Batch:
    """Rows of (series, time in µs since 1970, value), in order of arrival."""
    series, times, values = zip(*rows, strict=True) if rows else ((), (), ())
    return Batch(np.array(series, np.int32), np.array(times, np.int64), np.array(values, np.float64))


@dataclass
class Store:
    """Drains of one shard, as far as storing goes: ranges first, then one transaction, then the memory."""

    connection: psycopg.Connection
    engine: Engine
    copy: bool
    days: int = 7
    #: From so many new rows on a drain lands in columns, where the engine and the server can do that.
    columnar_from: int | None = None
    frontier: Frontier = field(default_factory=Frontier)

    def __post_init__(self) -> None:
        self.coverage = Coverage(self.engine, self.days)

    @property
    def loader(self) -> Loader:
        return Loader(self.copy, self.engine.refuses_repeats, self.columnar_from)

    def drain(self, *rows: Row) -> Stored:
        """Store a batch, as a drain does."""
        batch = batch_of(list(rows))
        with self.connection.cursor() as cursor:
            self.coverage.ensure(cursor, batch.times)
        with self.connection.transaction():
            stored = write(self.connection, batch, self.frontier, self.loader)
        self.frontier.advance(stored.written)
        return stored

    def take_over(self, checkpoint: tuple[bytes, bytes] | None = None) -> None:
        """Go on as another process: with a saved frontier, or with nothing."""
        self.frontier, self.coverage = Frontier(), Coverage(self.engine, self.days)
        if checkpoint is not None:
            self.frontier.load(*checkpoint)

    def table(self) -> dict[tuple[int, int], float]:
        """Value by (series, time). Raises AssertionError where a reading is stored twice."""
        rows = self.connection.execute(
            "SELECT series_id, (extract(epoch FROM time) * 1000000)::bigint, value FROM telemetry_reading"
        ).fetchall()
        found = {(series, at): value for series, at, value in rows}
        assert len(found) == len(rows), "a reading is stored twice"
        return found

    def ranges(self) -> list[tuple[int, int]]:
        with self.connection.cursor() as cursor:
            return [(part.start, part.end) for part in self.engine.ranges(cursor)]

    def pack(self, before: int) -> list[str]:
        """Compress ranges that end at or before that event time (µs), or sort what landed there, as beat does; their
        names."""
        with self.connection.cursor() as cursor:
            packed = self.engine.compress_before(cursor, before)
            packed += [chunk.table for chunk in self.engine.unsorted(cursor, before)]
            for _ in range(_CALLS):
                for chunk in self.engine.unsorted(cursor, before):
                    cursor.execute("SELECT compress_chunk(%s::regclass, if_not_compressed => true)", [chunk.table])
            assert self.engine.unsorted(cursor, before) == []
        return packed

    @property
    def lands(self) -> bool:
        """Whether its drains are written straight into columns."""
        return self.columnar_from is not None

    def begin(self) -> None:
        """An empty table, in a schema of its own: the server may have others."""
        for line in (
            "CREATE SCHEMA IF NOT EXISTS storage_suite",
            "SET search_path TO storage_suite, public",
            "DROP TABLE IF EXISTS telemetry_reading",
        ):
            self.connection.execute(line)
        with self.connection.cursor() as cursor:
            self.engine.create(cursor, self.days)
        self.take_over()


def counted(stored: Stored) -> tuple[int, int, int]:
    """(written, duplicates, conflicts)."""
    return len(stored.written), int(stored.duplicate.sum()), int(stored.conflict.sum())

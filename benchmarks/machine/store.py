"""What has been stored: watched while a clock runs, counted when it has stopped."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

import psycopg

from benchmarks.load.result import LostReading
from benchmarks.machine.database import Database
from telemetry.timeseries.engine import TABLE, engine_in_use

_LOOK_SECONDS = 0.01
_ROLLED_SECONDS = 600.0
_QUIET_SECONDS = 120


class Store:
    """The readings table and the positions of the shards, seen over a connection of our own; a context manager."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = psycopg.connect(database.url, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    @property
    def connection(self) -> psycopg.Connection:
        return self._connection

    def committed(self) -> int:
        """Readings stored since install, by the positions: cheap, and true at every COMMIT."""
        return self._number("SELECT sum(stored_readings) FROM telemetry_shardposition")

    def committed_by_shard(self) -> dict[int, int]:
        """The same, of each shard."""
        rows = self.connection.execute("SELECT shard, stored_readings FROM telemetry_shardposition")
        return dict(rows.fetchall())

    def rows(self) -> int:
        """Rows in the table, counted one by one."""
        return self._number(f"SELECT count(*) FROM {TABLE}")

    def count(self, table: str) -> int:
        """Rows of another table."""
        return self._number(f"SELECT count(*) FROM {table}")

    def bytes_of(self, table: str) -> int:
        """What a table takes on disk, with its indexes and its partitions or chunks."""
        with self._connection.cursor() as cursor:
            if engine_in_use(cursor).name == "timescale":
                return self._number(f"SELECT hypertable_size('{table}')")
        # Partitions, or the table itself where it has none.
        return self._number(
            "SELECT coalesce((SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(named)), "
            f"pg_total_relation_size(named)) FROM to_regclass('{table}') AS named"
        )

    def empty(self) -> None:
        """Throw away all readings, with the marks that say where rollups lack them, and begin the next measurement with
        nothing left to write: a refresh that looks for millions of readings which are gone takes the machine from it.

        The platform's memory stays right: its newest times only ever say that a reading is not new, and the ranges that it
        has made are made again. A chunk that COPY itself had to make would lose rows: of those that one drain writes as rows
        nothing is seen any more once another, which waited for it to make the chunk, has landed columns there.
        """
        with self._connection.transaction(), self._connection.cursor() as cursor:
            engine = engine_in_use(cursor)
            ranges = engine.ranges(cursor)
            cursor.execute(f"TRUNCATE {TABLE}, telemetry_rollupmark")
            left = {part.start for part in engine.ranges(cursor)}
            for part in ranges:
                if part.start not in left:
                    engine.add_range(cursor, part.start, part.end)
        self._database.checkpoint()

    def settle(self) -> None:
        self._database.checkpoint()

    def wait_for(self, committed: int, seconds: float = _QUIET_SECONDS) -> float:
        """The time (monotonic) at which so many readings were committed.

        Raises LostReading when nothing is committed for that many seconds before it.
        """
        before, changed = -1, time.monotonic()
        while (now := self.committed()) < committed:
            if now != before:
                before, changed = now, time.monotonic()
            if time.monotonic() - changed > seconds:
                raise LostReading(f"{committed - now} of the accepted readings are not stored, and nothing moves")
            time.sleep(_LOOK_SECONDS)
        return time.monotonic()

    def wait_for_minutes(self) -> None:
        """Until the rollups of minutes know all that is stored. Raises LostReading where they do not get there."""
        end = time.monotonic() + _ROLLED_SECONDS
        while marks := self._number("SELECT count(*) FROM telemetry_rollupmark WHERE level = 'minute'"):
            if time.monotonic() > end:
                raise LostReading(f"minutes of {marks} drains are not made after {_ROLLED_SECONDS:.0f} s")
            time.sleep(20 * _LOOK_SECONDS)

    def must_have(self, rows: int) -> None:
        """Raises LostReading unless the table has exactly so many rows."""
        found = self.rows()
        if found != rows:
            raise LostReading(f"{rows} readings were accepted, {found} rows are stored")

    def _number(self, query: str) -> int:
        row = self._connection.execute(query).fetchone()
        assert row is not None
        return int(row[0] or 0)

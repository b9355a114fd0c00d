"""TimescaleDB: a hypertable, its chunks, columnstore compression. Written as SQL against TimescaleDB 2.18 to 2.28.

django-timescaledb is not used: its backend aborts ``migrate`` where the extension is missing and drops primary keys, and
what is needed of it here are five statements.
"""

from __future__ import annotations

import json

from telemetry.timeseries.compaction import unsorted
from telemetry.timeseries.engine import (
    INDEX,
    MICROSECONDS_PER_DAY,
    TABLE,
    Cursor,
    Range,
    Unsorted,
    as_microseconds,
    as_timestamp,
    rollup_columns,
)


class Timescale:
    """A hypertable with a unique index; chunks older than a setting are compressed by series."""

    name = "timescale"
    refuses_repeats = True

    @staticmethod
    def install(cursor: Cursor) -> bool:
        """Create the extension where the server offers it and has it preloaded; answers whether it is there."""
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
        if cursor.fetchone():
            return True
        cursor.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb' "
            "AND current_setting('shared_preload_libraries') LIKE '%%timescaledb%%'",
            [],
        )
        if not cursor.fetchone():
            return False
        cursor.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        return True

    def create(self, cursor: Cursor, days: int) -> None:
        cursor.execute(
            f"CREATE TABLE {TABLE} (time timestamptz NOT NULL, series_id integer NOT NULL, value double precision NOT NULL)"
        )
        cursor.execute(
            f"SELECT create_hypertable('{TABLE}', by_range('time', INTERVAL '{int(days)} days'), create_default_indexes => false)"
        )
        self._index(cursor)

    def _index(self, cursor: Cursor) -> None:
        """The index of the readings table, and how its chunks are compressed."""
        cursor.execute(f"CREATE UNIQUE INDEX {INDEX} ON {TABLE} (series_id, time)")
        cursor.execute(self.compression())

    @staticmethod
    def compression() -> str:
        """The statement that says how chunks of readings are compressed from now on."""
        return (
            f"ALTER TABLE {TABLE} SET (timescaledb.compress, timescaledb.compress_segmentby = 'series_id', "
            "timescaledb.compress_orderby = 'time')"
        )

    def create_rollup(self, cursor: Cursor, table: str, width: int, percentiles: bool) -> None:
        # A chunk holds the buckets of so many days that it is neither tiny nor larger than memory: 7 days of minutes.
        days = max(7, 7 * width // 60_000_000 // 10)
        cursor.execute(f"CREATE TABLE {table} ({rollup_columns(percentiles)})")
        cursor.execute(
            f"SELECT create_hypertable('{table}', by_range('time', INTERVAL '{days} days'), create_default_indexes => false)"
        )
        cursor.execute(f"CREATE UNIQUE INDEX {table}_series_time ON {table} (series_id, time)")
        cursor.execute(
            f"ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = 'series_id', "
            "timescaledb.compress_orderby = 'time')"
        )

    def width(self, cursor: Cursor, days: int) -> int:
        return days * MICROSECONDS_PER_DAY

    def fit(self, cursor: Cursor, now: int, readings: int, days: int, keep_days: int) -> bool:
        """As wide as is set."""
        return False

    def ranges(self, cursor: Cursor, table: str = TABLE) -> list[Range]:
        cursor.execute(
            "SELECT format('%%I.%%I', chunk_schema, chunk_name), range_start, range_end, is_compressed "
            "FROM timescaledb_information.chunks WHERE hypertable_name = %s AND hypertable_schema = current_schema() "
            "ORDER BY range_start",
            [table],
        )
        return [
            Range(name, as_microseconds(start), as_microseconds(end), packed)
            for name, start, end, packed in cursor.fetchall()
        ]

    def add_range(self, cursor: Cursor, start: int, end: int) -> None:
        # The function behind the server's own chunk creation; it answers with the existing chunk where there is one.
        cursor.execute(
            "SELECT 1 FROM _timescaledb_functions.create_chunk(to_regclass(%s), %s::jsonb)",
            [TABLE, json.dumps({"time": [start, end]})],
        )

    def drop_before(self, cursor: Cursor, before: int) -> list[str]:
        cursor.execute(
            "SELECT drop_chunks(to_regclass(%s), older_than => %s::timestamptz)", [TABLE, as_timestamp(before)]
        )
        return [row[0] for row in cursor.fetchall()]

    def compress_before(self, cursor: Cursor, before: int, table: str = TABLE) -> list[str]:
        old = [part.table for part in self.ranges(cursor, table) if part.end <= before and not part.compressed]
        for name in old:
            cursor.execute("SELECT compress_chunk(%s::regclass, if_not_compressed => true)", [name])
        return old

    def unsorted(self, cursor: Cursor, before: int) -> list[Unsorted]:
        """What `compress_before` compresses is sorted: only what was landed while the table was columnar is not."""
        return [chunk for chunk in unsorted(cursor, before) if chunk.landed]

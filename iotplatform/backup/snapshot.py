"""One moment of the database: what the dump, the counts and the positions in the manifest all see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from iotplatform.backup.errors import BackupBusy
from telemetry.timeseries.engine import engine_in_use

__all__ = ["LOCK", "Facts", "count_rows", "exported", "look", "one_at_a_time", "running"]

Connection = psycopg.Connection[Any]
#: Advisory lock of the database: held by whoever makes a backup of it.
LOCK = "iotplatform.backup"

_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1
"""
_POSITIONS = (
    "SELECT shard, generation, segment, stored, stored_offset, judged FROM telemetry_shardposition ORDER BY shard"
)
_RUNNING = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND d.datname = current_database()
  AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(%s, 0)
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """The server, and the platform in it, at the moment of the snapshot."""

    at: str
    server_version: str
    server_major: int
    timescaledb: str | None
    engine: str
    shards: int
    epoch: int
    positions: list[dict[str, Any]]
    migrations: list[str]
    database_bytes: int


@contextmanager
def one_at_a_time(connection: Connection) -> Iterator[None]:
    """Hold the lock of this database; it ends with the connection, however that ends. Raises BackupBusy."""
    got = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [LOCK]).fetchone()
    if not got or not got[0]:
        raise BackupBusy("Another backup or restore of this database is under way.")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [LOCK])


def running(connection: Connection) -> bool:
    """Whether anybody holds that lock."""
    row = connection.execute(_RUNNING, [LOCK]).fetchone()
    return bool(row and row[0])


@contextmanager
def exported(connection: Connection) -> Iterator[str]:
    """A transaction that sees one moment, for as long as the block lasts; the name under which others see it too."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield str(connection.execute("SELECT pg_export_snapshot()").fetchone()[0])  # type: ignore[index]
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")


def look(connection: Connection) -> Facts:
    """Raises LookupError where this is no database of the platform."""

    def one(statement: str) -> Any:
        row = connection.execute(statement).fetchone()
        return row[0] if row else None

    if one("SELECT to_regclass('telemetry_shardposition')") is None:
        raise LookupError("there is no platform in this database: run `manage.py migrate`")
    shards, epoch = connection.execute("SELECT shards, epoch FROM telemetry_loglayout").fetchone() or (0, 0)
    with connection.cursor() as cursor:
        engine = engine_in_use(cursor).name
        cursor.execute(_POSITIONS)
        names = [column.name for column in cursor.description or ()]
        positions = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    version = connection.info.server_version
    return Facts(
        at=one("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"),
        server_version=one("SHOW server_version"),
        server_major=version // 10_000,
        timescaledb=one("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"),
        engine=engine,
        shards=shards,
        epoch=epoch,
        positions=positions,
        migrations=[
            f"{app}.{name}"
            for app, name in connection.execute("SELECT app, name FROM django_migrations ORDER BY 1, 2").fetchall()
        ],
        database_bytes=one("SELECT pg_database_size(current_database())"),
    )


def count_rows(connection: Connection) -> dict[str, int]:
    """Rows of each table of the platform, as this transaction sees them."""
    counts = {}
    for (table,) in connection.execute(_TABLES).fetchall():
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        counts[table] = int(row[0]) if row else 0
    return counts

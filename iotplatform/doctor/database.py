"""The database: reachable, safe, migrated, and what it stores readings with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from iotplatform.doctor.findings import Finding, fail, ok, warn
from iotplatform.env import Config
from iotplatform.observability.probes import database
from telemetry.timeseries.engine import as_microseconds, engine_in_use

__all__ = ["check_database", "check_migrations", "check_readings_table"]

_OLDEST_MAJOR = 15
#: Connections of one web process: Django's pool, and one to register runs of the log server.
_CONNECTIONS_PER_WEB = 13
_CONNECTIONS_BESIDE = 15


def check_database(config: Config) -> Iterator[Finding]:
    """Version, durability, room for connections."""
    with database() as connection:
        version = connection.info.server_version
        name = f"PostgreSQL {version // 10_000}.{version % 10_000}"
        if version // 10_000 < _OLDEST_MAJOR:
            yield fail("database", f"{name} is too old.", f"Upgrade to PostgreSQL {_OLDEST_MAJOR} or later.")
        else:
            yield ok("database", f"{name}, {_size(connection)} stored.")
        yield from _durability(connection)
        yield from _abilities(connection, config)


def _durability(connection: Any) -> Iterator[Finding]:
    wrong = []
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        value = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()[0]
        if value == "off":
            wrong.append(setting)
    if wrong:
        yield fail(
            "durability",
            f"{', '.join(wrong)} is off: what was reported as stored can be lost in a crash.",
            "ALTER SYSTEM SET " + " = on; ALTER SYSTEM SET ".join(wrong) + " = on; SELECT pg_reload_conf();",
        )
    else:
        yield ok("durability", "fsync, synchronous_commit and full_page_writes are on.")


def _abilities(connection: Any, config: Config) -> Iterator[Finding]:
    recovering, read_only, encoding, most = connection.execute(
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', "
        "current_setting('server_encoding'), current_setting('max_connections')::int"
    ).fetchone()
    if recovering or read_only:
        yield fail("database", "It takes no writes: a standby, or set read-only.", "Point DATABASE_URL at the primary.")
    if encoding != "UTF8":
        yield fail("database", f"Its encoding is {encoding}.", "Make the database anew with ENCODING 'UTF8'.")
    needed = config.web_processes * _CONNECTIONS_PER_WEB + config.drain_workers + _CONNECTIONS_BESIDE
    if most < needed:
        yield warn(
            "database",
            f"It takes {most} connections, and the platform may want {needed}.",
            f"Set max_connections = {needed} or more, or lower WEB_PROCESSES.",
        )


def _size(connection: Any) -> str:
    return str(connection.execute("SELECT pg_size_pretty(pg_database_size(current_database()))").fetchone()[0])


def check_migrations() -> Iterator[Finding]:
    """The tables are those that the code expects."""
    try:
        executor = MigrationExecutor(connections["default"])
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    finally:
        connections["default"].close()
    if missing:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        yield fail("migrations", f"Not applied: {names}{more}.", "Run `manage.py migrate`.")
    else:
        yield ok("migrations", "All applied.")


def check_readings_table(config: Config) -> Iterator[Finding]:
    """Which engine stores readings, and whether it has room ahead."""
    with database() as connection, connection.cursor() as cursor:
        engine = engine_in_use(cursor)
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
        extension: Any = cursor.fetchone()
        if config.timeseries_engine not in ("auto", engine.name):
            yield fail(
                "engine",
                f"TIMESERIES_ENGINE={config.timeseries_engine}, but the readings table was made with {engine.name}.",
                "Set it to auto; to change engines, migrate into a new database and import the readings there.",
            )
        elif engine.name == "timescale":
            what = "chunks" if engine.refuses_repeats else "readings in columns, rollups"
            compression = (
                f"{what} compressed after {config.compress_after_days} days"
                if config.compress_after_days
                else f"{what} never compressed"
            )
            yield ok("engine", f"timescale: hypertable of TimescaleDB {extension[0]}, {compression}.")
        else:
            yield ok("engine", "partitions: plain PostgreSQL. Old readings are not compressed; TimescaleDB could.")
        yield _room_ahead(engine.ranges(cursor), config)


def _room_ahead(ranges: list[Any], config: Config) -> Finding:
    now = as_microseconds(datetime.now(UTC))
    ahead = sum(part.start > now for part in ranges)
    covered = any(part.start <= now < part.end for part in ranges)
    if covered and ahead:
        return ok("partitions", f"{len(ranges)} ranges of readings, {ahead} of them ahead of now.")
    return warn(
        "partitions",
        f"None of {len(ranges)} ranges is ahead of now: drains make them on demand, which makes them wait.",
        f"Beat keeps {config.partitions_ahead} ready: see that beat and the worker run (`make run`).",
    )

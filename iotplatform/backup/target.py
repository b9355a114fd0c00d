"""Where a backup is restored to: a database beside the platform's, which takes its place when all is well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from iotplatform.backup.database import connect, named
from iotplatform.backup.errors import BackupBusy, BackupError
from iotplatform.backup.snapshot import LOCK, Connection

__all__ = ["connected", "create", "drop", "exists", "holds_something", "one_restore", "swap"]

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_CONNECTED = """
SELECT coalesce(nullif(application_name, ''), 'unnamed') AS name, count(*) FROM pg_stat_activity
WHERE datname = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> %s
GROUP BY 1 ORDER BY 1
"""
_SOMETHING = """
SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
"""
_LONGEST_NAME = 63
#: How a restore's own connections are called.
_OURS = "iot-restore"


@contextmanager
def one_restore(server: Connection) -> Iterator[None]:
    """The lock of restores on this server, held by a connection to a database that is not restored. Raises BackupBusy."""
    got = server.execute(_LOCK, [f"{LOCK}.restore"]).fetchone()
    if not got or not got[0]:
        raise BackupBusy("Another restore on this server is under way.")
    yield


def exists(server: Connection, name: str) -> bool:
    return server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def connected(server: Connection, name: str) -> list[str]:
    """Who else is connected to that database, as "iot-web (3)". Our own connection of a moment ago may still be there: the
    server closes it a little later than we do, and renaming waits for it."""
    return [f"{who} ({number})" for who, number in server.execute(_CONNECTED, [name, _OURS]).fetchall()]


def holds_something(info: str) -> bool:
    """Whether there is any table, view or sequence in the database that no extension made."""
    with connect(info, name=_OURS) as connection:
        row = connection.execute(_SOMETHING).fetchone()
    return bool(row and row[0])


def create(server: Connection, name: str) -> None:
    """An empty database; one of that name, which an interrupted restore left, is removed first. Raises BackupError."""
    drop(server, name)
    try:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise BackupError(
            f"The database's user may not create databases, which a restore needs ({error.diag.message_primary}): "
            "ALTER ROLE … CREATEDB, or give DATABASE_URL of one who may."
        ) from error


def drop(server: Connection, name: str) -> None:
    """It may be gone already."""
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def swap(server: Connection, info: str, fresh: str, name: str) -> str | None:
    """Give the fresh database the name, and the one that has it another: answers which, None where none had it.

    Both or neither, for it is one transaction. Raises BackupError where somebody is connected to one of them.
    """
    former = f"{name[: _LONGEST_NAME - 24]}_before_{datetime.now(UTC):%Y%m%d_%H%M%S}" if exists(server, name) else None
    moves = [(name, former)] if former else []
    for each in (fresh, *(old for old, _ in moves)):
        _background_workers(named(info, each), "stop")
    try:
        with server.transaction():
            for old, new in (*moves, (fresh, name)):
                server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*map(sql.Identifier, (old, new))))
    except psycopg.errors.ObjectInUse as error:
        _background_workers(named(info, name), "start")
        who = ", ".join(connected(server, name)) or error.diag.message_primary
        raise BackupError(f"Somebody connected to the database meanwhile ({who}); it was left as it was.") from error
    _background_workers(named(info, name), "start")
    return former


def _background_workers(info: str, verb: str) -> None:
    """Of TimescaleDB, where it is: they are connected too, and a database with connections cannot be renamed."""
    with connect(info, name=_OURS) as connection:
        found: Any = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
        if found:
            connection.execute(f"SELECT _timescaledb_functions.{verb}_background_workers()")

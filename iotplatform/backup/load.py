"""Loading a dump into an empty database: `pg_restore`, with what TimescaleDB needs before and after it."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from iotplatform.backup.database import connect
from iotplatform.backup.dump import DIRECTORY, STREAM, last_words
from iotplatform.backup.encryption import Opener
from iotplatform.backup.errors import BackupError
from iotplatform.backup.manifest import Manifest
from iotplatform.backup.snapshot import Connection, count_rows
from iotplatform.backup.tools import Tools, conninfo_and_environment
from iotplatform.launcher import orphans

__all__ = ["check_counts", "check_server", "load_into"]

_EXTENSION = "SELECT count(*) FROM pg_available_extension_versions WHERE name = 'timescaledb' AND version = %s"
_OFFERED = "SELECT string_agg(version, ', ') FROM pg_available_extension_versions WHERE name = 'timescaledb'"


def check_server(server: Connection, manifest: Manifest) -> None:
    """Whether this server can take the backup. Raises BackupError."""
    major = server.info.server_version // 10_000
    if major < manifest.server_major:
        raise BackupError(
            f"The backup is of PostgreSQL {manifest.server_major}, and the server is {major}: it needs "
            f"{manifest.server_major} or newer."
        )
    if manifest.timescaledb is None:
        return
    there = server.execute(_EXTENSION, [manifest.timescaledb]).fetchone()
    if not there or not there[0]:
        offered = (server.execute(_OFFERED).fetchone() or (None,))[0] or "none"
        raise BackupError(
            f"The backup is of TimescaleDB {manifest.timescaledb}, and the server offers {offered}: install that version "
            "(it can be updated after the restore)."
        )
    loaded: Any = server.execute("SHOW shared_preload_libraries").fetchone()
    if "timescaledb" not in loaded[0]:
        raise BackupError("The server does not load TimescaleDB: add it to shared_preload_libraries and restart it.")


def load_into(
    info: str,
    folder: Path,
    manifest: Manifest,
    tools: Tools,
    opener: Opener | None,
    jobs: int,
    say: Callable[[str], None],
) -> None:
    """Restore the dump and gather statistics. Raises BackupError; the database is of no use then."""
    with connect(info, name="iot-restore") as connection:
        if manifest.timescaledb:
            _extension(connection, manifest.timescaledb)
            connection.execute("SELECT timescaledb_pre_restore()")
    # Of TimescaleDB's catalogue, tables refer to each other: loaded side by side they do not come out right.
    _run(info, folder, tools, opener, 1 if manifest.timescaledb or opener else jobs)
    with connect(info, name="iot-restore") as connection:
        if manifest.timescaledb:
            connection.execute("SELECT timescaledb_post_restore()")
    say("Gathering statistics")
    with connect(info, name="iot-restore") as connection:
        connection.execute("ANALYZE")


def check_counts(info: str, manifest: Manifest) -> None:
    """Every table has as many rows as in the snapshot. Raises BackupError."""
    with connect(info, name="iot-restore") as connection:
        found = count_rows(connection)
    wrong = [
        f"{table}: {found.get(table, 0):,} of {rows:,}"
        for table, rows in manifest.rows.items()
        if found.get(table) != rows
    ]
    if wrong:
        raise BackupError(f"The restored database does not have the rows of the backup: {'; '.join(wrong)}.")


def _extension(connection: Connection, version: str) -> None:
    try:
        connection.execute(sql.SQL("CREATE EXTENSION timescaledb VERSION {}").format(sql.Literal(version)))
    except psycopg.Error as error:
        raise BackupError(f"TimescaleDB {version} cannot be created here: {error.diag.message_primary}.") from error


def _run(info: str, folder: Path, tools: Tools, opener: Opener | None, jobs: int) -> None:
    where, environment = conninfo_and_environment(info)
    argv = [tools.restore, f"--dbname={where}", "--no-password", "--exit-on-error", "--no-owner", "--no-acl"]
    argv += [] if opener else [f"--jobs={jobs}", str(folder / DIRECTORY)]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - our own words
            orphans.wrapped(argv, signal.SIGTERM),
            env=environment,
            stdin=subprocess.PIPE if opener else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            if opener:
                _feed(process, folder / STREAM, opener)
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
        if process.returncode != 0:
            raise BackupError(f"pg_restore failed: {last_words(errors)}")


def _feed(process: subprocess.Popen[bytes], path: Path, opener: Opener) -> None:
    assert process.stdin is not None
    try:
        with path.open("rb") as source, process.stdin as target:
            opener.open(source, target)
    except BrokenPipeError:
        return  # it ended before it had read all: its exit code and its words say why

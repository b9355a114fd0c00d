"""Pytest plugin (``-p tests.servers``): real servers for the whole run, started before Django reads its settings.

TEST_DATABASE_URL makes the suite run on that PostgreSQL or TimescaleDB server; else an embedded one is started. Where
several processes share the tests (`-n`), each makes a database of its own there, named after the one that is given. The
log and the cache are always private ones: tests kill and empty them.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import conninfo, sql

_run_dir = Path(tempfile.mkdtemp(prefix="iot-test-"))
os.environ["RUN_DIR"] = str(_run_dir)
os.environ.setdefault("SECRET_KEY", "a-secret-of-the-test-suite-0123456789")
for _name in ("DATABASE_URL", "REDIS_URL", "CACHE_URL", "PUBLIC_URL"):
    os.environ.pop(_name, None)

from iotplatform.launcher.servers import EmbeddedServers  # noqa: E402 - reads RUN_DIR when imported


def _database_of_process(given: str, process: str | None) -> str:
    """An empty database beside the one that is given, for one of several processes of tests; for a single one just that."""
    if process is None:
        return given
    name = f"{conninfo.conninfo_to_dict(given)['dbname']}_{process}"
    with psycopg.connect(given, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    parts = urlsplit(given)
    return urlunsplit(parts._replace(path=f"/{quote(name)}"))


_given = os.environ.get("TEST_DATABASE_URL")
_servers = EmbeddedServers(_run_dir, postgres=not _given).start()
if _given:
    os.environ["DATABASE_URL"] = _database_of_process(_given, os.environ.get("PYTEST_XDIST_WORKER"))


@atexit.register
def _stop() -> None:
    _servers.stop()
    shutil.rmtree(_run_dir, ignore_errors=True)


def servers() -> EmbeddedServers:
    """The servers of this run."""
    return _servers

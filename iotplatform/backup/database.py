"""Connections for backups: to the platform's database and to others of its server, without the limits of requests."""

from __future__ import annotations

from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from iotplatform.backup.errors import BackupError

__all__ = ["connect", "connect_to_server", "conninfo", "name_in", "named"]

_MAINTENANCE = ("postgres", "template1")


def conninfo() -> str:
    """Of the database that Django uses (a test's, in tests), as DATABASE_URL says."""
    name = connections["default"].settings_dict["NAME"]
    return make_conninfo(settings.SERVERS["database_url"], dbname=name)


def named(info: str, name: str) -> str:
    """Another database of the same server."""
    return make_conninfo(info, dbname=name)


def name_in(info: str) -> str:
    parameters = conninfo_to_dict(info)
    return str(parameters.get("dbname") or parameters.get("user"))


def connect(info: str, *, name: str = "iot-backup") -> psycopg.Connection[Any]:
    """In autocommit mode, with keepalives and without timeouts of statements: counting a large table takes its time.

    Raises BackupError where the server does not answer, or has no such database."""
    try:
        return psycopg.connect(
            info,
            autocommit=True,
            application_name=name,
            connect_timeout=10,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            options="-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c timezone=UTC",
        )
    except psycopg.OperationalError as error:
        raise BackupError(f"The database does not answer: {' '.join(str(error).split())}") from error


def connect_to_server(info: str) -> psycopg.Connection[Any]:
    """To a database of the server that is always there. Raises BackupError."""
    for name in _MAINTENANCE:
        try:
            return connect(named(info, name), name="iot-restore")
        except BackupError as error:
            last = error
    raise last

"""The database's own role for business intelligence: it may read what devices sent and what came of it, and no more.

The platform does not use it. Grafana and other programs that speak SQL do, and get neither users, keys, tokens, secrets of
channels nor the audit trail.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

__all__ = ["CONNECTIONS", "NAME", "TABLES", "ReaderError", "ensure_reader"]

NAME = "iot_reader"
#: Everything that it may read.
TABLES = (
    "telemetry_reading",
    "telemetry_rollup_minute",
    "telemetry_rollup_hour",
    "telemetry_rollup_day",
    "telemetry_series",
    "telemetry_device",
    "telemetry_devicelastseen",
    "telemetry_devicetype",
    "telemetry_metricdefinition",
    "telemetry_devicegroup",
    "thresholds_threshold",
    "thresholds_level",
    "alerts_alert",
)
#: At a time, so that a dashboard that many look at leaves some for the platform.
CONNECTIONS = 10
_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "30s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "60s",
}
#: Two starts at once take turns: roles are the whole server's.
_LOCK = 7_413_902
_MORE_THAN_A_READER = """
SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication
       OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)
       OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid)
FROM pg_roles r WHERE rolname = %s
"""


class ReaderError(Exception):
    """The role cannot be made, or is more than a reader; the text says what to do."""


def ensure_reader(connection: psycopg.Connection[Any], password: str, name: str = NAME) -> None:
    """Make the role, or bring it to this: password, limits, and the right to read TABLES and nothing else.

    ``connection`` belongs to the owner of the tables, who may create roles. Raises ReaderError, psycopg.Error.
    """
    # As the server would keep it (RFC 5803), so that neither its log nor the network sees the password itself.
    kept = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    role = sql.Identifier(name)
    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            _make(cursor, name, role)
            login = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {} CONNECTION LIMIT {}")
            cursor.execute(login.format(role, sql.Literal(kept), sql.Literal(CONNECTIONS)))
            for setting, value in _SETTINGS.items():
                change = sql.SQL("ALTER ROLE {} SET {} = {}")
                cursor.execute(change.format(role, sql.Identifier(setting), sql.Literal(value)))
            _grant(cursor, role)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ReaderError(
            f"The platform's database user may not do this ({error}). Let an administrator run "
            f"`CREATE ROLE {name}; GRANT {name} TO <the platform's user> WITH ADMIN OPTION`, or give it CREATEROLE."
        ) from error


def _make(cursor: psycopg.Cursor[Any], name: str, role: sql.Identifier) -> None:
    cursor.execute(_MORE_THAN_A_READER, [name])
    found = cursor.fetchone()
    if found is None:
        cursor.execute(sql.SQL("CREATE ROLE {}").format(role))
    elif found[0]:
        raise ReaderError(f"The role {name} owns tables or has rights beyond reading: it is somebody else's.")


def _grant(cursor: psycopg.Cursor[Any], role: sql.Identifier) -> None:
    """What an earlier version let it read goes first."""
    cursor.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(role))
    cursor.execute(sql.SQL("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {}").format(role))
    cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
    tables = sql.SQL(", ").join(map(sql.Identifier, TABLES))
    cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(tables, role))

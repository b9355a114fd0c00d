"""Connections of our own, beside Django's: for threads and drains that manage their transactions themselves."""

from __future__ import annotations

from typing import Any

import psycopg
from django.conf import settings
from django.db import connections

from telemetry.deadline import BoundedConnection, patient
from telemetry.log.entries import LogError


def connect(*, autocommit: bool) -> BoundedConnection:
    """A new connection to the database that Django uses (a test's, in tests), with the same timeouts.

    Raises psycopg.OperationalError where the server does not answer within DATABASE_TIMEOUT_SECONDS; so does whatever
    waits for an answer on it for longer than a statement may take.
    """
    return patient(settings.STATEMENT_SECONDS).connect(**connection_parameters(), autocommit=autocommit)


def connection_parameters() -> dict[str, Any]:
    """What psycopg connects to that database with, without what is of Django's own connections only."""
    parameters = connections["default"].get_connection_params()
    for name in ("pool", "cursor_factory", "context", "prepare_threshold"):
        parameters.pop(name, None)
    return parameters


def is_data_fault(error: BaseException) -> bool:
    """Whether the data itself can be at fault; never so for connections, locks, timeouts, disk, memory and
    the log."""
    if isinstance(error, psycopg.Error):
        return isinstance(error, psycopg.DataError | psycopg.IntegrityError | psycopg.NotSupportedError)
    return not isinstance(error, OSError | MemoryError | TimeoutError | ConnectionError | LogError)


__all__ = ["connect", "connection_parameters", "is_data_fault"]

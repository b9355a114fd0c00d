"""Connections of our own, beside Django's: for threads and drains that manage their transactions themselves."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connections

from telemetry.log.entries import LogError


def connect(*, autocommit: bool) -> psycopg.Connection[Any]:
    """A new connection to the database that Django uses (a test's, in tests), with the same timeouts.

    Raises psycopg.OperationalError where the server does not answer within DATABASE_TIMEOUT_SECONDS.
    """
    parameters = connections["default"].get_connection_params()
    parameters.pop("pool", None)
    for name in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(name, None)
    return psycopg.connect(**parameters, autocommit=autocommit)


def is_data_fault(error: BaseException) -> bool:
    """Whether the data itself can be at fault; never so for connections, locks, timeouts, disk, memory and
    the log."""
    if isinstance(error, psycopg.Error):
        return isinstance(error, psycopg.DataError | psycopg.IntegrityError | psycopg.NotSupportedError)
    return not isinstance(error, OSError | MemoryError | TimeoutError | ConnectionError | LogError)


__all__ = ["connect", "is_data_fault"]

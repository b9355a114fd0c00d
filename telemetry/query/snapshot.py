"""One snapshot for all that a question reads, with a time limit for each statement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection, transaction

__all__ = ["Cursor", "snapshot"]

Cursor = psycopg.Cursor[tuple[Any, ...]]

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Compiling a query takes longer than these run; and a plan for any times opens every partition there is, which takes twice
# as long as planning anew for the few that are asked.
_LIMITS = (
    "SET LOCAL statement_timeout = {milliseconds}; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_custom_plan"
)


@contextmanager
def snapshot(seconds: float) -> Iterator[Cursor]:
    """A psycopg cursor of Django's connection, that takes binary arrays.

    All statements see the database at one moment; marks and what they are about are of no use otherwise. Raises Django's
    OperationalError where the server does not answer or a statement takes longer than `seconds`.
    """
    nested = connection.in_atomic_block
    with connection.wrap_database_errors, transaction.atomic():
        connection.ensure_connection()
        assert connection.connection is not None
        cursor: Cursor = psycopg.Cursor(connection.connection)
        begin = _LIMITS.format(milliseconds=max(1, round(seconds * 1000)))
        cursor.execute(begin if nested else f"{_SNAPSHOT}; {begin}")
        yield cursor

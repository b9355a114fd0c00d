"""How long a request may wait for the database, whatever it does.

The server's own time limits say nothing when the server itself hangs, and keepalives neither: its kernel still answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

# A connection knows the adapters that there were when it was made: those of ours have to be there before the first one.
import telemetry.binary_arrays  # noqa: F401

__all__ = ["BoundedConnection", "database_deadline"]

_local = threading.local()


@contextmanager
def database_deadline(seconds: float) -> Iterator[None]:
    """Until this is left, BoundedConnections of this thread wait so long in all, then raise OperationalError."""
    before = getattr(_local, "end", None)
    _local.end = time.monotonic() + seconds
    try:
        yield
    finally:
        _local.end = before


class BoundedConnection(psycopg.Connection[Any]):
    """Keeps the deadline of its thread, if there is one. Where that is over, it is closed: an answer may still come."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg.Connection.wait."""
        end = getattr(_local, "end", None)
        if end is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, max(0.001, end - time.monotonic()))
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from error

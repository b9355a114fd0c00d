"""How long a request, and any one answer, may be waited for from the database, whatever it does.

The server's own time limits say nothing when the server itself hangs, and keepalives neither: its kernel still answers.
Nor does the server's kernel say anything where what stands between forgot the connection.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg

# A connection knows the adapters that there were when it was made: those of ours have to be there before the first one.
import telemetry.binary_arrays  # noqa: F401

__all__ = ["BoundedConnection", "database_deadline", "patient", "time_left"]

_local = threading.local()
#: An answer of the server's own about its time limit comes so much later at most.
_GRACE_SECONDS = 5.0


@contextmanager
def database_deadline(seconds: float) -> Iterator[None]:
    """Until this is left, BoundedConnections of this thread wait so long in all, then raise OperationalError."""
    before = getattr(_local, "end", None)
    _local.end = time.monotonic() + seconds
    try:
        yield
    finally:
        _local.end = before


def time_left() -> float | None:
    """Seconds until the deadline of this thread, less than 0 after it; None where there is none."""
    end = getattr(_local, "end", None)
    return None if end is None else float(end - time.monotonic())


class BoundedConnection(psycopg.Connection[Any]):
    """Keeps the deadline of its thread, if there is one, and its own patience for each answer.

    Where that is over, it is closed, for an answer may still come, and OperationalError is raised.
    """

    #: The longest time in seconds for any one answer; None: as long as it takes.
    patience: float | None = None

    def let_statements_take(self, seconds: int) -> None:
        """From now on a statement of this session may take so long, for the server and for whoever waits. 0: no limit."""
        self.execute(f"SET statement_timeout = '{seconds}s'")
        self.patience = seconds + _GRACE_SECONDS if seconds else None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg.Connection.wait."""
        if timeout is not None or (left := self._left()) is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, max(0.001, left))
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from error

    def _left(self) -> float | None:
        bounds = [seconds for seconds in (time_left(), self.patience) if seconds is not None]
        return min(bounds, default=None)


@cache
def patient(statement_seconds: float) -> type[BoundedConnection]:
    """Connections whose statements are given so long by the server: an answer is waited for a little longer."""
    return type("PatientConnection", (BoundedConnection,), {"patience": statement_seconds + _GRACE_SECONDS})

"""How long a request, and any one answer, may be waited for from the database, whatever it does.

The server's own time limits say nothing when the server itself hangs, and keepalives neither: its kernel still answers.
Nor does the server's kernel say anything where what stands between forgot the connection. Then it forgot all of them: once
an answer that was owed did not come, no connection that was silent since is trusted any more, or each would be waited for anew.
"""

from __future__ import annotations

import logging
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

logger = logging.getLogger(__name__)
_local = threading.local()
#: An answer of the server's own about its time limit comes so much later at most.
_GRACE_SECONDS = 5.0
#: A server that works answers an empty statement by then, whatever else it does.
_PROBE_SECONDS = 2.0


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


class _Silence:
    """When (monotonic seconds) this process last found that an answer that was owed did not come."""

    found_at = float("-inf")


class BoundedConnection(psycopg.Connection[Any]):
    """Keeps the deadline of its thread, if there is one, and its own patience for each answer.

    Where that is over, it is closed, for an answer may still come, and OperationalError is raised.
    """

    #: The longest time in seconds for any one answer; None: as long as it takes. The server has its own limit below it.
    patience: float | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._heard_at = time.monotonic()

    def answers(self, heard_within: float = 0.0) -> bool:
        """Whether the server still answers here, asked where nothing was heard of it for so many seconds.

        To be asked of a connection that is in no transaction, before it is used again after a pause. It is closed where the
        answer is no, which takes 2 s at most, and no time at all where another connection of this process was silent since.
        """
        if self.closed:
            return False
        if self._heard_at <= _Silence.found_at:
            self.close()
            return False
        if time.monotonic() - self._heard_at < heard_within:
            return True
        patience, self.patience = self.patience, _PROBE_SECONDS
        try:
            self.execute("")
        except psycopg.Error as error:
            logger.warning("database_connection_given_up", extra={"error": str(error)[:200]})
            self.close()
            return False
        finally:
            self.patience = patience
        return True

    def let_statements_take(self, seconds: int) -> None:
        """From now on a statement of this session may take so long, for the server and for whoever waits. 0: no limit."""
        self.execute(f"SET statement_timeout = '{seconds}s'")
        self.patience = seconds + _GRACE_SECONDS if seconds else None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg.Connection.wait."""
        left = time_left()
        if timeout is not None or (left is None and self.patience is None):
            return super().wait(gen, interval, timeout)
        bound = min(seconds for seconds in (left, self.patience) if seconds is not None)
        try:
            result = super().wait(gen, interval, max(0.001, bound))
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()
            if bound == self.patience:  # a deadline says nothing of the server: what was asked may take longer
                _Silence.found_at = time.monotonic()
            raise psycopg.OperationalError("the database did not answer in time") from error
        self._heard_at = time.monotonic()
        return result


@cache
def patient(statement_seconds: float) -> type[BoundedConnection]:
    """Connections whose statements are given so long by the server: an answer is waited for a little longer."""
    return type("PatientConnection", (BoundedConnection,), {"patience": statement_seconds + _GRACE_SECONDS})

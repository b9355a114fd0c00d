"""While the database is down or drowning, questions are refused at once instead of waiting for it with everybody else.

Open after one failure of the connection, or after several statements in a short time that were ended for taking too long;
then one question a second is let through to see whether it is over.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from django.db import OperationalError, connection

from telemetry import measures

__all__ = ["DatabaseBreaker", "DatabaseBusy", "breaker", "connected_within", "is_timeout"]

_PAUSE_SECONDS = 1.0
#: So many statements that took too long, within so many seconds, are a database that drowns.
_SLOW, _SLOW_SECONDS = 3, 10.0
#: Questions at a time in one process: some connections of its pool are left to pages.
_AT_ONCE = 8


class DatabaseBusy(OperationalError):
    """Nobody was asked: the database is down, or has too much to do already."""


class DatabaseBreaker:
    """One for all threads of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, at_once: int = _AT_ONCE) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(at_once)
        self._open = False
        self._next_try = 0.0
        self._slow: deque[float] = deque(maxlen=_SLOW)

    @property
    def is_open(self) -> bool:
        return self._open

    def require_closed(self) -> None:
        """Raises DatabaseBusy while it is open, but once a second lets one try."""
        if not self._open:
            return
        with self._lock:
            if self._clock() < self._next_try:
                raise DatabaseBusy("the database does not answer")
            self._next_try = self._clock() + _PAUSE_SECONDS

    @contextmanager
    def slot(self, seconds: float) -> Iterator[None]:
        """One of the places for questions at a time. Raises DatabaseBusy where none gets free within so many seconds."""
        if not self._slots.acquire(timeout=seconds):
            raise DatabaseBusy("too many questions are asked at the same time")
        try:
            yield
        finally:
            self._slots.release()

    def succeeded(self) -> None:
        """The database answered."""
        if self._open:
            self._open = False
            self._slow.clear()
            measures.breaker_open.labels(service="database").set(0)

    def failed(self, error: BaseException) -> None:
        """What became of a question that was let through."""
        if isinstance(error, DatabaseBusy):
            return
        with self._lock:
            now = self._clock()
            if is_timeout(error):
                self._slow.append(now)
                if len(self._slow) < _SLOW or now - self._slow[0] > _SLOW_SECONDS:
                    return
            self._open = True
            self._next_try = now + _PAUSE_SECONDS
        measures.breaker_open.labels(service="database").set(1)


breaker = DatabaseBreaker()


def is_timeout(error: BaseException) -> bool:
    """Whether the server itself ended a statement for taking too long."""
    return isinstance(error.__cause__, psycopg.errors.QueryCanceled)


def connected_within(seconds: float) -> None:
    """See that this thread gets a connection soon: the pool itself would let it wait longer.

    Raises OperationalError where none is to be had.
    """
    pool = getattr(connection, "pool", None)
    if connection.connection is not None or not pool:
        return
    with connection.wrap_database_errors:
        pool.open()
        # Given back at once: Django takes it again, together with all that it does to a new connection.
        pool.putconn(pool.getconn(timeout=seconds))

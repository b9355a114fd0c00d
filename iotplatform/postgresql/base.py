"""Django's backend with counted queries, whose pool of connections keeps a request's deadline too."""

from __future__ import annotations

import time
from typing import Any

from django_prometheus.db.backends.postgresql import base
from psycopg_pool import ConnectionPool

from telemetry.deadline import time_left

__all__ = ["DatabaseWrapper"]


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """Without this a request could wait for an answer until its deadline, and then for a connection once more."""

    @property
    def pool(self) -> _BoundedPool | None:
        pool = super().pool
        return None if pool is None else _BoundedPool(pool)


class _BoundedPool:
    """The pool of this process, as seen by a thread with a deadline."""

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool

    def getconn(self, timeout: float | None = None) -> Any:
        """As the pool's, ``timeout`` in seconds (None: the pool's own). Raises PoolTimeout, an OperationalError.

        Connections that do not answer are thrown away, without the pauses that the pool's own check makes after each of them.
        """
        timeout = self._pool.timeout if timeout is None else timeout
        left = time_left()
        end = time.monotonic() + (timeout if left is None else min(left, timeout))
        while True:
            connection = self._pool.getconn(max(end - time.monotonic(), 0.001))
            answers = False
            try:
                answers = connection.answers()
            finally:  # also where the process is being stopped just now
                if not answers:
                    self._pool.putconn(connection)
            if answers:
                return connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

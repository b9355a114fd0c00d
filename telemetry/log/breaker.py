"""After the log server failed, ask it again only once a second: everybody else is told at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from telemetry import measures
from telemetry.log.entries import Append, Appended, LogDown
from telemetry.log.group_commit import GroupCommit

_PAUSE_SECONDS = 1.0


class Breaker:
    """Wraps the appending side of a log; thread-safe."""

    def __init__(self, log: GroupCommit, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._healthy = True
        self._next_try = 0.0

    @property
    def is_open(self) -> bool:
        return not self._healthy

    def append(self, request: Append) -> Appended:
        """As GroupCommit.append; raises LogDown at once while the log is known to be down."""
        self.require_closed()
        try:
            answer = self._log.append(request)
        except LogDown:
            self.failed()
            raise
        self.succeeded()
        return answer

    def require_closed(self) -> None:
        """Raises LogDown while the log is known to be down, but once a second lets one try."""
        if not self._healthy:
            with self._lock:
                if self._clock() < self._next_try:
                    raise LogDown("the log server does not answer")
                self._next_try = self._clock() + _PAUSE_SECONDS

    def failed(self) -> None:
        """An append raised LogDown."""
        with self._lock:
            self._healthy = False
            self._next_try = self._clock() + _PAUSE_SECONDS
        measures.breaker_open.labels(service="log").set(1)

    def succeeded(self) -> None:
        """The log server answered."""
        if not self._healthy:
            self._healthy = True
            measures.breaker_open.labels(service="log").set(0)

"""Drain workers of one machine take turns, so many at a time as there are pairs of cores: for large drains into columns.

What storing into columns costs is mostly the same for a thousand readings and for ten thousand. Where two workers drain at a
time on two cores, each finds half as much, and both take the cores from the database and from the web processes; who waits
for his turn finds more. Where a core has nothing to do, as at the end of a burst, nobody waits. (Rows in a table with an index
are another matter: there the database is what takes long, and two connections store twice as much.)

A turn is a lock on a file, which is given back when its process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Turns"]

#: Whoever has waited so long (s) goes on without: the other one may be waiting for something itself.
_PATIENCE_SECONDS = 0.1
_LOOK_SECONDS = 0.002
_LOAD = Path("/proc/loadavg")


class Turns:
    """Of the drain worker with this number, from 1 on. ``folder`` is that of all workers of the machine."""

    def __init__(
        self,
        folder: Path,
        worker: int,
        cores: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        running: Callable[[], int | None] | None = None,
    ) -> None:
        self._cores = cores or os.cpu_count() or 1
        self._running = running or _running
        at_a_time = max(1, self._cores // 2)
        self._path = folder / f"drain-turn-{(worker - 1) % at_a_time}"
        self._clock, self._sleep = clock, sleep

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait for a turn, and have it until the end; False: it goes on without, for nobody may tell us when, it took too long,
        or there is room."""
        try:
            file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:  # a container's folder that cannot be written to
            yield False
            return
        try:
            yield self._wait(file)
        finally:
            os.close(file)

    def _wait(self, file: int) -> bool:
        end = self._clock() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                running = self._running()
                if (running is not None and running < self._cores) or self._clock() >= end:
                    return False
                self._sleep(_LOOK_SECONDS)


def _running() -> int | None:
    """How many threads of this machine run or could run now, but for the one that asks (Linux, proc(5)); None: unknown."""
    try:
        return int(_LOAD.read_text().split()[3].partition("/")[0]) - 1
    except (OSError, ValueError, IndexError):
        return None

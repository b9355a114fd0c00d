"""How long the next drain of a shard waits for more to come, by what its drains found.

A drain costs some milliseconds however little it finds, and rows are written into compressed columns only from some
thousands on. So a shard that gets little, and one that nearly gets enough for columns, is drained less often; one whose
drains are large already, or that was idle, is drained at once.
"""

from __future__ import annotations

__all__ = ["Linger"]

#: The next drain begins so long after one that found little, and waits at most so long for enough readings to be written
#: into columns: half of it is what a reading waits on average. What it waits for in all (this, the drains of the worker's
#: other shards, its own) has to stay well below a quarter of a second.
_SECONDS = 0.08
_LITTLE_READINGS = 1000
#: So many times what is enough is waited for, as far as the time allows: what comes is never even, and a drain that aims at
#: just enough misses it every second time.
_AIM = 2
#: A large drain has so many times what is enough for columns. Smaller ones gain nothing by taking turns and make readings wait
#: for it: at half of what the machine can take, up to 90 ms of the 99th percentile.
_LARGE = 6


class Linger:
    """One shard's pace. Times in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._due = 0.0
        #: Whether the last turn had many times what is enough for columns.
        self.large = False

    def left(self, now: float) -> float:
        """How long the drain that was asked for now should wait."""
        return max(0.0, self._due - now)

    def drained(self, readings: int, began: float, ended: float, enough: int | None) -> None:
        """A turn of drains found all there was, so many readings. ``enough``: from how many on a drain is written into
        columns; None where none ever is."""
        since, self._began = self._began, began
        self.large = _is_large(readings, enough)
        if readings < _LITTLE_READINGS:
            self._due = ended + _SECONDS
        elif enough is None or since is None:
            self._due = 0.0
        else:
            # What comes while a drain is at work is for the next one: so counted from where this one began.
            needed = enough * (began - since) / readings
            self._due = began + min(_AIM * needed, _SECONDS) if needed <= _SECONDS else 0.0

    def left_some(self, readings: int, enough: int | None) -> None:
        """A turn was over before everything was drained, after so many readings: the next begins at once."""
        self._began, self._due = None, 0.0
        self.large = _is_large(readings, enough)


def _is_large(readings: int, enough: int | None) -> bool:
    return enough is not None and readings >= _LARGE * enough

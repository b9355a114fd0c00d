"""Which stored entries the log still keeps: for a database that fails over to a slightly older copy of itself."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from telemetry.log.entries import ordinal

#: From this share of the log server's memory on less is kept, and nothing from the other on; intake ends at nine tenths.
_KEEP_ALL_UPTO, _KEEP_NONE_FROM = 0.5, 0.8


@dataclass(frozen=True, slots=True)
class Kept:
    """A position that was committed, when (monotonic seconds), and the bytes of the log up to it."""

    at: float
    entry: str
    offset: int


class Retained:
    """Committed positions of one shard, oldest first. Times are of the monotonic clock, so a clock set back is no matter."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._kept: deque[Kept] = deque()

    def committed(self, now: float, entry: str, offset: int) -> None:
        self._kept.append(Kept(now, entry, offset))

    def due(self, now: float, judged: str, memory_taken: float = 0.0) -> str | None:
        """Up to which entry the log can be trimmed now, if at all; never beyond what was judged.

        What is stored never takes the memory of what is to come: the less the log server has left (``memory_taken``, 0 to 1),
        the sooner it goes.
        """
        room = (_KEEP_NONE_FROM - memory_taken) / (_KEEP_NONE_FROM - _KEEP_ALL_UPTO)
        share = min(1.0, max(0.0, room))
        upto = None
        while (
            self._kept and self._is_over(self._kept[0], now, share) and ordinal(self._kept[0].entry) <= ordinal(judged)
        ):
            upto = self._kept.popleft().entry
        return upto

    def _is_over(self, oldest: Kept, now: float, share: float) -> bool:
        return (
            now - oldest.at >= self._seconds * share or self._kept[-1].offset - oldest.offset > self._most_bytes * share
        )

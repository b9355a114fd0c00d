"""How long a refresh goes on: it gives way to the storing of readings.

Queries are right without it, only slower: so while readings wait in the log, the machine is theirs. But not for ever, for the
part that is answered from the readings themselves grows meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

from telemetry.log.depth import depths
from telemetry.log.entries import LogError
from telemetry.log.redis_streams import RedisLog

__all__ = ["Pace"]

#: Readings that wait longer than this (s) are waited for.
_WAITING_SECONDS = 1.0
#: Rollups that are older than this (s) are refreshed whatever waits.
_LONGEST_SECONDS = 900.0
_LOOK_SECONDS = 0.5


class Pace:
    """Says whether to go on, between portions of work.

    ``age``: how far the rollups are behind, in seconds, as the refresh begins. ``budget``: seconds that it may take.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        log: RedisLog,
        age: float,
        budget: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._log = log
        self._waits = age < _LONGEST_SECONDS
        self._clock = clock
        self._end = clock() + budget
        self._looked_at = float("-inf")
        #: Why it stopped: "", "budget" or "readings wait".
        self.stopped = ""

    def go_on(self) -> bool:
        """Whether there is time for another portion."""
        now = self._clock()
        if now >= self._end:
            self.stopped = "budget"
        elif self._waits and now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            if self._readings_wait():
                self.stopped = "readings wait"
        return not self.stopped

    def _readings_wait(self) -> bool:
        rows = self._connection.execute("SELECT shard, stored, stored_offset FROM telemetry_shardposition").fetchall()
        try:
            found = self._log.call(lambda client: depths(client, {shard: (entry, at) for shard, entry, at in rows}))
        except LogError:
            return False  # nothing can be stored either way
        return any(depth.oldest_seconds > _WAITING_SECONDS for depth in found.values())

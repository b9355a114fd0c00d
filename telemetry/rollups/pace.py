"""How a refresh goes on: it gives way to the storing of readings, within its work too.

Queries are right without it, only slower: so while readings wait in the log, the machine is theirs, and each short piece of
work is followed by a pause several times as long. But not for ever, for the part that is answered from the readings themselves
grows meanwhile: the further the rollups are behind, the shorter the pauses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

from telemetry.log.depth import depths
from telemetry.log.entries import LogError
from telemetry.log.redis_streams import RedisLog
from telemetry.rollups.freshness import BEHIND_SECONDS

__all__ = ["Pace", "longest_wait"]

#: While readings wait longer than this (s) in the log, nothing is done.
_WAITING_SECONDS = 1.0
#: Rollups that are older than this (s) are refreshed whatever waits.
_LONGEST_SECONDS = 900.0
#: How long a pause is in times of the work before it, where readings wait; and where they wait for longer than a drain takes.
_GIVES_WAY = 4.0
_GIVES_WAY_MORE = 10.0
_SLOW_SECONDS = 0.3
#: A pause is no longer (s), whatever the work was, and none is made for less work than the least.
_MOST_PAUSE_SECONDS = 2.0
_LEAST_WORK_SECONDS = 0.02
_LOOK_SECONDS = 0.25


class Pace:
    """Says whether to go on, between portions of work, and has the work pause.

    ``age``: how far the rollups are behind, in seconds, as the refresh begins; up to ``usual`` that is as it should be.
    ``budget``: seconds that it may take.
    """

    def __init__(
        self,
        waiting: Callable[[], float],
        age: float,
        usual: float,
        budget: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._waiting = waiting
        self._age = age
        late = max(BEHIND_SECONDS, usual + budget)
        #: 1: pauses as they should be, 0: none.
        self._slack = min(1.0, max(0.0, (late - age) / (late - usual)))
        self._clock, self._sleep = clock, sleep
        self._began = self._worked_since = clock()
        self._looked = False
        self._end = self._began + budget
        #: Why it stopped: "", "budget" or "readings wait".
        self.stopped = ""

    def go_on(self) -> bool:
        """Whether there is time for another portion, after the pause that is due."""
        self.pause()
        if not self.stopped and self._clock() >= self._end:
            self.stopped = "budget"
        return not self.stopped

    def pause(self) -> None:
        """Give way for as long as it takes after what was done since the last pause: at most until the time is over."""
        worked = self._clock() - self._worked_since
        if worked < _LEAST_WORK_SECONDS and self._looked:
            return
        self._looked = True
        waited = self._waiting()
        while waited > _WAITING_SECONDS and self._age + self._clock() - self._began < _LONGEST_SECONDS:
            if self._clock() >= self._end:
                self.stopped = self.stopped or "readings wait"
                break
            self._sleep(_LOOK_SECONDS)
            waited = self._waiting()
        times = _GIVES_WAY_MORE if waited > _SLOW_SECONDS else _GIVES_WAY if waited else 0.0
        if (rest := min(worked * times * self._slack, _MOST_PAUSE_SECONDS, self._end - self._clock())) > 0:
            self._sleep(rest)
        self._worked_since = self._clock()


def longest_wait(connection: psycopg.Connection[Any], log: RedisLog) -> float:
    """How long (s) the oldest reading has waited in the log that is not stored yet; 0: none does."""
    rows = connection.execute("SELECT shard, stored, stored_offset FROM telemetry_shardposition").fetchall()
    try:
        found = log.call(lambda client: depths(client, {shard: (entry, at) for shard, entry, at in rows}))
    except LogError:
        return 0.0  # nothing can be stored either way
    return max((depth.oldest_seconds for depth in found.values()), default=0.0)

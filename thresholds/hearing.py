"""When the series whose silence is judged were last heard of, by the clock of their shard.

Kept in the memory of the shard's drain and handed over to the log server about every second, so that another process
can go on. What was lost counts as heard just now: a loss is never silence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry.intake.heartbeat import outages
from telemetry.log import keys
from telemetry.log.redis_streams import RedisLog
from thresholds.compiled import Compiled

__all__ = ["Hearing", "silence_of"]

_HAND_OVER_SECONDS = 1.0
_LOOK_SECONDS = 2.0


class Hearing:
    """The series of one shard that have rules of silence. ``now`` of ``due`` and ``hand_over`` is monotonic, in seconds;
    all other times are µs since 1970."""

    def __init__(self, log: RedisLog, shard: int) -> None:
        self._log = log
        self._shard = shard
        self._heard: NDArray[np.int64] = np.zeros(0, np.int64)
        self._watched: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._changed: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._kept: dict[int, int] = {}
        self._looked_at = float("-inf")
        self._handed_over_at = float("-inf")
        #: One place a (series, rule of silence).
        self.series: NDArray[np.int32] = np.zeros(0, np.int32)
        self.rules: NDArray[np.intp] = np.zeros(0, np.intp)

    def load(self) -> None:
        """Begin from what the shard's drains handed over last."""
        kept = self._log.call(lambda client: client.hgetall(keys.heard(self._shard)))
        self._kept = {int(series): int(at) for series, at in kept.items()}

    def watch(self, series: NDArray[np.int32], compiled: Compiled, now: int) -> None:
        """The series to listen for from now on."""
        pairs = [(one, rule) for one in series.tolist() for rule in compiled.silent.get(one, ())]
        self.series = np.array([one for one, _ in pairs], np.int32)
        self.rules = np.array([rule for _, rule in pairs], np.intp)
        self._watched[:] = False
        for one in sorted({one for one, _ in pairs}):
            self._grow(one)
            self._watched[one] = True
            if not self._heard[one]:
                self._heard[one] = self._kept.get(one, now)
                self._changed[one] = True

    @property
    def watched(self) -> NDArray[np.int32]:
        return np.unique(self.series)

    def listens_to(self, series: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of these rows are of a series that is listened for."""
        if len(series):
            self._grow(int(series.max()))
        return self._watched[series]

    def heard_at(self, series: int) -> int:
        return int(self._heard[series])

    def note(self, series: NDArray[np.int32], received: NDArray[np.int64]) -> None:
        """These were heard of then."""
        np.maximum.at(self._heard, series, received)
        self._changed[series] = True

    def due(self, now: float) -> bool:
        """Whether it is time to look for silence."""
        return bool(len(self.series)) and now - self._looked_at >= _LOOK_SECONDS

    def look(self, clock: int, now: float) -> NDArray[np.float64] | None:
        """Seconds of silence of each (series, rule) at that moment; None where intake was never up."""
        self._looked_at = now
        down = outages(self._log, clock)
        return None if down is None else silence_of(self._heard[self.series], clock, down)

    def hand_over(self, now: float) -> None:
        """Tell the log server, at most once a second."""
        if now - self._handed_over_at < _HAND_OVER_SECONDS or not self._changed.any():
            return
        series = np.flatnonzero(self._changed)
        heard: dict[Any, Any] = dict(zip(series.tolist(), self._heard[series].tolist(), strict=True))
        self._log.call(lambda client: client.hset(keys.heard(self._shard), mapping=heard))
        self._changed[:] = False
        self._handed_over_at = now

    def _grow(self, largest: int) -> None:
        if largest >= len(self._heard):
            more = max(largest + 1, 2 * len(self._heard), 1024) - len(self._heard)
            self._heard = np.concatenate([self._heard, np.zeros(more, np.int64)])
            self._watched = np.concatenate([self._watched, np.zeros(more, np.bool_)])
            self._changed = np.concatenate([self._changed, np.zeros(more, np.bool_)])


def silence_of(heard: NDArray[np.int64], clock: int, outages: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Seconds from each of these moments to that of the clock, without the outages [from, to). All in µs since 1970."""
    silent = np.maximum(clock - heard, 0)
    for begin, end in outages:
        silent -= np.maximum(np.minimum(end, clock) - np.maximum(heard, begin), 0)
    return np.maximum(silent, 0) / 1e6

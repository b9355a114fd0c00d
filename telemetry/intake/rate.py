"""A key's rate limit: a bucket of tokens, one a reading, in each process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: A bucket holds this many seconds' worth, so that a device may send its buffer at once.
BURST_SECONDS = 10.0
_MOST_BUCKETS = 100_000


class RateLimiter:
    """Thread-safe. Limits in readings per second; each of ``processes`` web processes grants its share."""

    def __init__(self, processes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._processes = processes
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[int, tuple[float, float]] = {}

    def wait_for(self, key_id: int, limit: float, readings: int) -> float:
        """0 where the readings may pass (they are then counted), else the seconds to wait.

        A request larger than a full bucket passes when the bucket is full, and leaves a debt.
        """
        if not limit:
            return 0.0
        rate = limit / self._processes
        most = max(1.0, rate * BURST_SECONDS)
        now = self._clock()
        with self._lock:
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.clear()
            tokens, at = self._buckets.get(key_id, (most, now))
            tokens = min(most, tokens + (now - at) * rate)
            needed = min(float(readings), most)
            if tokens < needed:
                self._buckets[key_id] = tokens, now
                return (needed - tokens) / rate
            self._buckets[key_id] = tokens - readings, now
            return 0.0

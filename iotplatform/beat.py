"""Beat's schedule: intervals on a clock that nobody sets.

Celery's own scheduler compares wall clock times, and its file keeps them over restarts: set back by a day, it would
sweep nothing for a day. It also compares all entries with each other at every step, in case somebody changed them, which
was most of what beat took (3 % of a core). Here an entry is due when its interval is over, counted from the start; no
interval is longer than minutes. The file of ``--schedule`` is only touched: that is how a container is known to be well.
"""

from __future__ import annotations

import heapq
import logging
import time
from pathlib import Path
from typing import Any

from celery.beat import Scheduler

from iotplatform.observability.task_metrics import beat_last_tick

__all__ = ["SteadyScheduler"]

logger = logging.getLogger(__name__)

#: How often the file is touched.
_SIGN_SECONDS = 10.0


class SteadyScheduler(Scheduler):
    """For entries with intervals in seconds, which do not change while it runs."""

    max_interval = 2

    def __init__(self, *args: Any, schedule_filename: str, **kwargs: Any) -> None:
        self._file = Path(schedule_filename)
        self._touched = float("-inf")
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        self.merge_inplace(self.app.conf.beat_schedule)
        now = time.monotonic()
        intervals = {name: entry.schedule.seconds for name, entry in self.data.items()}
        #: (when it is due, its interval, its name).
        self._due = [(now + interval, interval, name) for name, interval in intervals.items()]
        heapq.heapify(self._due)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, one entry at most; answers the seconds until the next one."""
        now = time.monotonic()
        beat_last_tick.set(time.time())
        if now - self._touched > _SIGN_SECONDS:
            self._touched = now
            try:
                self._file.touch()
            except OSError as error:
                logger.error("beat's sign of life cannot be written to %s: %s", self._file, error)
        due, interval, name = self._due[0]
        if due > now:
            return float(min(due - now, self.max_interval))
        # What was missed is not made up for.
        following = due + interval if due + interval > now else now + interval
        heapq.heapreplace(self._due, (following, interval, name))
        self.apply_entry(self.data[name], producer=self.producer)
        return 0.0

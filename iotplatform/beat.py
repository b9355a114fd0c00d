"""Beat's schedule, which goes on when the clock is set back.

Celery's own scheduler compares wall clock times, and its file keeps them over restarts: set back by a day, it would
sweep nothing for a day. Here every start, and a clock that went back, make all entries count from now: no interval is
longer than minutes.
"""

from __future__ import annotations

import time
from typing import Any

from celery.beat import PersistentScheduler

from iotplatform.observability.task_metrics import beat_last_tick

__all__ = ["SteadyScheduler"]

_STEP_SECONDS = 1.0


class SteadyScheduler(PersistentScheduler):
    """Looks at the clock at least every few seconds."""

    max_interval = 2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offset = _wall_beyond_monotonic()

    def setup_schedule(self) -> None:
        super().setup_schedule()
        self._count_from_now()

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """One step of the schedule; seconds until the next one."""
        offset = _wall_beyond_monotonic()
        if offset < self._offset - _STEP_SECONDS:
            self._count_from_now()
        self._offset = offset
        wait = super().tick(*args, **kwargs)
        beat_last_tick.set(time.time())
        return wait

    def _count_from_now(self) -> None:
        now = self.app.now()
        for entry in self.schedule.values():
            entry.last_run_at = now
        self._heap = None  # of times that mean nothing any more


def _wall_beyond_monotonic() -> float:
    return time.time() - time.monotonic()

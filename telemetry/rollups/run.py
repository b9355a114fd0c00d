"""One run of the refresh, as beat starts it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from telemetry.database import connect
from telemetry.log.redis_streams import RedisLog
from telemetry.rollups.freshness import freshness
from telemetry.rollups.levels import MINUTE
from telemetry.rollups.pace import Pace, longest_wait
from telemetry.rollups.refresh import Refreshed, refresh

__all__ = ["Refresher", "refresh_due", "worker"]

logger = logging.getLogger(__name__)
_LEAST_BUDGET_SECONDS = 5.0


class Refresher:
    """The thread of a worker in which a refresh runs: most of its time it gives way, and nobody waits for it. A daemon: what
    it did not finish when its worker stops is still marked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def pump(self, log: Callable[[], RedisLog], config: Any) -> None:
        """See that a refresh runs. Returns at once; ``log`` is called in the thread."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, args=(log, config), name="rollups", daemon=True)
                self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Until the refresh has ended; False where it has not."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    @staticmethod
    def _run(log: Callable[[], RedisLog], config: Any) -> None:
        try:
            refresh_due(log(), config)
        except Exception:
            # The database, most likely; what was not made is marked, and beat starts another one.
            logger.exception("rollups_interrupted")


worker = Refresher()


def refresh_due(log: RedisLog, config: Any, now: int | None = None) -> Refreshed:
    """Work off what is marked and over since ``rollup_delay_seconds``; what is not done within the time between two runs is
    left to the next. ``now`` in µs since 1970."""
    now = int(time.time() * 1e6) if now is None else now
    with connect(autocommit=True) as connection:
        # Its statements are portions of bounded size, on a connection that nobody waits for.
        connection.let_statements_take(300)
        age = freshness(connection).lag
        budget = max(_LEAST_BUDGET_SECONDS, 0.8 * config.rollup_refresh_seconds)
        usual = config.rollup_refresh_seconds + config.rollup_delay_seconds + MINUTE.width / 1e6
        pace = Pace(lambda: longest_wait(connection, log), age, usual, budget)
        done = refresh(
            connection,
            now - config.rollup_delay_seconds * 1_000_000,
            keeps_all=not config.raw_retention_days,
            patient=True,
            go_on=pace.go_on,
            pause=pace.pause,
        )
    if done.buckets or not done.complete:
        logger.info(
            "rollups_refreshed",
            extra={
                "readings": done.readings,
                "buckets": done.buckets,
                "complete": done.complete,
                "stopped": "elsewhere" if done.elsewhere else pace.stopped,
            },
        )
    return done

"""One run of the refresh, as beat starts it."""

from __future__ import annotations

import logging
import time
from typing import Any

from telemetry.database import connect
from telemetry.log.redis_streams import RedisLog
from telemetry.rollups.marks import rolled_upto
from telemetry.rollups.pace import Pace
from telemetry.rollups.refresh import Refreshed, refresh

__all__ = ["refresh_due"]

logger = logging.getLogger(__name__)
_LEAST_BUDGET_SECONDS = 5.0


def refresh_due(log: RedisLog, config: Any, now: int | None = None) -> Refreshed:
    """Work off what is marked and over since ``rollup_delay_seconds``; what is not done within the time between two runs is
    left to the next. ``now`` in µs since 1970."""
    now = int(time.time() * 1e6) if now is None else now
    with connect(autocommit=True) as connection:
        # Its statements are portions of bounded size, on a connection that nobody waits for.
        connection.let_statements_take(300)
        with connection.cursor() as cursor:
            age = (now - rolled_upto(cursor)) / 1e6
        budget = max(_LEAST_BUDGET_SECONDS, 0.8 * config.rollup_refresh_seconds)
        pace = Pace(connection, log, age, budget)
        done = refresh(
            connection,
            now - config.rollup_delay_seconds * 1_000_000,
            keeps_all=not config.raw_retention_days,
            go_on=pace.go_on,
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

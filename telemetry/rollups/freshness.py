"""How far the rollups are behind: for metrics, the doctor, alerts about the platform and the dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["BEHIND_SECONDS", "STALE_SECONDS", "Freshness", "freshness"]

#: Rollups further behind than this, in seconds, are worth a look; beyond the second, a person's.
BEHIND_SECONDS = 300
STALE_SECONDS = 1800

_ASK = """
SELECT extract(epoch FROM now() - s.rolled_upto)::float8, extract(epoch FROM now() - s.refreshed_at)::float8, m.marks,
    extract(epoch FROM now() - m.oldest)::float8
FROM telemetry_rollupstate s,
    (SELECT count(*) AS marks, min(at) FILTER (WHERE low < (SELECT rolled_upto FROM telemetry_rollupstate)
        AND level = 'minute') AS oldest FROM telemetry_rollupmark) m
"""


@dataclass(frozen=True, slots=True)
class Freshness:
    """All in seconds before now."""

    #: From this event time on, queries read the readings themselves.
    rolled_upto: float
    #: When a refresh last left nothing undone; None: never.
    refreshed: float | None
    #: Rows on the list of what is to be made.
    marks: int
    #: When the oldest late reading arrived that is not rolled up yet; None where there is none.
    oldest_late: float | None

    @property
    def lag(self) -> float:
        """By how much the newest minutes are late, or since when hours and days have been."""
        return max(self.rolled_upto, self.refreshed or 0.0)

    @property
    def behind(self) -> float:
        """By how much what a person sees of the rollups may be late."""
        return max(self.lag, self.oldest_late or 0.0)


def freshness(connection: Any) -> Freshness:
    """Asks over a psycopg connection or a Django cursor."""
    cursor = connection.execute(_ASK) or connection
    row = cursor.fetchone()
    return Freshness(*row) if row else Freshness(0.0, None, 0, None)

"""What the overview says of the platform as a whole: how much comes in, what waits, what was refused, whether rollups
are fresh. Asked once a second at most, however many look."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import redis
from django.db import connection
from django.db.models import Count
from django.utils.safestring import SafeString

from iotplatform.dashboard import history
from iotplatform.dashboard.kept import kept
from iotplatform.dashboard.sparkline import hour_plot
from telemetry.models import QuarantinedReading
from telemetry.rollups.freshness import BEHIND_SECONDS, freshness
from telemetry.sight import sees_everything, visible_devices

__all__ = ["LATE_SECONDS", "Refused", "Vitals", "refused_by_reason", "vitals"]

#: Readings that wait longer than this are worth a look.
LATE_SECONDS = 10.0
_KEPT_SECONDS = 1
_REFUSED_SECONDS = 3
_RATE_SECONDS = 10.0

Points = list[tuple[float, float | None]]


class Plot(NamedTuple):
    """A drawing, and the value at its upper edge; None where there is nothing to draw."""

    svg: SafeString
    top: float


def _plot(lines: list[tuple[str, Points]], label: str) -> Plot | None:
    known = [value for _, points in lines for _, value in points if value is not None]
    if not known:
        return None
    top = _round_up(max(known))
    return Plot(hour_plot(lines, top, f"{label}, at most {max(known):,.3g}"), top)


def _round_up(value: float) -> float:
    """The next 1, 2, 5 × 10ⁿ: an axis that does not change with every sample."""
    if value <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in (1.0, 2.0, 5.0, 10.0) if step * size >= value)


@dataclass(frozen=True, slots=True)
class Vitals:
    """Times in seconds, latencies in milliseconds, points as (seconds since 1970, value)."""

    #: None: not known, because a server does not answer or nothing was sampled yet.
    rate: float | None
    waiting: int | None
    oldest: float | None
    rates: Points
    typical: Points
    slowest: Points
    #: By how much rollups are late, and seconds since the last complete refresh.
    behind: float
    refreshed: float | None
    marks: int

    @property
    def log_late(self) -> bool:
        return self.oldest is None or self.oldest > LATE_SECONDS

    @property
    def rollups_late(self) -> bool:
        return self.behind > BEHIND_SECONDS

    @property
    def rate_plot(self) -> Plot | None:
        return _plot([("", self.rates)], "readings per second over the last hour")

    @property
    def latency_plot(self) -> Plot | None:
        return _plot([("", self.typical), ("line-2", self.slowest)], "latency over the last hour in milliseconds")

    @property
    def latency(self) -> tuple[float | None, float | None]:
        """Typical and slowest of the newest minute that had any."""
        pairs = zip(self.typical, self.slowest, strict=True)
        known = [(typical, slowest) for (_, typical), (_, slowest) in pairs if typical is not None]
        return known[-1] if known else (None, None)


def vitals() -> Vitals:
    return Vitals(**kept("vitals", _KEPT_SECONDS, lambda: asdict(_asked())))


def _asked() -> Vitals:
    samples = history.recent()
    try:
        now = history.look()
    except redis.RedisError:
        now = None
    with connection.cursor() as cursor:
        rollups = freshness(cursor)
    hour = history.minutes(samples, time.time())
    before = [sample for sample in samples if now is not None and now.at - sample.at >= _RATE_SECONDS]
    return Vitals(
        rate=history.rate(before[-1], now) if now is not None and before else None,
        waiting=None if now is None else now.waiting,
        oldest=None if now is None else now.oldest,
        rates=[(minute.at, minute.rate) for minute in hour],
        typical=[(minute.at, minute.typical) for minute in hour],
        slowest=[(minute.at, minute.slowest) for minute in hour],
        behind=rollups.behind,
        refreshed=rollups.refreshed,
        marks=rollups.marks,
    )


@dataclass(frozen=True, slots=True)
class Refused:
    """Readings in quarantine that wait for somebody, by reason, most first."""

    by_reason: list[tuple[str, int]]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.by_reason)


def refused_by_reason(user: Any) -> Refused:
    """Of the devices that this person sees; whoever sees all sees those of unknown devices too."""
    whose = "all" if sees_everything(user) else user.pk
    return Refused(kept(f"refused:{whose}", _REFUSED_SECONDS, lambda: _refused(user)))


def _refused(user: Any) -> list[tuple[str, int]]:
    waiting = QuarantinedReading.objects.filter(state=QuarantinedReading.State.WAITING)
    if not sees_everything(user):
        waiting = waiting.filter(device__in=visible_devices(user).values("name"))
    return list(waiting.order_by().values_list("code").annotate(count=Count("pk")).order_by("-count"))

"""When an export is due, and about which period, by the clocks of its zone. Pure.

An occurrence is a local day. Where clocks skip its time of day, it comes at the instant that the clocks before the change
would have called so (02:30 becomes 03:30); where the time comes twice, it is the first of both. So every day has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

__all__ = ["Due", "Schedule", "midnight", "next_due", "period_of"]

_DAY = timedelta(days=1)
_MIDNIGHT = time()


@dataclass(frozen=True, slots=True)
class Schedule:
    """``weekday`` counts from Monday = 0, None is every day; ``period`` is yesterday, last_week or last_days."""

    at: time
    zone: ZoneInfo
    weekday: int | None = None
    period: str = "yesterday"
    days: int | None = None


class Due(NamedTuple):
    """A local day, and the instant (UTC) at which it is its turn."""

    on: date
    at: datetime


def next_due(schedule: Schedule, after: datetime) -> Due:
    """The first occurrence after this instant."""
    # The instant of a day may lie beyond it (23:30 skipped becomes 00:30), never before it.
    day = after.astimezone(schedule.zone).date() - 2 * _DAY
    while True:
        day = _matching(schedule, day + _DAY)
        due = Due(day, _instant(day, schedule.at, schedule.zone))
        if due.at > after and _exists(day, schedule.zone):
            return due


def period_of(schedule: Schedule, on: date) -> tuple[datetime, datetime]:
    """[start, end) in UTC of what an occurrence on this local day is about."""
    zone = schedule.zone
    if schedule.period == "last_week":
        monday = on - on.weekday() * _DAY
        return midnight(monday - 7 * _DAY, zone), midnight(monday, zone)
    first = on - (schedule.days or 1) * _DAY if schedule.period == "last_days" else on - _DAY
    # A zone that crossed the date line has left out a day: then the day before it is yesterday.
    while midnight(first, zone) >= midnight(on, zone):
        first -= _DAY
    return midnight(first, zone), midnight(on, zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, UTC."""
    return _instant(day, _MIDNIGHT, zone)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    # fold=0 is what both promises rest on: the offset before the change (PEP 495).
    return datetime.combine(day, at.replace(fold=0), zone).astimezone(UTC)


def _matching(schedule: Schedule, day: date) -> date:
    if schedule.weekday is None:
        return day
    return day + (schedule.weekday - day.weekday()) % 7 * _DAY


def _exists(day: date, zone: ZoneInfo) -> bool:
    return midnight(day, zone) < midnight(day + _DAY, zone)

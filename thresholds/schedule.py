"""When a threshold or a maintenance window is in force: weekdays and hours of the wall clock in an IANA zone. Pure.

    {"zone": "Europe/Berlin", "windows": [{"days": ["mon", "tue"], "start": "08:00", "end": "18:00"}]}

A window begins on each of its days. One whose end is not after its start runs past midnight; "24:00" is the end of a day.
Hours are those that the clock on the wall shows: one that summer time leaves out never comes, one that it repeats comes
twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAYS", "Schedule", "ScheduleError", "Window", "parse", "problems"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTE = 60_000_000
_DAY = 86_400_000_000
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: 1970-01-01 was a Thursday.
_FIRST_WEEKDAY = 3


class ScheduleError(ValueError):
    """The schedule is not one. ``problems``: (where in it, what is wrong and what to do), at least one."""

    def __init__(self, found: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where}: {what}" if where else what for where, what in found))
        self.problems = found


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start`` to ``end`` (minutes after midnight) on some weekdays (0: Monday)."""

    days: frozenset[int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule that was found right."""

    zone: str
    windows: tuple[Window, ...]
    #: UTC day → offset of the zone's clock in µs, None on a day when it changes.
    _offsets: dict[int, int | None] = field(default_factory=dict, compare=False, repr=False)

    def contains(self, time: int) -> bool:
        """Whether it is in force at that moment (µs since 1970)."""
        return bool(self.contains_all(np.array([time], np.int64))[0])

    def contains_all(self, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The same of each of these moments."""
        local = times + self._offsets_at(times)
        days, within = np.divmod(local, _DAY)
        weekday, minute = (days + _FIRST_WEEKDAY) % 7, within // _MINUTE
        inside = np.zeros(len(times), np.bool_)
        for window in self.windows:
            today = np.isin(weekday, list(window.days))
            if window.start < window.end:
                inside |= today & (minute >= window.start) & (minute < window.end)
            else:
                yesterday = np.isin((weekday - 1) % 7, list(window.days))
                inside |= (today & (minute >= window.start)) | (yesterday & (minute < window.end))
        return inside

    def _offsets_at(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        days = times // _DAY
        zone = ZoneInfo(self.zone)
        offsets = np.empty(len(times), np.int64)
        for day in np.unique(days).tolist():
            if day not in self._offsets:
                first, last = _offset(zone, day * _DAY), _offset(zone, (day + 1) * _DAY)
                self._offsets[day] = first if first == last else None
            rows = np.flatnonzero(days == day) if len(times) > 1 else np.zeros(1, np.intp)
            known = self._offsets[day]
            offsets[rows] = [_offset(zone, time) for time in times[rows].tolist()] if known is None else known
        return offsets


def _offset(zone: ZoneInfo, time: int) -> int:
    """What the zone's clock is ahead of UTC at that moment, in µs."""
    shift = (_EPOCH + timedelta(microseconds=time)).astimezone(zone).utcoffset()
    assert shift is not None
    return round(shift.total_seconds() * 1e6)


def parse(schedule: Any) -> Schedule | None:
    """The schedule of its JSON form; None of None. Raises ScheduleError."""
    if schedule is None:
        return None
    if found := problems(schedule):
        raise ScheduleError(found)
    return Schedule(schedule["zone"], tuple(_window(window) for window in schedule["windows"]))


def problems(schedule: Any) -> list[tuple[str, str]]:
    """What is wrong with a JSON form: (where, what to do), such as ("windows.0.start", …). Empty where nothing is."""
    if schedule is None:
        return []
    if not isinstance(schedule, dict):
        return [("", 'Give an object such as {"zone": "Europe/Berlin", "windows": […]}, or null for always.')]
    found = [
        (str(name), "Unknown; a schedule has a zone and windows.") for name in schedule.keys() - {"zone", "windows"}
    ]
    zone = schedule.get("zone")
    if not isinstance(zone, str) or not _is_zone(zone):
        found.append(("zone", 'Give the name of an IANA time zone, such as "Europe/Berlin" or "UTC".'))
    windows = schedule.get("windows")
    if not isinstance(windows, list) or not windows:
        example = '[{"days": ["mon", "fri"], "start": "08:00", "end": "18:00"}]'
        return [*found, ("windows", f"Give at least one window, such as {example}; null as the schedule for always.")]
    for place, window in enumerate(windows):
        found += [(f"windows.{place}{'.' if where else ''}{where}", what) for where, what in _window_problems(window)]
    return found


def _window_problems(window: Any) -> list[tuple[str, str]]:
    if not isinstance(window, dict):
        return [("", 'Give an object such as {"days": ["mon"], "start": "08:00", "end": "18:00"}.')]
    found = [
        (str(name), "Unknown; a window has days, start and end.") for name in window.keys() - {"days", "start", "end"}
    ]
    days = window.get("days")
    if not isinstance(days, list) or not days or not all(isinstance(day, str) and day in DAYS for day in days):
        found.append(("days", f"Give a list of some of {', '.join(DAYS)}."))
    for name in ("start", "end"):
        clock = window.get(name)
        if not isinstance(clock, str) or not _CLOCK.fullmatch(clock):
            found.append((name, 'Give a time of day as "HH:MM", from "00:00" to "24:00".'))
    if window.get("start") == "24:00":
        found.append(("start", 'A window cannot start at the end of a day: use "00:00" of the next one.'))
    return found


def _window(window: dict[str, Any]) -> Window:
    return Window(
        frozenset(DAYS.index(day) for day in window["days"]), _minutes(window["start"]), _minutes(window["end"])
    )


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True

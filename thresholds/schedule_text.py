"""The windows of a schedule as people type them, a line each:

    mon-fri 08:00-18:00
    sat, sun 10:00-14:00
    daily 22:00-06:00

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from thresholds.schedule import DAYS

__all__ = ["BadWindows", "read_windows", "write_windows"]

_NAMED = {"daily": DAYS, "weekdays": DAYS[:5], "weekend": DAYS[5:]}
_LINE = re.compile(r"(?P<days>.*?)\s*(?P<start>\d{1,2}:\d\d)\s*-\s*(?P<end>\d{1,2}:\d\d)")


class BadWindows(ValueError):
    """The text says no windows; ``problems`` has a sentence a line, with the line's number."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


def read_windows(text: str) -> list[dict[str, Any]]:
    """The windows in their JSON form; empty lines are left out. Raises BadWindows."""
    windows, problems = [], []
    for number, line in enumerate(text.replace("–", "-").lower().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            windows.append(_window(line.strip()))
        except ValueError as error:
            problems.append(f"Line {number}: {error}")
    if problems:
        raise BadWindows(problems)
    return windows


def write_windows(windows: Iterable[Mapping[str, Any]]) -> str:
    """The text of windows in their JSON form."""
    return "\n".join(f"{_days_text(window['days'])} {window['start']}-{window['end']}" for window in windows)


def _window(line: str) -> dict[str, Any]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError('Write days and hours, such as "mon-fri 08:00-18:00".')
    days = [day for part in re.split(r"[,\s]+", _tight(found["days"])) if part for day in _days(part)]
    if not days:
        raise ValueError('Write the days in front of the hours, such as "mon-fri" or "daily".')
    return {"days": list(dict.fromkeys(days)), "start": found["start"].zfill(5), "end": found["end"].zfill(5)}


def _tight(days: str) -> str:
    return re.sub(r"\s*-\s*", "-", days)


def _days(part: str) -> tuple[str, ...]:
    if part in _NAMED:
        return _NAMED[part]
    first, dash, last = part.partition("-")
    if any(name[:3] not in DAYS for name in ([first, last] if dash else [first])):
        raise ValueError(f'"{part}" is no day: write {", ".join(DAYS)}, a range such as mon-fri, or daily.')
    start = DAYS.index(first[:3])
    if not dash:
        return (DAYS[start],)
    end = DAYS.index(last[:3])
    # A range may run over the end of the week: fri-mon.
    return tuple(DAYS[place % 7] for place in range(start, end + 1 if end >= start else end + 8))


def _days_text(days: Iterable[str]) -> str:
    places = sorted({DAYS.index(day) for day in days})
    if len(places) == len(DAYS):
        return "daily"
    if len(places) > 2 and places[-1] - places[0] == len(places) - 1:
        return f"{DAYS[places[0]]}-{DAYS[places[-1]]}"
    return ", ".join(DAYS[place] for place in places)

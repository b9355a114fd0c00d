"""Faults of a schedule: those of its form, windows that are empty, and windows that overlap. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from thresholds.schedule import DAYS, Window, parse, problems

__all__ = ["schedule_faults"]

_DAY = 24 * 60
_WEEK = 7 * _DAY
Path = tuple[str | int, ...]


def schedule_faults(schedule: Any) -> list[tuple[Path, str, str]]:
    """(path within the schedule, code, what to do) of everything that is wrong with its JSON form."""
    if schedule is None:
        return []
    if found := problems(schedule):
        return [(_path(where), _code(where), what) for where, what in found]
    return [*_empty(schedule["windows"])] or [*_overlapping(schedule)]


def _empty(windows: list[dict[str, Any]]) -> Iterator[tuple[Path, str, str]]:
    for number, window in enumerate(windows):
        if window["start"] == window["end"]:
            detail = 'It ends when it starts: for whole days say "00:00" to "24:00".'
            yield ("windows", number, "end"), "empty_window", detail


def _overlapping(schedule: dict[str, Any]) -> Iterator[tuple[Path, str, str]]:
    parsed = parse(schedule)
    assert parsed is not None
    spans = sorted(span for number, window in enumerate(parsed.windows) for span in _spans(number, window))
    if not spans:
        return
    # The week is a circle: what runs past its end comes before its first window.
    first = spans[0]
    circle = [*spans, (first[0] + _WEEK, first[1] + _WEEK, first[2])]
    told = set()
    for (_, end, one), (start, _, other) in pairwise(circle):
        pair = (min(one, other), max(one, other))
        if start < end and pair not in told:
            told.add(pair)
            day = DAYS[start % _WEEK // _DAY]
            clock = f"{start % _DAY // 60:02}:{start % 60:02}"
            if one == other:
                detail = (
                    f"It overlaps itself on {day} at {clock}: name each day once, and end it before it starts again."
                )
            else:
                detail = f"Windows {pair[0] + 1} and {pair[1] + 1} overlap on {day} at {clock}: make one of the two."
            yield ("windows", pair[1]), "overlap", detail


def _spans(number: int, window: Window) -> Iterator[tuple[int, int, int]]:
    """(start, end, number of the window) in minutes of the week."""
    for day in sorted(window.days):
        start = day * _DAY + window.start
        yield start, day * _DAY + window.end + (0 if window.start < window.end else _DAY), number


def _path(where: str) -> Path:
    return tuple(int(part) if part.isdigit() else part for part in where.split(".")) if where else ()


def _code(where: str) -> str:
    return "unknown_zone" if where == "zone" else "invalid_schedule"

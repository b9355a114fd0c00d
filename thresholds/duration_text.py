"""Durations as people type them: "300", "5 min", "1h30m", "1 h 30 min". Pure."""

from __future__ import annotations

import re

__all__ = ["read_duration"]

_SECONDS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}
_PART = re.compile(r"\s*([0-9]+(?:[.,][0-9]+)?)\s*([a-z]*)\s*")


def read_duration(text: str) -> float:
    """Seconds. Raises ValueError that says how to write one."""
    total, at = 0.0, 0
    lowered = text.strip().lower()
    while at < len(lowered):
        found = _PART.match(lowered, at)
        # A number without a unit stands alone: "1 h 30" might mean anything.
        if found is None or found[2] not in _SECONDS or (not found[2] and found.end() - found.start() < len(lowered)):
            raise ValueError('Write a duration such as "90 s", "5 min" or "1 h 30 min"; a number alone is seconds.')
        total += float(found[1].replace(",", ".")) * _SECONDS[found[2]]
        at = found.end()
    if not lowered:
        raise ValueError('Write a duration such as "90 s", "5 min" or "1 h 30 min".')
    return total

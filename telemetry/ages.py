"""How long ago something was, as people read it."""

from __future__ import annotations

__all__ = ["age"]

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def age(seconds: float) -> str:
    """Such as "4 s ago", "3 min ago", "in 2 d"."""
    size = abs(seconds)
    for length, unit in _UNITS:
        if size >= length:
            text = f"{size // length:.0f} {unit}"
            break
    else:
        text = f"{size // 1:.0f} s"
    return f"in {text}" if seconds < -1 else f"{text} ago"

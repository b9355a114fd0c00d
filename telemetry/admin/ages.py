"""Times as people read them: how long ago, with the exact moment on hover."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

__all__ = ["age", "ago"]

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


def ago(moment: datetime | None, now: datetime) -> SafeString | None:
    """The age of a moment; None stays None, which the admin shows as its empty value."""
    if moment is None:
        return None
    exact = moment.astimezone(UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")
    text = age((now - moment).total_seconds())
    return format_html('<span class="whitespace-nowrap" title="{}">{}</span>', exact, text)

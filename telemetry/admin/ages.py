"""Times as people read them: how long ago, with the exact moment on hover."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

from telemetry.ages import age

__all__ = ["age", "ago"]


def ago(moment: datetime | None, now: datetime) -> SafeString | None:
    """The age of a moment; None stays None, which the admin shows as its empty value."""
    if moment is None:
        return None
    exact = moment.astimezone(UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")
    text = age((now - moment).total_seconds())
    return format_html('<span class="whitespace-nowrap" title="{}">{}</span>', exact, text)

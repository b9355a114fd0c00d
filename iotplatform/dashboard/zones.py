"""The time zone of a device: its label `zone` or `timezone`, an IANA name such as Europe/Berlin."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["zone_of_labels"]


def zone_of_labels(labels: Mapping[str, str]) -> str:
    """Empty where no label names one."""
    name = labels.get("zone") or labels.get("timezone") or ""
    try:
        return ZoneInfo(name).key if name else ""
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""

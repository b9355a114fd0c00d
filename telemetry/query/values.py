"""Values as they were sent: the table holds every value as a float, and the series says which were booleans."""

from __future__ import annotations

from datetime import datetime

__all__ = ["Value", "typed", "utc_text"]

Value = float | bool


def typed(stored: float, boolean: bool) -> Value:
    """A stored value as the sender meant it."""
    return stored != 0 if boolean else stored


def utc_text(time: datetime) -> str:
    """An aware UTC datetime as the API writes it: ISO 8601 with Z, microseconds only where there are any."""
    return f"{time.isoformat()[:-6]}Z"

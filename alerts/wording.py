"""How values, limits and lengths of time read in timelines, explanations and messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from thresholds import quantities

__all__ = ["amount", "count", "limit", "moment", "roughly", "span"]

Trigger = float | Sequence[float] | None

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_BEFORE_ONE = {
    "above": "above",
    "at_or_above": "at or above",
    "below": "below",
    "at_or_below": "at or below",
    "equal": "equal to",
    "not_equal": "not equal to",
}
_BEFORE_RANGE = {"outside": "outside of", "inside": "inside of"}


def amount(value: float | None, unit: str = "", *, boolean: bool = False) -> str:
    """A value with its unit: "82.4 °C", "on", "no value"."""
    if value is None:
        return "no value"
    if boolean and value in (0, 1):
        return "on" if value else "off"
    return f"{value:,.6g} {unit}".strip()


def roughly(seconds: float) -> str:
    """A measured time in its two largest steps, rounded: "2.5 s", "5 min", "1 h 30 min"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    left = round(seconds)
    parts: list[str] = []
    for length, name in _STEPS:
        whole, left = divmod(left, length)
        if whole:
            parts.append(f"{whole} {name}")
        elif parts:
            break
    return " ".join(parts[:2])


def span(start: datetime, end: datetime) -> str:
    """How long it is from one moment to another."""
    return roughly(max(0.0, (end - start).total_seconds()))


def limit(condition: str, trigger: Trigger, unit: str = "", *, boolean: bool = False) -> str:
    """What a level asks for: "above 80 °C", "outside of 10 to 30 °C", "silent for 10 min"."""
    if trigger is None:
        return ""
    if isinstance(trigger, Sequence):
        low, high = trigger
        return f"{_BEFORE_RANGE.get(condition, condition)} {quantities.span(low, high, unit)}"
    if condition == "silent":
        return f"silent for {quantities.duration(trigger)}"
    if condition == "rate_above":
        return f"changing faster than {quantities.with_unit(trigger, unit)} per second"
    value = amount(trigger, boolean=True) if boolean else quantities.with_unit(trigger, unit)
    return f"{_BEFORE_ONE.get(condition, condition)} {value}"


def moment(at: datetime) -> str:
    """A moment to the second, in UTC: "2026-11-21 10:00:00 UTC"."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def count(number: int, one: str, many: str | None = None) -> str:
    """ "1 reading", "12 readings"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"

"""Numbers and durations as people read them: "80 °C", "10 to 20 bar", "1 h 30 min". Pure."""

from __future__ import annotations

__all__ = ["duration", "number", "span", "with_unit"]

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def number(value: float) -> str:
    """At most ten digits, thousands apart, no trailing zeros."""
    return f"{value:,.10g}"


def with_unit(value: float, unit: str) -> str:
    """The value with its unit, if it has one."""
    return f"{number(value)} {unit}".rstrip()


def span(low: float, high: float, unit: str) -> str:
    """Such as "10 to 20 °C"."""
    return f"{number(low)} to {with_unit(high, unit)}"


def duration(seconds: float) -> str:
    """Seconds in the largest units that fit, such as "5 min", "1 h 30 min", "0.5 s"; none is left out or rounded."""
    parts = []
    rest = seconds
    for length, unit in _UNITS:
        whole, rest = divmod(rest, length)
        if whole:
            parts.append(f"{whole:,.0f} {unit}")
    if rest or not parts:
        parts.append(f"{rest:.6g} s")
    return " ".join(parts)

"""Whether the levels of a threshold fit its condition, their clear values, and each other. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from thresholds.fault import Fault
from thresholds.quantities import number

__all__ = ["LONGEST", "RANGES", "SEVERITIES", "level_faults"]

#: In order: the higher, the worse.
SEVERITIES = ("info", "warning", "major", "critical")
#: Conditions whose trigger is [low, high].
RANGES = ("outside", "inside")
#: Seconds: ten years. Longer ones are a slip, and times are kept in 64 bits of µs.
LONGEST = 315_576_000.0

_UPWARD = ("above", "at_or_above", "rate_above", "silent")
_DOWNWARD = ("below", "at_or_below")

Level = Mapping[str, Any]
Range = Sequence[float]


def level_faults(condition: str | None, levels: Sequence[Level] | None) -> list[Fault]:
    """What is wrong with the levels of a threshold of this condition; nothing where one of the two is not given."""
    if levels is None or condition is None:
        return []
    if not levels:
        return [Fault(("levels",), "empty", 'Give at least one level, such as {"severity": "major", "trigger": 80}.')]
    found = [fault for place, level in enumerate(levels) for fault in _alone(condition, place, level)]
    return found or [*_severities(levels)] or [*_among(condition, levels)]


def _alone(condition: str, place: int, level: Level) -> Iterator[Fault]:
    """One level: the form of its values, and its clear value on the safe side."""
    form = _range_form if condition in RANGES else _number_form
    trigger, clear = level.get("trigger"), level.get("clear")
    if trigger is None:
        yield Fault(("levels", place, "trigger"), "required", "Give the value from which on it is this severity.")
        return
    wrong = [*form(("levels", place, "trigger"), condition, trigger)]
    if clear is not None:
        refused = _refused_clear(condition)
        path = ("levels", place, "clear")
        wrong += [Fault(path, "no_clear_value", refused)] if refused else form(path, condition, clear)
    yield from wrong
    if not wrong and clear is not None and (detail := _wrong_side(condition, trigger, clear)):
        yield Fault(("levels", place, "clear"), "wrong_side", detail)


def _number_form(path: tuple[str | int, ...], condition: str, value: Any) -> Iterator[Fault]:
    if isinstance(value, Sequence):
        yield Fault(path, "number_needed", f"Give one number: only {' and '.join(RANGES)} take a range [low, high].")
    elif not math.isfinite(value):
        yield Fault(path, "not_finite", "Give a finite number.")
    elif condition == "rate_above" and value < 0:
        yield Fault(path, "min_value", "A rate is the size of the change per second: give 0 or more.")
    elif condition == "silent" and not 0 < value <= LONGEST:
        yield Fault(path, "out_of_range", f"Give the seconds of silence, more than 0 and at most {LONGEST:,.0f}.")


def _range_form(path: tuple[str | int, ...], condition: str, value: Any) -> Iterator[Fault]:
    if not isinstance(value, Sequence) or len(value) != 2:
        yield Fault(path, "range_needed", f"Give a range [low, high]: that is what {condition} takes.")
    elif not all(math.isfinite(end) for end in value):
        yield Fault(path, "not_finite", "Give two finite numbers.")
    elif value[0] >= value[1]:
        yield Fault(path, "empty_range", f"The low end comes first and lies below the high one: not {_shown(value)}.")


def _refused_clear(condition: str) -> str | None:
    if condition == "silent":
        return "Silence clears with the next reading: leave the clear value out."
    if condition in ("equal", "not_equal"):
        return f"{condition} has no values in between: leave the clear value out."
    return None


def _wrong_side(condition: str, trigger: Any, clear: Any) -> str | None:
    """What to do where the clear value lies on the side that breaches."""
    if condition in _UPWARD and clear > trigger:
        return f"It must lie on the safe side: give {number(trigger)} or less."
    if condition in _DOWNWARD and clear < trigger:
        return f"It must lie on the safe side: give {number(trigger)} or more."
    if condition == "outside" and not (trigger[0] <= clear[0] and clear[1] <= trigger[1]):
        return f"It must lie on the safe side: give a range within {_shown(trigger)}."
    if condition == "inside" and not (clear[0] <= trigger[0] and trigger[1] <= clear[1]):
        return f"It must lie on the safe side: give a range that encloses {_shown(trigger)}."
    return None


def _severities(levels: Sequence[Level]) -> Iterator[Fault]:
    seen: set[str] = set()
    for place, level in enumerate(levels):
        if level["severity"] in seen:
            yield Fault(
                ("levels", place, "severity"), "unique", f"{level['severity']!r} has a level already: give it one."
            )
        seen.add(level["severity"])


def _among(condition: str, levels: Sequence[Level]) -> Iterator[Fault]:
    """Levels against each other: a worse severity must take a worse value."""
    if condition == "not_equal" and len(levels) > 1:
        detail = "Two values cannot both be the one that is right: keep one level."
        yield Fault(("levels", 1), "one_level", detail)
        return
    ordered = sorted(enumerate(levels), key=lambda each: SEVERITIES.index(each[1]["severity"]))
    for (_, milder), (place, worse) in pairwise(ordered):
        if wrong := _out_of_order(condition, milder, worse):
            yield Fault(("levels", place, "trigger"), "level_order", wrong)
    if condition == "equal":
        yield from _same_value(levels)


def _out_of_order(condition: str, milder: Level, worse: Level) -> str | None:
    low, high = milder["trigger"], worse["trigger"]
    names = f"{worse['severity']} is worse than {milder['severity']}"
    if condition in _UPWARD and high <= low:
        return f"{names}: its trigger must lie above {number(low)}."
    if condition in _DOWNWARD and high >= low:
        return f"{names}: its trigger must lie below {number(low)}."
    if condition == "outside" and not _encloses(high, low):
        return f"{names}: its range must enclose {_shown(low)}, and reach further at one end."
    if condition == "inside" and not _encloses(low, high):
        return f"{names}: its range must lie within {_shown(low)}, and be narrower."
    return None


def _encloses(outer: Range, inner: Range) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1] and list(outer) != list(inner)


def _same_value(levels: Sequence[Level]) -> Iterator[Fault]:
    seen: dict[float, str] = {}
    for place, level in enumerate(levels):
        if level["trigger"] in seen:
            detail = f"{number(level['trigger'])} is {seen[level['trigger']]} already: give each severity a value of its own."
            yield Fault(("levels", place, "trigger"), "level_order", detail)
        seen[level["trigger"]] = level["severity"]


def _shown(value: Range) -> str:
    return f"[{number(value[0])}, {number(value[1])}]"

"""The threshold levels that hold for a device, and how far a value is from the nearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import Q

from alerts.wording import amount
from telemetry.models import Device
from thresholds.models import Condition, Severity, Threshold

__all__ = ["Level", "distance", "levels_of"]

#: Conditions whose triggers are no values of the metric.
_NOT_VALUES = (Condition.RATE_ABOVE, Condition.SILENT)
_UPWARD = (Condition.ABOVE, Condition.AT_OR_ABOVE)
_DOWNWARD = (Condition.BELOW, Condition.AT_OR_BELOW)


class Level(NamedTuple):
    """One level of a threshold; `high` is the upper end of a range."""

    threshold: int
    name: str
    condition: str
    severity: str
    trigger: float
    high: float | None

    def as_json(self) -> dict[str, Any]:
        """As chart.js draws it."""
        trigger = self.trigger if self.high is None else [self.trigger, self.high]
        return {"severity": self.severity, "condition": self.condition, "trigger": trigger, "name": self.name}


def levels_of(device: Device) -> dict[str, list[Level]]:
    """By metric, the levels of every enabled threshold that judges the device, mildest first; overridden ones are left
    out. Levels of a rate or of silence are left out too: they are no values."""
    scope = Q(device=device) | Q(all_devices=True)
    if device.type_id is not None:
        scope |= Q(device_type=device.type_id)
    if device.group is not None:
        parts = device.group.path.split("/")
        scope |= Q(group__path__in=["/".join(parts[: place + 1]) for place in range(len(parts))])
    rules = list(Threshold.objects.filter(scope, enabled=True).prefetch_related("levels"))
    overridden = {rule.overrides_id for rule in rules}
    found: dict[str, list[Level]] = {}
    for rule in rules:
        if rule.pk in overridden or rule.condition in _NOT_VALUES:
            continue
        found.setdefault(rule.metric, []).extend(
            Level(
                rule.pk,
                rule.name,
                rule.condition,
                str(Severity(level.severity).label),
                level.trigger,
                level.trigger_high,
            )
            for level in rule.levels.all()
        )
    for levels in found.values():
        levels.sort(key=lambda level: Severity[level.severity.upper()])
    return found


def distance(value: float, levels: Sequence[Level], unit: str = "") -> tuple[str, str]:
    """(words, severity): "4.2 °C below warning", or "12 °C above major" beyond it; ("", "") without levels.

    The worst level that is crossed counts, else the nearest.
    """
    crossed = [level for level in levels if _beyond(value, level) is not None]
    if crossed:
        worst = crossed[-1]
        beyond = _beyond(value, worst)
        return (f"{amount(beyond, unit)} beyond {worst.severity}" if beyond else f"at {worst.severity}"), worst.severity
    away = [(gap, level) for level in levels if (gap := _gap(value, level)) is not None]
    if not away:
        return "", ""
    gap, nearest = min(away, key=lambda each: each[0])
    return f"{amount(gap, unit)} to {nearest.severity}", ""


def _beyond(value: float, level: Level) -> float | None:
    """By how much the value breaches the level; None where it does not."""
    if level.condition in _UPWARD:
        over = value - level.trigger
        return over if over > 0 or (over == 0 and level.condition == Condition.AT_OR_ABOVE) else None
    if level.condition in _DOWNWARD:
        under = level.trigger - value
        return under if under > 0 or (under == 0 and level.condition == Condition.AT_OR_BELOW) else None
    if level.high is not None:
        out = max(level.trigger - value, value - level.high)
        if level.condition == Condition.OUTSIDE:
            return out if out > 0 else None
        return -out if out < 0 else None
    return 0.0 if (value == level.trigger) is (level.condition == Condition.EQUAL) else None


def _gap(value: float, level: Level) -> float | None:
    """How far an unbreached level is; None where distance means nothing."""
    if level.high is not None:
        return min(abs(value - level.trigger), abs(value - level.high))
    return abs(value - level.trigger) if level.condition in (*_UPWARD, *_DOWNWARD) else None

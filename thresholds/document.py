"""A threshold in its REST form, and back into the columns of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thresholds.level_order import RANGES
from thresholds.models import Level, Severity, Threshold

__all__ = ["FIELDS", "columns", "document", "level_columns", "names_of_scope"]

#: What a person may set, in the order in which it is shown.
FIELDS = (
    "name",
    "description",
    "enabled",
    "scope",
    "metric",
    "condition",
    "levels",
    "for",
    "consecutive",
    "clear_for",
    "max_gap",
    "gap_policy",
    "schedule",
    "message",
    "overrides",
)
#: REST name → column, where they differ.
_COLUMNS = {
    "for": "for_seconds",
    "clear_for": "clear_for_seconds",
    "max_gap": "max_gap_seconds",
    "overrides": "overrides_id",
}


def document(threshold: Threshold) -> dict[str, Any]:
    """The REST form of what a person may set. Asks for levels, device, type and group, unless they are at hand."""
    shown: dict[str, Any] = {}
    for name in FIELDS:
        if name == "scope":
            shown[name] = _scope(threshold)
        elif name == "levels":
            levels = sorted(threshold.levels.all(), key=lambda level: level.severity)
            shown[name] = [_level(threshold.condition, level) for level in levels]
        else:
            shown[name] = getattr(threshold, _COLUMNS.get(name, name))
    return shown


def columns(checked: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the columns of thresholds_threshold, of a document without faults whose scope names rows:
    {"device": Device}, {"device_type": DeviceType}, {"group": DeviceGroup} or {"all": True}."""
    scope = checked["scope"]
    found = {_COLUMNS.get(name, name): checked[name] for name in FIELDS if name not in ("scope", "levels")}
    return found | {
        "device": scope.get("device"),
        "device_type": scope.get("device_type"),
        "group": scope.get("group"),
        "all_devices": bool(scope.get("all")),
    }


def names_of_scope(scope: Mapping[str, Any]) -> dict[str, Any]:
    """A scope of rows in its REST form."""
    return {
        kind: row if kind == "all" else getattr(row, "path" if kind == "group" else "name")
        for kind, row in scope.items()
    }


def level_columns(level: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the columns of thresholds_level."""
    trigger, trigger_high = _ends(level["trigger"])
    clear, clear_high = _ends(level.get("clear"))
    return {
        "severity": Severity[level["severity"].upper()].value,
        "trigger": trigger,
        "trigger_high": trigger_high,
        "clear": clear,
        "clear_high": clear_high,
    }


def _scope(threshold: Threshold) -> dict[str, Any]:
    if threshold.device is not None:
        return {"device": threshold.device.name}
    if threshold.device_type is not None:
        return {"device_type": threshold.device_type.name}
    if threshold.group is not None:
        return {"group": threshold.group.path}
    return {"all": True}


def _level(condition: str, level: Level) -> dict[str, Any]:
    trigger: float | list[float | None] = level.trigger
    clear: float | list[float | None] | None = level.clear
    if condition in RANGES:
        trigger = [level.trigger, level.trigger_high]
        clear = None if level.clear is None else [level.clear, level.clear_high]
    return {"severity": Severity(level.severity).name.lower(), "trigger": trigger, "clear": clear}


def _ends(value: float | Sequence[float] | None) -> tuple[float | None, float | None]:
    if isinstance(value, Sequence):
        return float(value[0]), float(value[1])
    return (None if value is None else float(value)), None

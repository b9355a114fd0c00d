"""What the rows of a timeline say that judging makes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alerts.wording import amount, count, limit, roughly
from thresholds.quantities import duration

if TYPE_CHECKING:
    from alerts.fold import Working
    from thresholds.transitions import Transition

__all__ = ["cleared", "ended", "flapping", "moved", "opened"]

_SEVERITIES = {1: "info", 2: "warning", 3: "major", 4: "critical"}
_ENDED = {
    "threshold removed": "the threshold was disabled or deleted, or no longer applies to this device",
    "level removed": "the level that it stood at was removed from the threshold",
    "device disabled": "the device was disabled",
    "device deleted": "the device was deleted",
}


def opened(alert: Working, rule: dict[str, Any]) -> str:
    """Such as "temperature was 82.4 °C: above 80 °C for 5 min"."""
    place = alert.place
    if alert.condition == "silent":
        return f"Opened as {_SEVERITIES[alert.severity]}: {place.metric} was silent for {roughly(alert.value or 0)}."
    held = ""
    if rule.get("for"):
        held = f" for {duration(rule['for'])}"
    if rule.get("consecutive", 1) > 1:
        held += f", {count(rule['consecutive'], 'reading')} in a row"
    value = amount(alert.value, place.unit, boolean=place.boolean)
    return f"Opened as {_SEVERITIES[alert.severity]}: {place.metric} was {value}, {_limit(alert)}{held}."


def moved(direction: str, alert: Working, change: Transition) -> str:
    """Raised or lowered to another severity."""
    if change.value is None:
        return f"{direction.capitalize()} to {_SEVERITIES[change.severity]}: the level that it stood at was removed."
    value = _value(alert, change)
    stands = f", {_limit(alert)}" if direction == "raised" and alert.condition != "silent" else ""
    return f"{direction.capitalize()} to {_SEVERITIES[change.severity]}: {alert.place.metric} was {value}{stands}."


def flapping() -> str:
    """One opening too many."""
    return "Flapping: it opened again and again within a short time. It now stays open until it has been quiet for a while."


def cleared(alert: Working, change: Transition) -> str:
    """The data ended it."""
    lasted = roughly((change.at - alert.opened_at) / 1e6)
    if alert.condition == "silent":
        return f"Cleared: {alert.place.metric} was heard again after {lasted}."
    quiet = " and quiet again" if alert.flapping else ""
    return f"Cleared: {alert.place.metric} was {_value(alert, change)}{quiet} after {lasted}."


def ended(reason: str) -> str:
    """Ended without a reading."""
    return f"Ended: {_ENDED.get(reason, reason)}."


def _limit(alert: Working) -> str:
    return limit(alert.condition, alert.trigger, alert.place.unit, boolean=alert.place.boolean)


def _value(alert: Working, change: Transition) -> str:
    if alert.condition == "silent":
        return f"silent for {roughly(change.value or 0)}"
    return amount(change.value, alert.place.unit, boolean=alert.place.boolean)

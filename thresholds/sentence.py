"""A threshold in one plain sentence, such as

    On pump-7: opens a major alert when temperature stays above 80 °C for 5 min; clears at 75 °C.

Pure. It says everything that decides when an alert opens and clears, except what is at its default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thresholds.level_order import RANGES, SEVERITIES
from thresholds.quantities import duration, span, with_unit
from thresholds.schedule import DAYS

__all__ = ["schedule_phrase", "sentence"]

_BEFORE = {
    "above": "above",
    "at_or_above": "at or above",
    "below": "below",
    "at_or_below": "at or below",
    "equal": "exactly",
    "not_equal": "other than",
    "outside": "outside",
    "inside": "within",
}
#: What is said of a clear value that is not given: the safe side of the trigger.
_SAFE = {"at_or_above": "below", "at_or_below": "above"}

Document = Mapping[str, Any]


def sentence(document: Document, unit: str = "", overridden: str | None = None) -> str:
    """The sentence of a threshold in its REST form, which must be free of faults.

    ``unit`` is that of the metric, where known; ``overridden`` the name of the threshold that it overrides.
    """
    levels = sorted(document["levels"], key=lambda level: SEVERITIES.index(level["severity"]))
    parts = [f"opens {_opening(document, levels, unit)}", f"clears {_clearing(document, levels, unit)}"]
    parts += _further(document)
    if document.get("overrides") is not None:
        parts.append(f"there it takes the place of “{overridden or document['overrides']}”")
    return f"{_scope(document['scope'])}: {'; '.join(parts)}."


def _scope(scope: Mapping[str, Any]) -> str:
    if "device" in scope:
        return f"On {scope['device']}"
    if "device_type" in scope:
        return f"On every device of type {scope['device_type']}"
    if "group" in scope:
        return f"On every device in {scope['group']} and below"
    return "On every device"


def _opening(document: Document, levels: Sequence[Mapping[str, Any]], unit: str) -> str:
    """ "a warning alert when temperature stays above 70 °C for 5 min, major above 80 °C"."""
    first, *worse = levels
    head = f"{_article(first['severity'])} {first['severity']} alert when {_holds(document, first, unit)}"
    return ", ".join([head, *(f"{level['severity']} {_short(document, level, unit)}" for level in worse)])


def _article(severity: str) -> str:
    return "an" if severity[0] in "aeiou" else "a"


def _holds(document: Document, level: Mapping[str, Any], unit: str) -> str:
    """The condition of the mildest level with how long it must hold."""
    metric, condition, trigger = document["metric"], document["condition"], level["trigger"]
    if condition == "silent":
        return f"no {metric} arrives for {duration(trigger)}"
    lasting = document.get("for", 0) > 0
    if condition == "rate_above":
        verb = "keeps changing" if lasting else "changes"
        stated = f"{metric} {verb} faster than {_rate(trigger, unit)}"
    else:
        stated = f"{metric} {'stays' if lasting else 'is'} {_limit(condition, trigger, unit)}"
    if lasting:
        stated += f" for {duration(document['for'])}"
    if (readings := document.get("consecutive", 1)) > 1:
        stated += f"{' and' if lasting else ''} in {readings:,} readings in a row"
    return stated


def _short(document: Document, level: Mapping[str, Any], unit: str) -> str:
    condition, trigger = document["condition"], level["trigger"]
    if condition == "silent":
        return f"after {duration(trigger)}"
    if condition == "rate_above":
        return f"faster than {_rate(trigger, unit)}"
    return _limit(condition, trigger, unit)


def _limit(condition: str, trigger: Any, unit: str) -> str:
    value = span(trigger[0], trigger[1], unit) if condition in RANGES else with_unit(trigger, unit)
    return f"{_BEFORE[condition]} {value}"


def _rate(value: float, unit: str) -> str:
    return f"{with_unit(value, unit)} per second"


def _clearing(document: Document, levels: Sequence[Mapping[str, Any]], unit: str) -> str:
    """ "at 75 °C", or of several levels "at 65 °C (warning) and 75 °C (major)"; and how long it must be so."""
    if document["condition"] == "silent":
        return "with the next reading"
    phrases = [_safe(document["condition"], level, unit) for level in levels]
    if len(set(phrases)) == 1:
        said = phrases[0]
    else:
        said = ", ".join(f"{phrase} ({level['severity']})" for phrase, level in zip(phrases, levels, strict=True))
    if (seconds := document.get("clear_for", 0)) > 0:
        return f"once it has stayed {said} for {duration(seconds)}"
    return said


def _safe(condition: str, level: Mapping[str, Any], unit: str) -> str:
    """Where the value must be for a level to clear."""
    trigger, clear = level["trigger"], level.get("clear")
    if condition == "rate_above":
        return f"at {_rate(trigger if clear is None else clear, unit)} or slower"
    if condition in RANGES:
        low, high = clear or trigger
        return f"{'within' if condition == 'outside' else 'outside'} {span(low, high, unit)}"
    if condition == "equal":
        return "at any other value"
    if clear is None:
        return f"{_SAFE.get(condition, 'at')} {with_unit(trigger, unit)}"
    return f"at {with_unit(clear, unit)}"


def _further(document: Document) -> list[str]:
    """What differs from the defaults beyond the values: gaps, schedule."""
    parts = []
    if document.get("gap_policy") == "hold":
        parts.append("its clock runs on across gaps in the data")
    elif document.get("max_gap") is not None:
        parts.append(f"a gap of more than {duration(document['max_gap'])} starts its clock anew")
    if document.get("schedule"):
        parts.append(f"opens only {schedule_phrase(document['schedule'])}")
    return parts


def schedule_phrase(schedule: Mapping[str, Any]) -> str:
    """Such as "Mon–Fri 08:00–18:00 and Sat 10:00–14:00 (Europe/Berlin)"."""
    windows = [f"{_days(window['days'])} {window['start']}–{window['end']}" for window in schedule["windows"]]
    listed = windows[0] if len(windows) == 1 else f"{', '.join(windows[:-1])} and {windows[-1]}"
    return f"{listed} ({schedule['zone']})"


def _days(days: Sequence[str]) -> str:
    """Runs of days as "Mon–Fri", all of them as "daily"."""
    places = sorted({DAYS.index(day) for day in days})
    if len(places) == len(DAYS):
        return "daily"
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(_run(run) for run in runs)


def _run(run: list[int]) -> str:
    names = [DAYS[place].capitalize() for place in run]
    return "–".join([names[0], names[-1]]) if len(run) > 2 else ", ".join(names)

"""Whether a threshold makes sense as a whole: one check for the API, the admin and imports. Pure.

A *document* is a threshold in its REST form (see `thresholds.document`), its fields already of the right types: numbers
for durations, a list of levels each with severity, trigger and clear, and so on. What is checked here is what only the
whole shows, with messages that say what to do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from thresholds import message
from thresholds.fault import Fault
from thresholds.level_order import LONGEST, level_faults
from thresholds.schedule_overlap import schedule_faults

__all__ = ["MAX_CONSECUTIVE", "SCOPES", "Known", "faults", "override_faults"]

#: The keys of a scope; exactly one stands in it.
SCOPES = ("device", "device_type", "group", "all")
MAX_CONSECUTIVE = 1_000_000

_METRIC = re.compile(r"[^\s/\x00-\x1f\x7f](?:[^/\x00-\x1f\x7f]*[^\s/\x00-\x1f\x7f])?")
#: What a threshold that waits for silence cannot have, with the value that means "not set".
_NOT_WITH_SILENT = {"for": 0, "consecutive": 1, "clear_for": 0, "max_gap": None, "gap_policy": "reset"}


class Known(NamedTuple):
    """What must be known of another threshold to override it."""

    name: str
    metric: str
    overrides: int | None


def faults(document: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with a document, in the order of its fields. Fields that it lacks are not looked at."""
    return [
        *_metric(document),
        *_scope(document),
        *_durations(document),
        *_silent(document),
        *level_faults(document.get("condition"), document.get("levels")),
        *(Fault(("schedule", *path), code, detail) for path, code, detail in schedule_faults(document.get("schedule"))),
        *_message(document),
    ]


def override_faults(
    own_id: int | None,
    document: Mapping[str, Any],
    find: Callable[[int], Known | None],
    overridden_by: Mapping[int, str],
) -> list[Fault]:
    """What is wrong with the threshold that a document overrides.

    ``find`` answers what is known of another threshold; ``overridden_by`` maps the metrics of those that override this
    one by their ids.
    """
    metric = document.get("metric")
    found = []
    strangers = [number for number, theirs in overridden_by.items() if theirs != metric]
    if strangers:
        listed = ", ".join(str(number) for number in sorted(strangers))
        detail = f"Threshold {listed} overrides this one, for the metric it has now: take that away there first."
        found.append(Fault(("metric",), "overridden", detail))
    target = document.get("overrides")
    if target is None:
        return found
    other = find(target)
    if other is None:
        detail = f"There is no threshold {target}; give the id of one, or null."
        return [*found, Fault(("overrides",), "does_not_exist", detail)]
    if own_id == target:
        return [
            *found,
            Fault(("overrides",), "cycle", "A threshold cannot override itself: name another one, or null."),
        ]
    if other.metric != metric:
        detail = (
            f"{other.name!r} is about {other.metric!r}, this one about {metric!r}: override one of the same metric."
        )
        return [*found, Fault(("overrides",), "other_metric", detail)]
    if own_id is not None and (chain := _cycle(own_id, target, find)):
        detail = f"They would override each other in a circle ({' → '.join(chain)}): take one of these overrides away."
        found.append(Fault(("overrides",), "cycle", detail))
    return found


def _cycle(own_id: int, target: int, find: Callable[[int], Known | None]) -> list[str]:
    """The names on the way from a threshold over what it overrides back to itself; empty where it never comes back."""
    chain, seen, at = ["this one"], set[int](), target
    while at != own_id:
        other = find(at)
        if other is None or other.overrides is None or at in seen:
            return []
        seen.add(at)
        chain.append(other.name)
        at = other.overrides
    return [*chain, "this one"]


def _metric(document: Mapping[str, Any]) -> Iterator[Fault]:
    metric = document.get("metric")
    if metric is None:
        return
    if not _METRIC.fullmatch(metric):
        yield Fault(
            ("metric",),
            "invalid_name",
            "A metric's name has no slash, no control character and no space at either end.",
        )


def _scope(document: Mapping[str, Any]) -> Iterator[Fault]:
    if "scope" not in document:
        return
    scope = document["scope"]
    given = [name for name in SCOPES if scope and name in scope]
    if len(given) != 1 or len(given) != len(scope):
        example = '{"device": "pump-7"}, {"device_type": "pump"}, {"group": "plant/hall-1"} or {"all": true}'
        yield Fault(("scope",), "one_scope", f"Give exactly one of {example}.")
    elif "all" in scope and scope["all"] is not True:
        yield Fault(
            ("scope", "all"), "invalid", 'Say true, or give a device, a device type or a group instead of "all".'
        )


def _durations(document: Mapping[str, Any]) -> Iterator[Fault]:
    for name in ("for", "clear_for", "max_gap"):
        seconds = document.get(name)
        if seconds is None:
            continue
        if not math.isfinite(seconds) or seconds < 0:
            yield Fault((name,), "min_value", "Give seconds, 0 or more.")
        elif seconds > LONGEST:
            yield Fault((name,), "max_value", f"Give at most {LONGEST:,.0f} seconds (ten years).")
        elif name == "max_gap" and seconds < 0.001:
            yield Fault(
                (name,), "min_value", "Give at least 0.001 seconds, or null for three times the expected interval."
            )
    consecutive = document.get("consecutive")
    if consecutive is not None and not 1 <= consecutive <= MAX_CONSECUTIVE:
        yield Fault(("consecutive",), "invalid", f"Give a whole number of readings from 1 to {MAX_CONSECUTIVE:,}.")


def _silent(document: Mapping[str, Any]) -> Iterator[Fault]:
    if document.get("condition") != "silent":
        return
    for name, unset in _NOT_WITH_SILENT.items():
        if document.get(name, unset) != unset:
            shown = "null" if unset is None else unset
            detail = f"Silence has no readings to count and clears with the next one: leave it at {shown}; the trigger is the time."
            yield Fault((name,), "not_with_silent", detail)


def _message(document: Mapping[str, Any]) -> Iterator[Fault]:
    text = document.get("message") or ""
    if len(text) > message.MAX_LENGTH:
        yield Fault(("message",), "max_length", f"Give at most {message.MAX_LENGTH:,} characters.")
        return
    try:
        message.check(text)
    except message.BadTemplate as error:
        yield Fault(("message",), "bad_template", str(error))

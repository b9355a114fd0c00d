"""Alerts of a preview, and how many messages would have gone out for them. Pure.

Counted is what one channel gets over one route that tells everything once (no repeat, no escalation, no silence), where
alerts are detected at once: an opening begins a message, or joins the one that another began no longer than the group
time before; so does a rise to a severity that the alert has not had yet. An alert that begins to flap is told by a notice
of its own kind, which also tells of that opening; no more follow until it ends. Whoever was told of an alert that had not
ended when its message went is told that it ended. Notices and recoveries are grouped likewise, each kind for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thresholds.transitions import Extreme, Progress, Transition

if TYPE_CHECKING:  # what it is looked up with is no concern here
    from thresholds.matching import MatchingSeries

__all__ = ["PreviewAlert", "fold", "notices"]


@dataclass(slots=True)
class PreviewAlert:
    """One alert that would have been. Times in µs since 1970."""

    series: MatchingSeries
    opened_at: int
    #: The highest that it reached.
    severity: int
    #: None: still open at the end.
    ended_at: int | None = None
    #: The value furthest from what is safe; of a rate the rate; of silence its seconds.
    extreme: float = 0.0
    flapping_at: int | None = None
    #: When it rose to a severity that it had not had.
    raised_at: list[int] = field(default_factory=list)


def fold(series: MatchingSeries, steps: Iterable[Transition | Progress], *, silent: bool) -> list[PreviewAlert]:
    """The alerts that the changes of one series make, in order. What ends silence tells how long it was."""
    alerts: list[PreviewAlert] = []
    extreme: Extreme | None = None
    for change in steps:
        if isinstance(change, Progress):
            extreme = _further(extreme, change.extreme)
            alerts[-1].extreme = alerts[-1].extreme if extreme is None else extreme.value
            continue
        if change.kind == "opened":
            value = change.value if change.value is not None else 0.0
            alerts.append(PreviewAlert(series, change.at, change.severity, extreme=value))
            extreme = None
        alert = alerts[-1]
        extreme = _further(extreme, change.extreme)
        alert.extreme = alert.extreme if extreme is None else extreme.value
        if change.kind == "flapping":
            alert.flapping_at = change.at
        elif change.kind == "raised" and change.severity > alert.severity:
            alert.severity = change.severity
            if alert.flapping_at is None:
                alert.raised_at.append(change.at)
        elif change.kind == "cleared":
            alert.ended_at = change.at
            if silent and change.value is not None:
                alert.extreme = change.value
    return alerts


def _further(known: Extreme | None, new: Extreme | None) -> Extreme | None:
    if known is None or new is None:
        return new or known
    match new.sense:
        case "high":
            return max(known, new, key=lambda each: each.value)
        case "low":
            return min(known, new, key=lambda each: each.value)
        case "far":
            return max(known, new, key=lambda each: abs(each.value - each.middle))
    return new


def notices(alerts: Sequence[PreviewAlert], group_seconds: float) -> int:
    """How many messages one channel would have had."""
    wait = round(group_seconds * 1e6)
    openings = [at for alert in alerts for at in _told_at(alert)]
    flapping = [alert.flapping_at for alert in alerts if alert.flapping_at is not None]
    sent_openings, sent_flapping = _messages(openings, wait), _messages(flapping, wait)
    recoveries = [
        alert.ended_at
        for alert in alerts
        if alert.ended_at is not None and alert.ended_at > _first_sent(alert, sent_openings, sent_flapping)
    ]
    return (
        len(set(sent_openings.values()))
        + len(set(sent_flapping.values()))
        + len(set(_messages(recoveries, wait).values()))
    )


def _told_at(alert: PreviewAlert) -> list[int]:
    """The moments at which a message of openings has to name it."""
    opening = [] if alert.flapping_at == alert.opened_at else [alert.opened_at]
    return [*opening, *alert.raised_at]


def _first_sent(alert: PreviewAlert, openings: dict[int, int], flapping: dict[int, int]) -> int:
    """When the first message that named it went out."""
    sent = [openings[at] for at in _told_at(alert)]
    if alert.flapping_at is not None:
        sent.append(flapping[alert.flapping_at])
    return min(sent)


def _messages(moments: Iterable[int], wait: int) -> dict[int, int]:
    """Each moment → when the message that tells of it goes out."""
    sent: dict[int, int] = {}
    due: int | None = None
    for at in sorted(set(moments)):
        if due is None or at > due:
            due = at + wait
        sent[at] = due
    return sent

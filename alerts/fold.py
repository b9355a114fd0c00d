"""What becomes of alerts when one drain's changes are laid on top of them, in their order. Pure: no database."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from alerts import timeline_texts
from thresholds.transitions import Ended, Extreme, Judged, Progress, Transition

__all__ = ["Entry", "Fold", "OpenedTwice", "Place", "Working"]

logger = logging.getLogger(__name__)
Pair = tuple[int, int]
Trigger = float | list[float] | None


class OpenedTwice(RuntimeError):
    """Judging opened what is open already: what it remembers of the pair is not what is recorded."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a series is, by the names that its alerts keep."""

    device_id: int
    device: str
    metric: str
    unit: str
    boolean: bool


@dataclass(slots=True)
class Working:
    """One alert while changes are laid on it. Times are µs since 1970."""

    threshold_id: int
    series_id: int
    place: Place
    condition: str
    severity: int
    highest: int
    trigger: Trigger
    value: float | None
    value_at: int
    extreme: float | None
    readings: int
    opened_at: int
    imported: bool
    caught_up: bool
    flapping: bool = False
    #: None: not written yet.
    id: int | None = None
    ended_at: int | None = None
    end_reason: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)

    def took(self, step: Transition | Progress) -> None:
        """What readings added to it. That its series was up to date with the clock once is enough."""
        if step.value is not None:
            self.value, self.value_at = step.value, step.at
        self.readings += step.readings
        self.extreme = further(self.extreme, step.extreme)
        self.caught_up |= step.caught_up and not self.imported


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a timeline to be."""

    alert: Working
    kind: str
    text: str
    unrouted: bool
    event_time: int | None = None
    value: float | None = None
    severity: int | None = None


@dataclass(slots=True)
class Fold:
    """Lays changes on alerts. ``live``: the live ones of all pairs that are touched, by (threshold, series).

    What comes of it stands in ``opened`` (alerts to insert), ``touched`` (those to update) and ``entries``.
    """

    judged: Judged
    live: dict[Pair, Working]
    places: dict[int, Place]
    opened: list[Working] = field(default_factory=list)
    touched: dict[int, Working] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def run(self, progress: Iterable[Progress]) -> None:
        """Everything, in order. ``progress``: that of pairs which have transitions too."""
        ended_later = [ended for ended in self.judged.ended if not self._end(ended)]
        for transition in self.judged.transitions:
            self._transition(transition)
        for step in progress:
            if alert := self.live.get((step.threshold_id, step.series_id)):
                self._touch(alert)
                alert.took(step)
        for ended in ended_later:
            if not self._end(ended):
                logger.info("nothing_to_end", extra={"threshold": ended.threshold_id, "series": ended.series_id})

    def _transition(self, change: Transition) -> None:
        pair = (change.threshold_id, change.series_id)
        alert = self.live.get(pair)
        if change.kind == "opened":
            if alert is not None:
                raise OpenedTwice(f"threshold {pair[0]}, series {pair[1]}: alert {alert.id} is still live")
            self._open(change)
        elif alert is None:
            logger.error("change_without_alert", extra={"kind": change.kind, "threshold": pair[0], "series": pair[1]})
        else:
            self._touch(alert)
            alert.took(change)
            getattr(self, f"_{change.kind}")(alert, change)

    def _open(self, change: Transition) -> None:
        place = self.places.get(change.series_id)
        if place is None:  # its device was deleted while the readings waited
            logger.info("opening_of_deleted_series", extra={"series": change.series_id})
            return
        rule = self.judged.rules[change.threshold_id]
        evidence = {**change.evidence, "boolean": True} if place.boolean else change.evidence
        alert = Working(
            threshold_id=change.threshold_id,
            series_id=change.series_id,
            place=place,
            condition=rule["condition"],
            severity=change.severity,
            highest=change.severity,
            trigger=change.trigger,
            value=change.value,
            value_at=change.at,
            extreme=None,
            readings=0,
            opened_at=change.at,
            imported=change.imported,
            caught_up=False,
            evidence=evidence,
        )
        alert.took(change)
        self.live[(change.threshold_id, change.series_id)] = alert
        self.opened.append(alert)
        self._note(alert, change, timeline_texts.opened(alert, rule), routed=True)

    def _raised(self, alert: Working, change: Transition) -> None:
        alert.severity, alert.trigger = change.severity, change.trigger
        alert.highest = max(alert.highest, change.severity)
        self._note(alert, change, timeline_texts.moved("raised", alert, change), routed=True)

    def _lowered(self, alert: Working, change: Transition) -> None:
        alert.severity, alert.trigger = change.severity, change.trigger
        self._note(alert, change, timeline_texts.moved("lowered", alert, change), routed=False)

    def _flapping(self, alert: Working, change: Transition) -> None:
        alert.flapping = True
        self._note(alert, change, timeline_texts.flapping(), routed=True)

    def _cleared(self, alert: Working, change: Transition) -> None:
        self._close(alert, change.at, "")
        self._note(alert, change, timeline_texts.cleared(alert, change), routed=True)

    def _end(self, ended: Ended) -> bool:
        alert = self.live.get((ended.threshold_id, ended.series_id))
        if alert is None:
            return False
        self._touch(alert)
        self._close(alert, self.judged.now, ended.reason)
        text = timeline_texts.ended(ended.reason)
        self.entries.append(Entry(alert, "cleared", text, unrouted=True, severity=alert.severity))
        return True

    def _close(self, alert: Working, at: int, reason: str) -> None:
        alert.ended_at, alert.end_reason = at, reason
        del self.live[(alert.threshold_id, alert.series_id)]

    def _touch(self, alert: Working) -> None:
        if alert.id is not None:
            self.touched[alert.id] = alert

    def _note(self, alert: Working, change: Transition, text: str, *, routed: bool) -> None:
        self.entries.append(Entry(alert, change.kind, text, routed, change.at, change.value, change.severity))


def further(known: float | None, new: Extreme | None) -> float | None:
    """Of two breaching values the one further from what is safe; where no side is, the newer one."""
    if known is None or new is None:
        return known if new is None else new.value
    match new.sense:
        case "high":
            return max(known, new.value)
        case "low":
            return min(known, new.value)
        case "far":
            return max(known, new.value, key=lambda value: abs(value - new.middle))
    return new.value

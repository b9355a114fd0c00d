"""What judging hands to alerts, made by hand: a series with a threshold, and changes of the alert on it."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from alerts.models import Alert
from alerts.record import record
from telemetry.database import connect
from telemetry.models import Device, DeviceType, MetricDefinition, Series
from tests.builders import make_device
from thresholds.models import Condition, Level, Severity, Threshold
from thresholds.transitions import Ended, Judged, Progress, Transition, TransitionKind

#: A minute of November 2026, µs since 1970; event times below are seconds after it.
NOON = 1_795_000_000_000_000
_numbers = itertools.count(1)


def make_type(**metric: Any) -> DeviceType:
    """A device type whose metric temperature is measured in °C."""
    device_type = DeviceType.objects.create(name=f"type-{next(_numbers)}")
    MetricDefinition.objects.create(device_type=device_type, **{"name": "temperature", "unit": "°C"} | metric)
    return device_type


def make_threshold(device: Device, **fields: Any) -> Threshold:
    """Warning above 70, critical above 90, on temperature."""
    fields = {"name": "Bearing hot", "metric": "temperature", "condition": Condition.ABOVE} | fields
    threshold = Threshold.objects.create(device=device, **fields)
    Level.objects.create(threshold=threshold, severity=Severity.WARNING, trigger=70, clear=65)
    Level.objects.create(threshold=threshold, severity=Severity.CRITICAL, trigger=90)
    return threshold


def rule_of(threshold: Threshold) -> dict[str, Any]:
    """The threshold as the REST API shows it, as far as alerts look at it."""
    return {
        "id": threshold.pk,
        "name": threshold.name,
        "metric": threshold.metric,
        "condition": threshold.condition,
        "levels": [
            {"severity": level.get_severity_display(), "trigger": level.trigger, "clear": level.clear}
            for level in threshold.levels.all()
        ],
        "for": threshold.for_seconds,
        "consecutive": threshold.consecutive,
        "clear_for": threshold.clear_for_seconds,
        "max_gap": threshold.max_gap_seconds,
        "gap_policy": threshold.gap_policy,
        "schedule": threshold.schedule,
        "enabled": threshold.enabled,
        "message": threshold.message,
    }


@dataclass
class Pair:
    """One threshold on one series, and the changes of the alert of both that one drain makes."""

    threshold: Threshold
    series: Series
    shard: int = 0
    changes: list[Transition] = field(default_factory=list)
    steps: list[Progress] = field(default_factory=list)
    ends: list[Ended] = field(default_factory=list)

    @classmethod
    def make(cls, device: Device | None = None, metric: str = "temperature", **fields: Any) -> Pair:
        device = device or make_device(type=make_type())
        series, _ = Series.objects.get_or_create(device=device, metric=metric)
        return cls(make_threshold(device, metric=metric, **fields), series)

    def change(self, kind: TransitionKind, at: float, value: float, severity: int, **fields: Any) -> Pair:
        trigger = fields.pop("trigger", 90.0 if severity == Severity.CRITICAL else 70.0)
        self.changes.append(
            Transition(
                kind, self.threshold.pk, self.series.pk, NOON + int(at * 1e6), value, int(severity), trigger, **fields
            )
        )
        return self

    def opened(self, at: float = 0, value: float = 80, severity: int = Severity.WARNING, **fields: Any) -> Pair:
        return self.change("opened", at, value, severity, **fields)

    def raised(self, at: float, value: float = 95, severity: int = Severity.CRITICAL, **fields: Any) -> Pair:
        return self.change("raised", at, value, severity, **fields)

    def lowered(self, at: float, value: float = 80, severity: int = Severity.WARNING, **fields: Any) -> Pair:
        return self.change("lowered", at, value, severity, **fields)

    def flapping(self, at: float, value: float = 80, severity: int = Severity.WARNING, **fields: Any) -> Pair:
        return self.change("flapping", at, value, severity, **fields)

    def cleared(self, at: float, value: float = 60, severity: int = Severity.WARNING, **fields: Any) -> Pair:
        return self.change("cleared", at, value, severity, **fields)

    def progress(self, at: float, value: float, extreme: float | None = None, readings: int = 0, **fields: Any) -> Pair:
        at_us = NOON + int(at * 1e6)
        self.steps.append(Progress(self.threshold.pk, self.series.pk, at_us, value, extreme, readings, **fields))
        return self

    def ended(self, reason: str = "threshold removed") -> Pair:
        self.ends.append(Ended(self.threshold.pk, self.series.pk, reason))
        return self

    def record(self) -> Alert:
        """One drain's changes, committed; answers the newest alert of the pair."""
        record_all(self)
        return self.alerts()[-1]

    def alerts(self) -> list[Alert]:
        """All alerts of the pair, oldest first."""
        return list(Alert.objects.filter(threshold_id=self.threshold.pk, series_id=self.series.pk).order_by("id"))


def judged_of(*pairs: Pair, now: int | None = None) -> Judged:
    """What one drain found; the pairs forget it."""
    found = Judged(now or int(time.time() * 1e6), pairs[0].shard)
    for pair in pairs:
        found.transitions += pair.changes
        found.progress += pair.steps
        found.ended += pair.ends
        found.rules[pair.threshold.pk] = rule_of(pair.threshold)
        pair.changes, pair.steps, pair.ends = [], [], []
    return found


def record_all(*pairs: Pair, now: int | None = None) -> None:
    """Record what one drain found, in a transaction of its own."""
    with connect(autocommit=True) as connection, connection.transaction():
        record(connection, judged_of(*pairs, now=now))


def opened_alert(**fields: Any) -> Alert:
    """An alert that is open, on a series of its own."""
    return Pair.make().opened(**fields).record()


def timeline(alert: Alert) -> list[str]:
    """The kinds of its rows, in order."""
    return list(alert.timeline.values_list("kind", flat=True))

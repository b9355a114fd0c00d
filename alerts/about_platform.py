"""The platform's alerts about itself: they open and clear, are routed and looked after, as those of devices are.

Each kind of trouble has a number of its own for each thing that it may befall, such as a shard: a live alert of the pair
(0, that number) is the only one. One that a person resolved opens anew only after the trouble was over once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from alerts.models import Alert, AlertEvent
from alerts.wording import span
from telemetry.models import ShardPosition
from thresholds.models import PairState, Severity

__all__ = ["PLATFORM", "Trouble", "check", "over", "report"]

#: The name of the device that such alerts are about.
PLATFORM = "the platform"
_PLACES = 100_000


@dataclass(frozen=True, slots=True)
class _Kind:
    number: int
    name: str
    metric: str
    severity: Severity
    #: It lasts until it is seen to be over; otherwise each report stands for itself, and a person resolves the alert.
    lasting: bool = True


class Trouble(Enum):
    """What can be wrong. ``{}`` is the number of the shard or of what else it befalls."""

    JUDGING_BEHIND = _Kind(0, "Judging is behind", "judging of shard {}", Severity.CRITICAL)
    RANGE_UNJUDGED = _Kind(1, "Readings were left unjudged", "judging of shard {}", Severity.CRITICAL, lasting=False)

    def series(self, place: int) -> int:
        """The number by which its alerts are told apart: series of devices are positive."""
        return -(self.value.number * _PLACES + place + 1)


@transaction.atomic
def report(trouble: Trouble, place: int, text: str, now: datetime | None = None) -> Alert | None:
    """There is trouble: open an alert of it, or add to the one that is live. ``text`` says what to do, to people.

    Answers the alert that was opened; None where one is live already, or was resolved by hand and the trouble has not
    been over since.
    """
    now = now or timezone.now()
    series = trouble.series(place)
    live = Alert.objects.filter(threshold_id=0, series_id=series, state__in=Alert.LIVE)
    if live.update(readings=F("readings") + 1, value_at=Greatest(F("value_at"), Value(now))):
        return None
    kind = trouble.value
    if kind.lasting and PairState.objects.filter(threshold_id=0, series_id=series, waiting=True).exists():
        return None
    # Two processes may find it at once: the second insert does nothing.
    Alert.objects.bulk_create(
        [
            Alert(
                threshold_id=0,
                threshold_name=kind.name,
                series_id=series,
                device_id=0,
                device_name=PLATFORM,
                metric=kind.metric.format(place),
                severity=kind.severity,
                highest_severity=kind.severity,
                readings=1,
                value_at=now,
                opened_at=now,
                detected_at=now,
                caught_up=True,
                evidence={"text": text},
            )
        ],
        ignore_conflicts=True,
    )
    alert = Alert.objects.get(threshold_id=0, series_id=series, state__in=Alert.LIVE)
    if alert.timeline.exists():
        return None
    _note(alert, AlertEvent.Kind.OPENED, text, now)
    return alert


@transaction.atomic
def over(trouble: Trouble, place: int, now: datetime | None = None) -> bool:
    """There is no such trouble (any more): clear its alert. Answers whether there was one."""
    now = now or timezone.now()
    series = trouble.series(place)
    PairState.objects.filter(threshold_id=0, series_id=series).delete()
    live = Alert.objects.filter(threshold_id=0, series_id=series, state__in=Alert.LIVE)
    alert = live.select_for_update(no_key=True).first()
    if alert is None:
        return False
    alert.state, alert.ended_at = Alert.State.CLEARED, now
    alert.save(update_fields=["state", "ended_at"])
    _note(alert, AlertEvent.Kind.CLEARED, f"Cleared: it is over after {span(alert.opened_at, now)}.", now)
    return True


def check(now: datetime | None = None) -> None:
    """Look at what can be seen from the database; for beat, every few seconds.

    A drain judges what it stores in the same transaction: wherever the judged position lies behind the stored one,
    judging has failed.
    """
    behind = {
        shard: stored - judged
        for shard, stored, judged in ShardPosition.objects.exclude(judged=F("stored")).values_list(
            "shard", "stored_offset", "judged_offset"
        )
    }
    for shard in ShardPosition.objects.values_list("shard", flat=True):
        if shard in behind:
            report(
                Trouble.JUDGING_BEHIND,
                shard,
                f"Readings of shard {shard} are stored but not judged ({behind[shard]:,} bytes of the log wait): "
                "thresholds open and clear nothing there until it catches up. The worker's log says why "
                "(judging_failed).",
                now,
            )
        else:
            over(Trouble.JUDGING_BEHIND, shard, now)


def _note(alert: Alert, kind: str, text: str, now: datetime) -> None:
    AlertEvent.objects.create(alert=alert, kind=kind, at=now, text=text, severity=alert.severity, unrouted=True)

"""The platform's alerts about itself: they open and clear, are routed and looked after, as those of devices are.

Each kind of trouble has a number of its own for each thing that it may befall, such as a shard: a live alert of the pair
(0, that number) is the only one. One that a person resolved opens anew only after the trouble was over once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import psycopg
from django.db import connection as django_connection
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from alerts.models import Alert, AlertEvent
from alerts.wording import span
from telemetry.models import ShardPosition
from telemetry.rollups.freshness import BEHIND_SECONDS, STALE_SECONDS, freshness
from thresholds.models import PairState, Severity

__all__ = ["PLATFORM", "Trouble", "check", "left_unjudged", "over", "report"]

Connection = psycopg.Connection[Any]

#: The name of the device that such alerts are about.
PLATFORM = "the platform"
_PLACES = 100_000

_ADD = """
UPDATE alerts_alert SET readings = readings + 1, value_at = greatest(value_at, %s)
WHERE threshold_id = 0 AND series_id = %s AND state IN ('open', 'acknowledged')
"""
_IS_WAITING = "SELECT 1 FROM thresholds_pairstate WHERE threshold_id = 0 AND series_id = %s AND waiting"
_OPEN = """
INSERT INTO alerts_alert (threshold_id, threshold_name, series_id, device_id, device_name, metric, state, severity,
    highest_severity, readings, value_at, opened_at, detected_at, caught_up, evidence, rule)
VALUES (0, %s, %s, 0, %s, %s, 'open', %s, %s, 1, %s, %s, %s, true, %s::jsonb, '{}') ON CONFLICT DO NOTHING RETURNING id
"""
_NOTE = """
INSERT INTO alerts_alertevent (alert_id, kind, at, severity, text, unrouted) VALUES (%s, 'opened', %s, %s, %s, true)
"""


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

    ROLLUPS_BEHIND = _Kind(2, "Rollups are behind", "rollups", Severity.WARNING)
    BACKUPS_MISSING = _Kind(3, "Backups are missing", "backups", Severity.WARNING)

    def series(self, place: int) -> int:
        """The number by which its alerts are told apart: series of devices are positive."""
        return -(self.value.number * _PLACES + place + 1)


def report(connection: Connection, trouble: Trouble, place: int, text: str, now: datetime | None = None) -> int | None:
    """There is trouble: open an alert of it, or add to the one that is live, in the transaction that is open on the
    connection. ``text`` says what to do, to people.

    Answers the id of the alert that was opened; None where one is live already, or was resolved by hand and the trouble
    has not been over since.
    """
    now = now or timezone.now()
    kind, series = trouble.value, trouble.series(place)
    if connection.execute(_ADD, [now, series]).rowcount:
        return None
    if kind.lasting and connection.execute(_IS_WAITING, [series]).fetchone():
        return None
    named = [kind.name, series, PLATFORM, kind.metric.format(place), kind.severity, kind.severity]
    opened = connection.execute(_OPEN, [*named, now, now, now, json.dumps({"text": text})]).fetchone()
    if opened is None:  # another process found it at the same moment
        return None
    connection.execute(_NOTE, [opened[0], now, kind.severity, text])
    return int(opened[0])


def left_unjudged(connection: Connection, shard: int, readings: int) -> None:
    """About so many readings of a shard will never be judged: for the drain that gives them up, in its transaction."""
    text = (
        f"Judging of shard {shard} failed for so long that about {readings:,} stored readings will never be judged: alerts "
        "that they would have opened are missing. The worker's log says why (judging_failed). Resolve this once you have "
        "seen to it."
    )
    report(connection, Trouble.RANGE_UNJUDGED, shard, text)


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
    AlertEvent.objects.create(
        alert=alert,
        kind=AlertEvent.Kind.CLEARED,
        at=now,
        text=f"Cleared: it is over after {span(alert.opened_at, now)}.",
        severity=alert.severity,
        unrouted=True,
    )
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
            _report(
                Trouble.JUDGING_BEHIND,
                shard,
                f"Readings of shard {shard} are stored but not judged ({behind[shard]:,} bytes of the log wait): "
                "thresholds open and clear nothing there until it catches up. The worker's log says why "
                "(judging_failed).",
                now,
            )
        else:
            over(Trouble.JUDGING_BEHIND, shard, now)
    _check_rollups(now)


def _check_rollups(now: datetime | None) -> None:
    with django_connection.cursor() as cursor:
        fresh = freshness(cursor)
    if fresh.behind > STALE_SECONDS:
        text = (
            f"Rollups have been behind for {fresh.behind / 60:,.0f} min: answers are right, but questions about long times are "
            "slow. The worker's log says why (rollups_refreshed); `manage.py refresh_rollups` does it now."
        )
        _report(Trouble.ROLLUPS_BEHIND, 0, text, now)
    elif fresh.behind < BEHIND_SECONDS:
        over(Trouble.ROLLUPS_BEHIND, 0, now)


@transaction.atomic
def _report(trouble: Trouble, place: int, text: str, now: datetime | None) -> None:
    django_connection.ensure_connection()
    report(django_connection.connection, trouble, place, text, now)

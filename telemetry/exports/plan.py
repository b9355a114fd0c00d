"""Runs out of schedules: each period of an export once, also those that passed while nothing ran."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from telemetry.exports.schedule import Due, Schedule, next_due, period_of
from telemetry.models import ExportRun, ScheduledExport
from telemetry.query.buckets import zone_named

__all__ = ["plan_due", "present_period", "reschedule", "run_of", "schedule_of"]

#: Of one export at a time; what is left comes with the next look.
_MOST_PERIODS = 100


def schedule_of(export: ScheduledExport) -> Schedule:
    """What its fields say."""
    return Schedule(export.at, zone_named(export.zone), export.weekday, export.period, export.days)


def present_period(export: ScheduledExport, now: datetime | None = None) -> tuple[datetime, datetime]:
    """[start, end) of what it would be about if it were due now."""
    schedule = schedule_of(export)
    return period_of(schedule, (now or timezone.now()).astimezone(schedule.zone).date())


def reschedule(export: ScheduledExport, now: datetime | None = None) -> None:
    """Set when it is next due (not saved): after now. What was due before is for `plan_due`."""
    due = next_due(schedule_of(export), now or timezone.now()) if export.enabled else None
    export.next_on, export.next_at = (None, None) if due is None else due


def plan_due(now: datetime | None = None, only: QuerySet[ScheduledExport] | None = None) -> int:
    """Put every period that is due into the queue; answers how many there were."""
    now = now or timezone.now()
    exports = ScheduledExport.objects.all() if only is None else only
    due = exports.filter(enabled=True, next_at__lte=now).order_by("next_at").values_list("pk", flat=True)
    return sum(_plan(pk, now) for pk in list(due))


@transaction.atomic
def _plan(pk: int, now: datetime) -> int:
    """The row is locked: two workers that look at the same moment plan each period once between them."""
    waiting = ScheduledExport.objects.select_for_update(skip_locked=True).filter(pk=pk, enabled=True, next_at__lte=now)
    export = waiting.first()
    if export is None or export.next_on is None or export.next_at is None:
        return 0
    schedule = schedule_of(export)
    runs: list[ExportRun] = []
    due = Due(export.next_on, export.next_at)
    while due.at <= now and len(runs) < _MOST_PERIODS:
        runs.append(run_of(export, *period_of(schedule, due.on), scheduled=True, due_at=now))
        due = next_due(schedule, due.at)
    # The unique constraint keeps a period from coming twice when the schedule was moved to a later hour of the day.
    ExportRun.objects.bulk_create(runs, ignore_conflicts=True)
    ScheduledExport.objects.filter(pk=pk).update(next_on=due.on, next_at=due.at)
    return len(runs)


def run_of(export: ScheduledExport, start: datetime, end: datetime, **fields: Any) -> ExportRun:
    """A run that waits (not saved), in the form and for the place that the export has now."""
    return ExportRun(
        export=export,
        period_start=start,
        period_end=end,
        format=export.format,
        destination=export.destination,
        **fields,
    )

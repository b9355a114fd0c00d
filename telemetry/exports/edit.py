"""Changes of saved queries and exports, by whatever way they come: written down, and with the schedule that follows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from telemetry.audit import audit
from telemetry.exports import folder
from telemetry.exports.plan import plan_due, present_period, reschedule, run_of
from telemetry.exports.wake import wake
from telemetry.models import ExportRun, SavedQuery, ScheduledExport

__all__ = ["MOST_WAITING", "TooManyRuns", "change", "create", "delete", "document", "run_now"]

#: Runs of one export that people may have waiting.
MOST_WAITING = 20
_KINDS = {SavedQuery: "saved_query", ScheduledExport: "export"}

Thing = SavedQuery | ScheduledExport


class TooManyRuns(Exception):
    """As many as may wait do so already."""


@transaction.atomic
def create(thing: Thing, user: Any) -> None:
    """Save a new one."""
    if isinstance(thing, ScheduledExport):
        reschedule(thing)
    thing.save(force_insert=True)
    audit(_KINDS[type(thing)], thing.pk, thing.name, "created", user, None, document(thing))


@transaction.atomic
def change(thing: Thing, user: Any, values: dict[str, Any]) -> None:
    """Set these fields. What was due under the former schedule is planned first."""
    stored: Any = type(thing)._default_manager.select_for_update().get(pk=thing.pk)
    before = document(stored)
    if isinstance(thing, ScheduledExport):
        plan_due(only=ScheduledExport.objects.filter(pk=thing.pk))
    for name, value in values.items():
        setattr(thing, name, value)
    if isinstance(thing, ScheduledExport):
        reschedule(thing)
    thing.save()
    audit(_KINDS[type(thing)], thing.pk, thing.name, "changed", user, before, document(thing))


@transaction.atomic
def delete(thing: Thing, user: Any) -> None:
    """With its history and its files in the folder; objects in a store stay there."""
    whose = {"export__query": thing} if isinstance(thing, SavedQuery) else {"export": thing}
    files = ExportRun.objects.filter(destination="folder", removed_at=None, **whose).exclude(location="")
    locations = list(files.values_list("location", flat=True))
    audit(_KINDS[type(thing)], thing.pk, thing.name, "deleted", user, document(thing), None)
    thing.delete()
    transaction.on_commit(lambda: _remove(locations), robust=True)


@transaction.atomic
def run_now(export: ScheduledExport, user: Any, period: tuple[datetime, datetime] | None = None) -> ExportRun:
    """A run of its own for a period, that of the schedule at this moment if none is said. Raises TooManyRuns."""
    ScheduledExport.objects.select_for_update().get(pk=export.pk)
    waiting = ExportRun.objects.filter(
        export=export, scheduled=False, state__in=[ExportRun.State.WAITING, ExportRun.State.FAILED]
    )
    if waiting.count() >= MOST_WAITING:
        raise TooManyRuns
    start, end = period or present_period(export)
    run = run_of(export, start, end, requested_by=user, due_at=timezone.now())
    run.save(force_insert=True)
    transaction.on_commit(wake)
    return run


def document(thing: Thing) -> dict[str, Any]:
    """What people manage of it, as the REST API names it."""
    if isinstance(thing, SavedQuery):
        owner = thing.owner.get_username() if thing.owner else None
        return {"name": thing.name, "owner": owner, "route": str(thing.route), "query": thing.query}
    return {
        "name": thing.name,
        "query": thing.query_id,
        "every": str(thing.every),
        "weekday": None if thing.weekday is None else ScheduledExport.Weekday(thing.weekday).name.lower(),
        "at": str(thing.at)[:8],
        "zone": thing.zone,
        "period": str(thing.period),
        "days": thing.days,
        "format": str(thing.format),
        "destination": str(thing.destination),
        "recipients": list(thing.recipients),
        "enabled": thing.enabled,
    }


def _remove(locations: list[str]) -> None:
    for location in locations:
        folder.remove(location)

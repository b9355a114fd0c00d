"""Removes files older than EXPORT_KEEP_DAYS. What lies in a store is for the store's own rules."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from telemetry.exports import folder
from telemetry.models import ExportRun

__all__ = ["prune"]

logger = logging.getLogger(__name__)
_AT_ONCE = 100


def prune(now: datetime | None = None) -> int:
    """Answers how many runs were removed. Those of a schedule stay as rows, by which no period is made twice."""
    days = settings.PLATFORM.export_keep_days
    if not days:
        return 0
    before = (now or timezone.now()) - timedelta(days=days)
    over = ExportRun.objects.filter(
        finished_at__lt=before, removed_at=None, state__in=[ExportRun.State.DONE, ExportRun.State.GIVEN_UP]
    )
    removed = 0
    for run in over.order_by("finished_at")[:_AT_ONCE]:
        removed += _remove(run)
    return removed


def _remove(run: ExportRun) -> bool:
    try:
        if run.destination == "folder" and run.location:
            folder.remove(run.location)
    except OSError as error:
        logger.warning("export_not_removed", extra={"run": run.pk, "error": str(error)})
        return False
    if run.scheduled:
        ExportRun.objects.filter(pk=run.pk).update(removed_at=timezone.now(), devices=[])
    else:
        run.delete()
    return True

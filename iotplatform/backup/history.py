"""What is known of backups: a row for each that was begun. The database remembers, for who asks may be another machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.db.models.functions import Now
from django.utils import timezone

from iotplatform.models import BackupRun

__all__ = ["INTERRUPTED", "Past", "close_interrupted", "forget_old", "noted", "past"]

INTERRUPTED = "It was interrupted."
_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Past:
    """Of the last backup that went well: when it ended, seconds it took, bytes; and of the last that was tried."""

    succeeded_at: datetime | None
    seconds: float
    bytes: int
    tried_at: datetime | None
    #: Why the last one failed; empty where it did not.
    error: str
    failures: int
    installed_at: datetime | None


@contextmanager
def noted(scheduled: bool) -> Iterator[BackupRun]:
    """A backup is made in this block: how it ends is written down. Begin it after the snapshot, which then lacks it."""
    run = BackupRun.objects.create(scheduled=scheduled)
    try:
        yield run
    except BaseException as error:
        run.error = (str(error) or type(error).__name__)[:2000]
        run.finished_at = timezone.now()
        run.save()
        raise
    run.finished_at = timezone.now()
    run.save()
    forget_old()


def close_interrupted() -> int:
    """For who holds the lock: whatever is not finished never will be. Answers how many."""
    return BackupRun.objects.filter(finished_at=None).update(finished_at=Now(), error=INTERRUPTED)


def forget_old() -> None:
    newest = BackupRun.objects.order_by("-id").values_list("id", flat=True)[_KEPT : _KEPT + 1]
    BackupRun.objects.filter(id__lte=next(iter(newest), 0)).delete()


def past() -> Past:
    """What happened so far."""
    from django.db.migrations.recorder import MigrationRecorder

    good = BackupRun.objects.filter(error="").exclude(finished_at=None).order_by("-id").first()
    last = BackupRun.objects.exclude(finished_at=None).order_by("-id").first()
    tried = BackupRun.objects.aggregate(at=Max("started_at"))["at"]
    first = MigrationRecorder.Migration.objects.order_by("id").values_list("applied", flat=True).first()
    return Past(
        succeeded_at=good.finished_at if good else None,
        seconds=(good.finished_at - good.started_at).total_seconds() if good and good.finished_at else 0.0,
        bytes=good.bytes if good else 0,
        tried_at=tried,
        error=last.error if last else "",
        failures=BackupRun.objects.exclude(error="").count(),
        installed_at=first,
    )

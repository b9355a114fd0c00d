"""The rows of runs as a queue: claim, keep, complete. Every step is one conditional update.

A claim is a lease. A worker that is killed keeps it until it runs out, then another one makes the file again; one that was
only slow finds out at its next `keep` that the run is no longer its own.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from telemetry import measures
from telemetry.exports.failures import LeaseLost
from telemetry.models import ExportRun

__all__ = ["ATTEMPTS", "LEASE", "Made", "anything_due", "claim", "complete", "failed", "keep"]

ATTEMPTS = 5
LEASE = timedelta(seconds=120)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
_OPEN = "((state IN ('waiting', 'failed') AND due_at <= %(now)s) OR (state = 'running' AND leased_until <= %(now)s))"
_CLAIM = f"""
UPDATE telemetry_exportrun SET state = 'running', attempts = attempts + 1, claim = %(claim)s, leased_until = %(until)s,
    started_at = %(now)s, finished_at = NULL, error = ''
WHERE id = (
    SELECT id FROM telemetry_exportrun WHERE {_OPEN} AND attempts < %(most)s
    ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id
"""
_KILLED = "Its worker ended in the middle each time; the log of the worker may say why."


@dataclass(frozen=True, slots=True)
class Made:
    """A file that lies where it should. `devices`: ids of those in it."""

    location: str
    rows: int
    bytes: int
    sha256: str
    devices: list[int]


def anything_due(now: datetime | None = None) -> bool:
    """Whether there is anything for `claim`."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM telemetry_exportrun WHERE {_OPEN})", {"now": now or timezone.now()})
        row = cursor.fetchone()
    return bool(row[0])


def claim(now: datetime | None = None) -> ExportRun | None:
    """The run that has waited longest, ours until its lease runs out; None where none is due."""
    now = now or timezone.now()
    _give_up_killed(now)
    values: Any = {"now": now, "claim": uuid.uuid4(), "until": now + LEASE, "most": ATTEMPTS}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        row = cursor.fetchone()
    return None if row is None else _whole().get(pk=row[0])


def keep(run: ExportRun, now: datetime | None = None) -> None:
    """Go on holding the run. Raises LeaseLost where somebody else took it over, or it was deleted."""
    if not _ours(run).update(leased_until=(now or timezone.now()) + LEASE):
        raise LeaseLost


def complete(run: ExportRun, made: Made, now: datetime | None = None) -> None:
    """The file is in its place. Raises LeaseLost."""
    now = now or timezone.now()
    told = bool(run.export.recipients)
    fields: dict[str, Any] = {
        "state": ExportRun.State.DONE,
        "location": made.location,
        "rows": made.rows,
        "bytes": made.bytes,
        "sha256": made.sha256,
        "devices": made.devices,
        "finished_at": now,
        "leased_until": None,
        "claim": None,
        "mail": ExportRun.Mail.WAITING if told else ExportRun.Mail.NONE,
        "mail_due_at": now if told else None,
    }
    if not _ours(run).update(**fields):
        raise LeaseLost
    measures.exports_done.inc()


def failed(run: ExportRun, why: str, *, for_good: bool = False, now: datetime | None = None) -> None:
    """It could not be made: again after a pause that grows, until it is given up. Raises LeaseLost."""
    now = now or timezone.now()
    over = for_good or run.attempts >= ATTEMPTS
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 4 ** (run.attempts - 1))
    changed = _ours(run).update(
        state=ExportRun.State.GIVEN_UP if over else ExportRun.State.FAILED,
        error=why[:2000],
        due_at=now + pause,
        finished_at=now,
        leased_until=None,
        claim=None,
    )
    if not changed:
        raise LeaseLost
    measures.exports_failed.labels(outcome="given_up" if over else "retried").inc()


def _ours(run: ExportRun) -> Any:
    return ExportRun.objects.filter(pk=run.pk, claim=run.claim, state=ExportRun.State.RUNNING)


def _whole() -> Any:
    return ExportRun.objects.select_related("export__query__owner")


def _give_up_killed(now: datetime) -> None:
    """Runs whose last attempt killed its worker too."""
    over = ExportRun.objects.filter(state=ExportRun.State.RUNNING, leased_until__lte=now, attempts__gte=ATTEMPTS)
    gone = over.update(state=ExportRun.State.GIVEN_UP, error=_KILLED, finished_at=now, leased_until=None, claim=None)
    if gone:
        measures.exports_failed.labels(outcome="given_up").inc(gone)

"""Replaying and discarding what stands in quarantine, by one person at a time.

A row is claimed with a conditional update, worked on, and completed. A claim whose process died is free again after a
minute: the reading may then be sent a second time, which the store absorbs as a duplicate, but it is never forgotten.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from telemetry.models import QuarantinedReading
from telemetry.quarantine.replay import replay

__all__ = ["AlreadyResolved", "RefusedAgain", "discard", "replay_once"]

LEASE = timedelta(seconds=60)
_State = QuarantinedReading.State


class AlreadyResolved(Exception):
    """Somebody replayed or discarded the row before, or is at it just now. The message says which."""


class RefusedAgain(Exception):
    """Not all of a replayed reading was accepted. Its row waits on, for what was refused stands nowhere else."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("It was refused again, and waits on: send it corrected, or discard it.")
        self.errors = errors


def replay_once(row: QuarantinedReading, payload: dict[str, Any] | None, user: Any) -> dict[str, Any]:
    """Send the reading (or a corrected one, in the JSON form of POST /readings) through intake again.

    Answers as POST /readings does: `{"accepted", "rejected", "receipt", "errors"}`. Raises AlreadyResolved and
    RefusedAgain, and Unavailable while the log or the database is down; the row waits on then.
    """
    now = timezone.now()
    if not _claimable(now).filter(pk=row.pk).update(resolved_at=now, resolved_by=user):
        raise AlreadyResolved(_why_not(row))
    claim = QuarantinedReading.objects.filter(pk=row.pk, state=_State.WAITING, resolved_at=now)
    try:
        outcome = replay(row, payload, user)
        if outcome["rejected"] or not outcome["accepted"]:
            raise RefusedAgain(outcome["errors"])
    except BaseException:
        claim.update(resolved_at=None, resolved_by=None)
        raise
    claim.update(state=_State.REPLAYED)
    return outcome


def discard(rows: QuerySet[QuarantinedReading], user: Any) -> int:
    """Discard those of the rows that wait, and say how many that were."""
    now = timezone.now()
    waiting = _claimable(now).filter(pk__in=rows.order_by().values("pk"))
    return waiting.update(state=_State.DISCARDED, resolved_at=now, resolved_by=user)


def _claimable(now: datetime) -> QuerySet[QuarantinedReading]:
    free = Q(resolved_at=None) | Q(resolved_at__lt=now - LEASE)
    return QuarantinedReading.objects.filter(free, state=_State.WAITING)


def _why_not(row: QuarantinedReading) -> str:
    row.refresh_from_db(fields=["state"])
    if row.state == _State.WAITING:
        return "Somebody is replaying this just now."
    return f"This was {row.state} already."

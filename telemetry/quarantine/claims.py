"""Replaying and discarding what stands in quarantine, by one person at a time.

A row is claimed with a conditional update, worked on, and completed. A claim whose process died is free again after a
minute: the reading may then be sent a second time, which the store absorbs as a duplicate, but it is never forgotten.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q, QuerySet
from django.utils import timezone

from telemetry.models import QuarantinedReading
from telemetry.quarantine.replay import replay

__all__ = ["AlreadyResolved", "NotAccepted", "discard", "replay_once"]

LEASE = timedelta(seconds=60)
_State = QuarantinedReading.State


class AlreadyResolved(Exception):
    """Somebody replayed or discarded the row before, or is at it just now. The message says which."""


class NotAccepted(Exception):
    """A replayed reading was refused again; the row waits on. `outcome` is what the intake answered."""

    def __init__(self, outcome: dict[str, Any]) -> None:
        super().__init__("Nothing in this reading could be accepted.")
        self.outcome = outcome


def replay_once(row: QuarantinedReading, payload: dict[str, Any] | None, user: AbstractBaseUser) -> dict[str, Any]:
    """Send the reading (or a corrected one) through intake again: `{"accepted", "rejected", "receipt", "errors"}`.

    Raises AlreadyResolved, NotAccepted, and whatever the log raises while it is down; the row waits on then.
    """
    now = timezone.now()
    if not _claimable(now).filter(pk=row.pk).update(resolved_at=now, resolved_by=user):
        row.refresh_from_db()
        raise AlreadyResolved(
            f"This was {row.state} already." if row.state != _State.WAITING else "Somebody is replaying it now."
        )
    claim = QuarantinedReading.objects.filter(pk=row.pk, state=_State.WAITING, resolved_at=now)
    try:
        outcome = replay(row, payload, user)
        if not outcome["accepted"]:
            raise NotAccepted(outcome)
    except BaseException:
        claim.update(resolved_at=None, resolved_by=None)
        raise
    claim.update(state=_State.REPLAYED)
    return outcome


def discard(rows: QuerySet[QuarantinedReading], user: AbstractBaseUser) -> int:
    """Discard those of the rows that wait, and say how many that were."""
    now = timezone.now()
    waiting = _claimable(now).filter(pk__in=rows.order_by().values("pk"))
    return waiting.update(state=_State.DISCARDED, resolved_at=now, resolved_by=user)


def _claimable(now: datetime) -> QuerySet[QuarantinedReading]:
    free = Q(resolved_at=None) | Q(resolved_at__lt=now - LEASE)
    return QuarantinedReading.objects.filter(free, state=_State.WAITING)

"""Revoking device keys: they keep their rows, so that it stays known who had what."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from telemetry.audit_things import changed_all
from telemetry.models import DeviceKey

__all__ = ["revoke"]


def revoke(keys: QuerySet[DeviceKey], user: Any) -> int:
    """Revoke those of the keys that were not; answers how many. They stop working within seconds.

    The time of the first revocation is the one that counts.
    """
    return changed_all(keys.filter(revoked_at=None), user, {"revoked_at": timezone.now()})

"""What access forgets: tokens that are over, failed logins of yesterday, and the audit trail beyond AUDIT_KEEP_DAYS."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from iotplatform.access import lockout, tokens
from telemetry.models import AuditEntry

__all__ = ["prune_access", "prune_audit"]

#: Rows deleted in one transaction.
_AT_ONCE = 5_000


def prune_access(audit_keep_days: int) -> None:
    """All of it."""
    tokens.forget_expired()
    lockout.forget_old()
    prune_audit(audit_keep_days)


def prune_audit(keep_days: int) -> int:
    """Delete the entries that are older, 0: none; answers how many. The only thing that may: a trigger refuses others."""
    if not keep_days:
        return 0
    before, total = timezone.now() - timedelta(days=keep_days), 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('iotplatform.audit', 'prune', true)")
            old = AuditEntry.objects.filter(at__lt=before).order_by("at", "id").values("pk")[:_AT_ONCE]
            gone = AuditEntry.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]
        total += gone
        if gone < _AT_ONCE:
            return total

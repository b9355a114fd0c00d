"""Whose queries and exports a person sees, with whose rights they are made, and who gets a file."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Q, QuerySet

from telemetry.exports.failures import ExportRefused
from telemetry.models import Device, ExportRun, SavedQuery, ScheduledExport
from telemetry.scopes import ADMIN, READ_READINGS, READ_STATS
from telemetry.sight import sees_everything, visible_devices

__all__ = ["manages_others", "require_rights", "sees_devices_of", "visible_exports", "visible_queries"]

Scopes = Collection[str] | None


def manages_others(user: Any, scopes: Scopes = None) -> bool:
    """Whether the queries and exports of others are shown too. Scopes are those of a token, None is a session."""
    if scopes is not None and ADMIN not in scopes:
        return False
    # What others ask for tells of their devices.
    return bool(user.has_perm("telemetry.manage_other_exports")) and sees_everything(user)


def visible_queries(user: Any, scopes: Scopes = None) -> QuerySet[SavedQuery]:
    """His own, of a token those that its scopes allow; with the right to it those of everybody."""
    return SavedQuery.objects.filter(_whose(user, scopes))


def visible_exports(user: Any, scopes: Scopes = None) -> QuerySet[ScheduledExport]:
    """Those of visible queries."""
    return ScheduledExport.objects.filter(_whose(user, scopes, "query__"))


def sees_devices_of(run: ExportRun, user: Any) -> bool:
    """Whether nothing in the file is of a device that is hidden from this person now."""
    if sees_everything(user):
        return True
    there = Device.objects.filter(pk__in=run.devices)
    return not there.exclude(pk__in=visible_devices(user).order_by().values("pk")).exists()


def require_rights(owner: Any) -> None:
    """An export is made with the rights that its owner has now. Raises ExportRefused."""
    if owner is None:
        raise ExportRefused("The person who saved this query was deleted: save it again as somebody else.")
    if not owner.is_active:
        raise ExportRefused(f"{owner.get_username()}, who saved this query, is disabled.")
    if not owner.has_perms(("telemetry.view_device", "telemetry.view_scheduledexport")):
        raise ExportRefused(
            f"{owner.get_username()}, who saved this query, may not look at devices or exports any more."
        )


def _whose(user: Any, scopes: Scopes, prefix: str = "") -> Q:
    if user is None:  # while the API is described, nobody asks
        return Q(pk=None)
    if manages_others(user, scopes):
        return Q()
    own = Q(**{f"{prefix}owner": user.pk})
    if scopes is not None and READ_STATS not in scopes:
        own &= Q(**{f"{prefix}raw": True})
    if scopes is not None and READ_READINGS not in scopes:
        own &= Q(**{f"{prefix}raw": False})
    return own

"""To whom an alert can be given."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Q, QuerySet

__all__ = ["assignees"]


def assignees() -> QuerySet[Any]:
    """Active people who may see alerts, by name."""
    view = Permission.objects.filter(content_type__app_label="alerts", codename="view_alert")
    may = Q(is_superuser=True) | Q(user_permissions__in=view) | Q(groups__permissions__in=view)
    users = get_user_model()._default_manager
    return users.filter(may, is_active=True).distinct().order_by("username")

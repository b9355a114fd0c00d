"""Roles: Django groups of these names, whose permissions follow from the models. Permissions decide; roles are bundles.

A role's permissions are made true after every migrate, so a new model is seen by viewers without anybody's doing. Who
needs other bundles makes a group of another name.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q, QuerySet

__all__ = ["Role", "ensure_roles", "permissions_of", "role_of"]


class Role(StrEnum):
    """From the least to the most."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


#: Apps whose things a viewer looks at, but for those of administrators.
_APPS = ("telemetry", "thresholds", "alerts")
#: Who has access, ways to reach people, what was said to whom, who did what.
_FOR_ADMINISTRATORS = ("devicekey", "devicesight", "auditentry", "channel", "message", "escalationstep")
#: What an operator may do beyond looking: (app, codename).
_OPERATING = (
    ("alerts", "change_alert"),
    *(("alerts", f"{verb}_silence") for verb in ("add", "change", "delete")),
    *(("thresholds", f"{verb}_threshold") for verb in ("add", "change", "delete")),
    ("telemetry", "change_quarantinedreading"),
    ("telemetry", "change_device"),
    *(
        ("telemetry", f"{verb}_{model}")
        for verb in ("add", "change", "delete")
        for model in ("savedquery", "scheduledexport")
    ),
)


def permissions_of(role: Role) -> QuerySet[Permission]:
    """What the members of a role may do."""
    every = Permission.objects.all()
    if role == Role.ADMINISTRATOR:
        return every
    looking = Q(content_type__app_label__in=_APPS, codename__startswith="view_")
    looking &= ~Q(content_type__model__in=_FOR_ADMINISTRATORS)
    if role == Role.VIEWER:
        return every.filter(looking)
    operating = (Q(content_type__app_label=app, codename=codename) for app, codename in _OPERATING)
    return every.filter(_any([looking, *operating]))


def ensure_roles() -> None:
    """Make the groups of the roles, and their permissions, what they should be."""
    with transaction.atomic():
        for role in Role:
            group, _ = Group.objects.get_or_create(name=role)
            wanted = set(permissions_of(role).values_list("pk", flat=True))
            if wanted != set(group.permissions.values_list("pk", flat=True)):
                group.permissions.set(wanted)


def role_of(user: Any) -> Role | None:
    """The highest role of a person; a superuser is an administrator. None: what he may do was given to him singly."""
    if user.is_superuser:
        return Role.ADMINISTRATOR
    names = {group.name for group in user.groups.all()}
    return next((role for role in reversed(Role) if role in names), None)


def _any(conditions: Iterable[Q]) -> Q:
    found = Q()
    for condition in conditions:
        found |= condition
    return found

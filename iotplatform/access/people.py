"""People and what is given to them: a role, a part of the devices. Each change is written down; the last administrator
stays one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from iotplatform.access.roles import Role, role_of
from telemetry.audit import audit
from telemetry.models import DeviceGroup, DeviceSight

__all__ = [
    "LastAdministrator",
    "administrators",
    "audited",
    "document",
    "give_role",
    "hold_people",
    "keep_an_administrator",
    "restrict",
    "take_role",
]

_LOCK = 0x7065_6F70_6C65  # "people"


class LastAdministrator(Exception):
    """Nobody would be left who can give rights to people."""

    def __init__(self) -> None:
        super().__init__("This is the last active administrator: make another one first.")


def administrators() -> QuerySet[User]:
    """The active ones."""
    may = Q(is_superuser=True) | Q(groups__name=Role.ADMINISTRATOR)
    return User.objects.filter(may, is_active=True).distinct()


def hold_people() -> None:
    """Until this transaction ends nobody else changes who may do what."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def keep_an_administrator() -> None:
    """Called at the end of a change, in its transaction. Raises LastAdministrator: then it must not be committed."""
    if not administrators().exists():
        raise LastAdministrator


def document(user: User) -> dict[str, Any]:
    """A person for the audit; nothing secret."""
    sight = DeviceSight.objects.filter(user=user).first()
    return {
        "username": user.username,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "active": user.is_active,
        "staff": user.is_staff,
        "superuser": user.is_superuser,
        "roles": sorted(group.name for group in user.groups.all()),
        "permissions": sorted(user.user_permissions.values_list("codename", flat=True)),
        "device_groups": None if sight is None else sorted(sight.groups.values_list("path", flat=True)),
    }


def audited(user: User, by: Any, before: dict[str, Any] | None, **note: Any) -> None:
    """Write down what became of a person; ``note`` says what is not to be seen in the document."""
    stored = User.objects.get(pk=user.pk)
    audit(
        "user", user.pk, user.username, "created" if before is None else "changed", by, before, document(stored) | note
    )


def give_role(user: User, role: Role | None) -> None:
    """Exactly this role; groups of other names stay. Operators and administrators get into the admin."""
    user.groups.remove(*Group.objects.filter(name__in=[each.value for each in Role]))
    if role is not None:
        user.groups.add(Group.objects.get(name=role.value))
    if role in (Role.OPERATOR, Role.ADMINISTRATOR) and not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])


def restrict(user: User, groups: Iterable[DeviceGroup] | None) -> None:
    """To the devices of these groups; None: to nothing, all devices are seen."""
    if groups is None:
        DeviceSight.objects.filter(user=user).delete()
        return
    sight, _ = DeviceSight.objects.get_or_create(user=user)
    sight.groups.set(groups)


@transaction.atomic
def take_role(user: User, role: Role | None) -> None:
    """The role that an identity provider says. The last administrator stays one all the same."""
    if user.is_superuser or role_of(user) == role:
        return
    hold_people()
    before = document(user)
    give_role(user, role)
    keep_an_administrator()
    audited(user, None, before)

"""Which devices, and what belongs to them, a person sees. Asked by every route and page that shows anything of a device.

A person may be restricted to groups (`DeviceSight`). What lies outside of them is answered as what does not exist: 404.
``user`` None is the platform itself, such as a command: it sees everything.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from telemetry.models import Device, DeviceGroup, DeviceKey, DeviceSight, QuarantinedReading

__all__ = [
    "of_visible_devices",
    "of_visible_scopes",
    "sees_everything",
    "visible_devices",
    "visible_groups",
    "visible_keys",
    "visible_quarantine",
    "within_sight",
    "within_sight_of",
]


def sees_everything(user: Any) -> bool:
    """Whether nothing is hidden from this person. An anonymous one sees nothing; a superuser all."""
    if user is None:
        return True
    if not user.is_authenticated:
        return False
    if user.is_superuser:
        return True
    # A request has its own object of its user, and asks this several times.
    if (known := getattr(user, "_sees_everything", None)) is None:
        known = user._sees_everything = not DeviceSight.objects.filter(user=user).exists()
    return bool(known)


def visible_groups(user: Any) -> QuerySet[DeviceGroup]:
    """The groups whose devices this person sees."""
    if sees_everything(user):
        return DeviceGroup.objects.all()
    if not user.is_authenticated:
        return DeviceGroup.objects.none()
    paths = list(DeviceGroup.objects.filter(seen_by__user=user).values_list("path", flat=True))
    if not paths:
        return DeviceGroup.objects.none()
    condition = Q()
    for path in paths:
        condition |= Q(path=path) | Q(path__startswith=f"{path}/")
    return DeviceGroup.objects.filter(condition)


def visible_devices(user: Any) -> QuerySet[Device]:
    """The devices that this person sees. One outside is answered as one that does not exist: 404."""
    if sees_everything(user):
        return Device.objects.all()
    return Device.objects.filter(group__in=visible_groups(user).values("pk"))


def of_visible_devices(rows: QuerySet[Any], user: Any, device: str = "device") -> QuerySet[Any]:
    """Those rows whose device (the field of that name, `series__device` for instance) this person sees."""
    if sees_everything(user):
        return rows
    return rows.filter(**{f"{device}__in": visible_devices(user).order_by().values("pk")})


def visible_keys(user: Any) -> QuerySet[DeviceKey]:
    """The keys of visible devices and groups; those for all devices only to who sees all of them."""
    keys = DeviceKey.objects.all()
    return keys if sees_everything(user) else keys.filter(within_sight(user))


def visible_quarantine(user: Any) -> QuerySet[QuarantinedReading]:
    """What was refused of visible devices, as the senders named them; what names none only to who sees everything."""
    rows = QuarantinedReading.objects.all()
    if sees_everything(user):
        return rows
    return rows.filter(device__in=visible_devices(user).order_by().values("name"))


def within_sight(user: Any) -> Q:
    """Rows for a device or a group (fields of these names) that this person sees all of, and so may manage."""
    if sees_everything(user):
        return Q()
    devices, groups = visible_devices(user).order_by(), visible_groups(user).order_by()
    return Q(device__in=devices.values("pk")) | Q(group__in=groups.values("pk"))


def within_sight_of(thing: Any, user: Any) -> bool:
    """Whether this person may manage a thing that is for a device or a group (attributes of these names)."""
    if sees_everything(user):
        return True
    if thing.device is not None and visible_devices(user).filter(pk=thing.device.pk).exists():
        return True
    return thing.group is not None and visible_groups(user).filter(pk=thing.group.pk).exists()


def of_visible_scopes(rows: QuerySet[Any], user: Any) -> QuerySet[Any]:
    """Those rows that concern this person's devices: for one, for a group of his, and those for no device or group in
    particular. The last are his to look at only, see `within_sight`."""
    if sees_everything(user):
        return rows
    return rows.filter(within_sight(user) | Q(device=None, group=None))

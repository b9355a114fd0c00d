"""Which devices, and what belongs to them, a person sees. Asked by every route and page that shows anything of a device."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from telemetry.models import Device, DeviceGroup, DeviceSight

__all__ = ["of_visible_devices", "sees_everything", "visible_devices", "visible_groups"]


def sees_everything(user: Any) -> bool:
    """Whether nothing is hidden from this person. An anonymous one sees nothing; a superuser all."""
    if not user.is_authenticated:
        return False
    return bool(user.is_superuser) or not DeviceSight.objects.filter(user=user).exists()


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
    return rows.filter(**{f"{device}__in": visible_devices(user).values("pk")})

"""Which thresholds a list is about."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from telemetry.api import parameters
from telemetry.models import Device, DeviceType
from telemetry.sight import visible_devices, visible_groups
from thresholds.models import Condition, Threshold

__all__ = ["FILTERS", "applying_to", "filtered"]

FILTERS = [
    OpenApiParameter("device", str, description="Those that apply to this device, whatever their scope."),
    OpenApiParameter("type", str, description="Those whose scope is this device type."),
    OpenApiParameter("group", str, description="Those whose scope is this group, or one below it."),
    OpenApiParameter("metric", str),
    OpenApiParameter("condition", str, enum=Condition.values),
    OpenApiParameter("enabled", bool),
    OpenApiParameter("q", str, description="Part of the name or the description."),
]


def filtered(queryset: QuerySet[Threshold], request: Request) -> QuerySet[Threshold]:
    """As the query parameters say. Raises ValidationError naming a wrong one."""
    if name := parameters.text(request, "device"):
        queryset = queryset.filter(
            applying_to(_known(visible_devices(request.user).select_related("group"), "device", name=name))
        )
    if name := parameters.text(request, "type"):
        queryset = queryset.filter(device_type=_known(DeviceType.objects.all(), "type", name=name))
    if path := parameters.text(request, "group"):
        group = _known(visible_groups(request.user), "group", path=path)
        queryset = queryset.filter(Q(group=group) | Q(group__path__startswith=f"{path}/"))
    if metric := parameters.text(request, "metric"):
        queryset = queryset.filter(metric=metric)
    if condition := parameters.choice(request, "condition", Condition.values):
        queryset = queryset.filter(condition=condition)
    if (enabled := parameters.flag(request, "enabled")) is not None:
        queryset = queryset.filter(enabled=enabled)
    if term := parameters.text(request, "q"):
        queryset = queryset.filter(Q(name__icontains=term) | Q(description__icontains=term))
    return queryset


def applying_to(device: Device) -> Q:
    """Thresholds in whose scope a device lies."""
    scope = Q(all_devices=True) | Q(device=device)
    if device.type_id is not None:
        scope |= Q(device_type=device.type_id)
    if device.group is not None:
        names = device.group.path.split("/")
        scope |= Q(group__path__in=["/".join(names[: depth + 1]) for depth in range(len(names))])
    return scope


def _known(queryset: QuerySet[Any], parameter: str, **by_name: str) -> Any:
    found = queryset.filter(**by_name).first()
    if found is None:
        (name,) = by_name.values()
        parameters.invalid(parameter, f"There is no {parameter} {name!r}.", "does_not_exist")
    return found

"""Devices: list, register, look at, change, delete."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView, ListCreateAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.request import Request

from telemetry.api import parameters
from telemetry.api.device_serializers import DeviceSerializer
from telemetry.api.lookups import find, viewer
from telemetry.audit_things import changing, created
from telemetry.deletion import delete_device
from telemetry.device_state import DeviceState, in_state, with_expected_interval
from telemetry.models import Device, DeviceType
from telemetry.scopes import MANAGE_DEVICES, looked_at_or
from telemetry.sight import visible_devices, visible_groups

__all__ = ["DeviceDetail", "DeviceList"]

_FILTERS = [
    OpenApiParameter("q", str, description="Part of the name, the location or the description."),
    OpenApiParameter("type", str, description="Name of a device type."),
    OpenApiParameter("group", str, description="Path of a group; what lies below it belongs to it."),
    OpenApiParameter("label", str, many=True, description="key:value; given several times, all must hold."),
    OpenApiParameter("enabled", bool),
    OpenApiParameter("state", str, enum=DeviceState.values),
]


class DeviceQueries(GenericAPIView):
    """What both views share."""

    queryset = Device.objects.all()
    serializer_class = DeviceSerializer
    required_scopes = looked_at_or(MANAGE_DEVICES)

    def get_queryset(self) -> QuerySet[Device]:
        seen = visible_devices(viewer(self))
        return with_expected_interval(seen.select_related("type", "group", "parent", "last_seen"))

    def with_state(self, device: Device) -> Device:
        """The device as it is stored now, with what its state is told from."""
        return self.get_queryset().get(pk=device.pk)


class DeviceList(DeviceQueries, ListCreateAPIView):
    cursor_field = "name"

    @extend_schema(parameters=_FILTERS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """List devices, by name."""
        return super().get(request, *args, **kwargs)

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Register a device."""
        return super().post(request, *args, **kwargs)

    def filter_queryset(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        request = self.request
        if term := parameters.text(request, "q"):
            queryset = queryset.filter(
                Q(name__icontains=term) | Q(location__icontains=term) | Q(description__icontains=term)
            )
        if name := parameters.text(request, "type"):
            queryset = queryset.filter(type=_known(DeviceType.objects.filter(name=name), "type", name))
        if path := parameters.text(request, "group"):
            group = _known(visible_groups(request.user).filter(path=path), "group", path)
            queryset = queryset.filter(Q(group=group) | Q(group__path__startswith=f"{path}/"))
        if labels := parameters.pairs(request, "label"):
            queryset = queryset.filter(labels__contains=labels)
        if (enabled := parameters.flag(request, "enabled")) is not None:
            queryset = queryset.filter(enabled=enabled)
        if state := parameters.choice(request, "state", DeviceState.values):
            queryset = in_state(queryset, state, timezone.now())
        return queryset

    @transaction.atomic
    def perform_create(self, serializer: Any) -> None:
        made = serializer.save()
        created(made, self.request.user)
        serializer.instance = self.with_state(made)


class DeviceDetail(DeviceQueries, RetrieveUpdateDestroyAPIView):
    """One device, by its name."""

    def get_object(self) -> Device:
        device: Device = find(self.get_queryset(), "device", name=self.kwargs["name"])
        self.check_object_permissions(self.request, device)
        return device

    def perform_update(self, serializer: Any) -> None:
        with changing(serializer.instance, self.request.user):
            changed = serializer.save()
        serializer.instance = self.with_state(changed)

    def perform_destroy(self, instance: Device) -> None:
        delete_device(instance, self.request.user)


def _known(queryset: QuerySet[Any], parameter: str, name: str) -> Any:
    found = queryset.first()
    if found is None:
        parameters.invalid(parameter, f"There is no {parameter} {name!r}.", "does_not_exist")
    return found

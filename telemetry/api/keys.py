"""Device keys: hand out, list, revoke. A revoked key keeps its row, so that it stays known who had what."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import GenericAPIView, ListCreateAPIView, RetrieveDestroyAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api.key_serializers import DeviceKeySerializer, IssuedKeySerializer, WideKeySerializer
from telemetry.api.lookups import find, find_numbered, viewer
from telemetry.api.permissions import MayIssueWideKeys
from telemetry.audit_things import created
from telemetry.models import Device, DeviceKey
from telemetry.revocation import revoke
from telemetry.scopes import MANAGE_DEVICES
from telemetry.sight import visible_devices, visible_keys

__all__ = ["DeviceKeyDetail", "DeviceKeyList", "KeyDetail", "KeyList"]


class _Keys(GenericAPIView):
    """What all of these views share."""

    queryset = DeviceKey.objects.all()
    required_scopes = MANAGE_DEVICES

    def get_queryset(self) -> QuerySet[DeviceKey]:
        return visible_keys(viewer(self)).select_related("device", "group", "created_by")


class _KeyListView(_Keys, ListCreateAPIView):
    cursor_field = "-id"

    def issue(self, request: Request, **scope: Any) -> Response:
        """Make a key and answer with its secret, this once."""
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            key = serializer.save(created_by=request.user, **scope)
            created(key, request.user)
        shown = IssuedKeySerializer(key, context={"token": serializer.token})
        response = Response(shown.data, status.HTTP_201_CREATED)
        response["Cache-Control"] = "no-store"
        return response


class _KeyDetailView(_Keys, RetrieveDestroyAPIView):
    serializer_class = DeviceKeySerializer

    def get_object(self) -> DeviceKey:
        key: DeviceKey = find_numbered(self.filter_queryset(self.get_queryset()), "key", self.kwargs["id"])
        self.check_object_permissions(self.request, key)
        return key

    @extend_schema(description="Revoke the key. It stays listed; it stops working within seconds.")
    def delete(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().delete(request, *args, **kwargs)

    def perform_destroy(self, instance: DeviceKey) -> None:
        # Conditional: the time of the first revocation is the one that counts.
        revoke(DeviceKey.objects.filter(pk=instance.pk), self.request.user)


class DeviceKeyList(_KeyListView):
    """The keys that belong to one device, newest first."""

    serializer_class = DeviceKeySerializer

    def filter_queryset(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        return queryset.filter(device=_device(self))

    @extend_schema(responses={201: IssuedKeySerializer})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Hand out a key for this device. It is shown in this answer and never again."""
        return self.issue(request, device=_device(self))


class DeviceKeyDetail(_KeyDetailView):
    """One key of one device."""

    def filter_queryset(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        return queryset.filter(device=_device(self))


class KeyList(_KeyListView):
    """All keys, newest first."""

    serializer_class = WideKeySerializer
    permission_classes = [MayIssueWideKeys]

    @extend_schema(responses={201: IssuedKeySerializer})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Hand out a key for a device, a group with everything below it, or all devices."""
        return self.issue(request)


class KeyDetail(_KeyDetailView):
    """One key."""


def _device(view: GenericAPIView) -> Device:
    device: Device = find(visible_devices(viewer(view)), "device", name=view.kwargs["name"])
    return device

"""What became of a request: GET /api/v1/receipts/{receipt}."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from telemetry.api.permissions import Scoped
from telemetry.models import DeviceKey
from telemetry.receipts import InvalidReceipt, Receipt, state_of
from telemetry.scopes import READ_READINGS, READ_STATS
from telemetry.sight import sees_everything, visible_keys

__all__ = ["RECEIPT", "ReceiptView"]

_counts = ("accepted", "stored", "duplicates", "conflicts", "quarantined", "rejected")
RECEIPT = inline_serializer(
    "Receipt",
    {
        "state": serializers.ChoiceField(["pending", "stored", "lost"]),
        **{name: serializers.IntegerField() for name in _counts},
    },
)


class _KeyOrPerson(Scoped, BasePermission):
    """A device with its key, or a person who may look at devices."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, DeviceKey):
            return True
        return request.user.has_perm("telemetry.view_device") and self.has_scope(request, view)


class ReceiptView(APIView):
    """A device key may read its own receipts; people who may look at devices, those of the keys that they see."""

    permission_classes = [_KeyOrPerson]
    required_scopes = (READ_STATS, READ_READINGS)
    for_devices = True

    @extend_schema(operation_id="receipt", parameters=[OpenApiParameter("receipt", str, "path")], responses=RECEIPT)
    def get(self, request: Request, receipt: str) -> Response:
        """Once stored, stored + duplicates + quarantined = accepted; conflicts are among the duplicates."""
        try:
            found = Receipt.read(receipt)
        except InvalidReceipt as error:
            raise Http404(f"This is {error}.") from None
        if isinstance(request.auth, DeviceKey) and request.auth.pk != found.key_id:
            raise PermissionDenied("This receipt was given to another key.")
        if not isinstance(request.auth, DeviceKey):
            _check_sight(request.user, found)
        return Response(state_of(found))


def _check_sight(user: Any, receipt: Receipt) -> None:
    """A receipt says how much was sent: that is for who sees the devices that the key is for."""
    if not sees_everything(user) and not visible_keys(user).filter(pk=receipt.key_id).exists():
        raise Http404("This is not a receipt of a device that you see.")

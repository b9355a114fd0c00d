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

from telemetry.models import DeviceKey
from telemetry.receipts import InvalidReceipt, Receipt, state_of

__all__ = ["RECEIPT", "ReceiptView"]

_counts = ("accepted", "stored", "duplicates", "conflicts", "quarantined", "rejected")
RECEIPT = inline_serializer(
    "Receipt",
    {
        "state": serializers.ChoiceField(["pending", "stored", "lost"]),
        **{name: serializers.IntegerField() for name in _counts},
    },
)


class _KeyOrPerson(BasePermission):
    """A device with its key, or a person who may look at devices."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, DeviceKey) or bool(
            request.user and request.user.has_perm("telemetry.view_device")
        )


class ReceiptView(APIView):
    """A device key may read its own receipts; people who may look at devices, all of them."""

    permission_classes = [_KeyOrPerson]
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
        return Response(state_of(found))

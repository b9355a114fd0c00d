"""Who changed what, newest first. Staff only: it shows what everybody did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api import parameters
from telemetry.api.fields import StrictSerializer
from telemetry.api.permissions import ModelPermissions
from telemetry.models import AuditEntry
from telemetry.scopes import ADMIN

if TYPE_CHECKING:
    from rest_framework.views import APIView

__all__ = ["AuditList"]

_MAX_ID = 2**63 - 1
_FILTERS = [
    OpenApiParameter("kind", str, description="What was changed, such as threshold, silence, channel or route."),
    OpenApiParameter("object_id", int, description="Of that kind, the one with this id."),
    OpenApiParameter("action", str, enum=AuditEntry.Action.values),
    OpenApiParameter("who", str, description="Name of the user who did it; system where nobody was logged in."),
    OpenApiParameter("start", str, description="Done at or after this ISO 8601 time."),
    OpenApiParameter("end", str, description="Done before this ISO 8601 time."),
]


class StaffPermissions(ModelPermissions):
    """As ModelPermissions, for staff."""

    message = "The audit trail is shown to staff who may view audit entries."

    def has_permission(self, request: Request, view: APIView) -> bool:
        allowed = super().has_permission(request, view)
        return allowed and bool(getattr(request.user, "is_staff", False))


class AuditEntrySerializer(StrictSerializer):
    who = serializers.CharField(source="who_name", help_text="system where nobody was logged in.")

    class Meta:
        model = AuditEntry
        fields = ["id", "at", "kind", "object_id", "object_name", "action", "who", "before", "after"]
        read_only_fields = fields


class AuditList(ListAPIView):
    """Every change of thresholds, silences, channels and routes, newest first."""

    queryset = AuditEntry.objects.all()
    required_scopes = ADMIN
    serializer_class = AuditEntrySerializer
    permission_classes = [StaffPermissions]
    cursor_field = "-id"

    @extend_schema(parameters=_FILTERS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def filter_queryset(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        request = self.request
        wanted = {
            "kind": parameters.text(request, "kind"),
            "object_id": _object_id(request),
            "action": parameters.choice(request, "action", AuditEntry.Action.values),
            "who_name": parameters.text(request, "who"),
            "at__gte": parameters.moment(request, "start"),
            "at__lt": parameters.moment(request, "end"),
        }
        return queryset.filter(**{name: value for name, value in wanted.items() if value is not None})


def _object_id(request: Request) -> int | None:
    if parameters.text(request, "object_id") is None:
        return None
    return parameters.whole_number(request, "object_id", 0, 0, _MAX_ID)

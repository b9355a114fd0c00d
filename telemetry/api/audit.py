"""Who changed what, newest first. Staff only: it shows what everybody did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api import parameters
from telemetry.api.audit_file import CSVRenderer, JSONLinesRenderer, csv_lines, json_lines
from telemetry.api.fields import StrictSerializer
from telemetry.api.permissions import ModelPermissions
from telemetry.models import AuditEntry
from telemetry.scopes import ADMIN

if TYPE_CHECKING:
    from rest_framework.views import APIView

__all__ = ["AuditExport", "AuditList"]

_MAX_ID = 2**63 - 1
_TYPES = {renderer.format: renderer.media_type for renderer in (CSVRenderer, JSONLinesRenderer)}
_FILTERS = [
    OpenApiParameter("kind", str, description="What it was about, such as device, threshold, user, login or token."),
    OpenApiParameter("object_id", int, description="Of that kind, the one with this id."),
    OpenApiParameter("object_name", str, description="Its name, as it was then."),
    OpenApiParameter("action", str, enum=AuditEntry.Action.values),
    OpenApiParameter("who", str, description="Name of the user who did it; system where nobody was logged in."),
    OpenApiParameter("via", str, enum=["session", "token"], description="How that user was known."),
    OpenApiParameter("address", str, description="Of the client."),
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
    via = serializers.CharField(help_text="How the user was known: session or token; empty where nobody was.")
    address = serializers.CharField(help_text="Of the client; empty where no request was answered.")

    class Meta:
        model = AuditEntry
        fields = ["id", "at", "kind", "object_id", "object_name", "action", "who", "via", "address", "before", "after"]
        read_only_fields = fields


class _Audit(GenericAPIView):
    """What both views share."""

    queryset = AuditEntry.objects.all()
    required_scopes = ADMIN
    serializer_class = AuditEntrySerializer
    permission_classes = [StaffPermissions]

    def filter_queryset(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        request = self.request
        wanted = {
            "kind": parameters.text(request, "kind"),
            "object_id": _object_id(request),
            "object_name": parameters.text(request, "object_name"),
            "action": parameters.choice(request, "action", AuditEntry.Action.values),
            "who_name": parameters.text(request, "who"),
            "via": parameters.choice(request, "via", ("session", "token")),
            "address": parameters.text(request, "address"),
            "at__gte": parameters.moment(request, "start"),
            "at__lt": parameters.moment(request, "end"),
        }
        return queryset.filter(**{name: value for name, value in wanted.items() if value is not None})


class AuditList(_Audit, ListAPIView):
    """Who did what, newest first: changes, logins, refusals, tokens."""

    cursor_field = "-id"

    @extend_schema(parameters=_FILTERS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class AuditExport(_Audit):
    """GET /api/v1/audit/export."""

    renderer_classes = [CSVRenderer, JSONLinesRenderer]
    pagination_class = None

    @extend_schema(
        operation_id="audit_export",
        parameters=[*_FILTERS, OpenApiParameter("format", str, enum=["csv", "jsonl"])],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/jsonl"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """The audit trail as a file, oldest first, streamed: CSV, or one JSON object a line."""
        form: str = request.accepted_renderer.format  # type: ignore[attr-defined]
        rows = self.filter_queryset(self.get_queryset()).order_by("id")
        write = csv_lines if form == "csv" else json_lines
        answer = StreamingHttpResponse(write(rows), content_type=f"{_TYPES[form]}; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="audit.{form}"'
        answer["Cache-Control"] = "no-store"
        answer["X-Accel-Buffering"] = "no"
        return answer


def _object_id(request: Request) -> int | None:
    if parameters.text(request, "object_id") is None:
        return None
    return parameters.whole_number(request, "object_id", 0, 0, _MAX_ID)

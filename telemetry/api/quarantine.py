"""Quarantine: look at refused readings, replay them (corrected, where needed), or discard them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api import parameters
from telemetry.api.errors import Conflict, Unavailable
from telemetry.api.fields import StrictSerializer
from telemetry.api.lookups import find_numbered, viewer
from telemetry.api.permissions import ChangePermission
from telemetry.api.problems import phrase, problem_response
from telemetry.intake import accept
from telemetry.models import QuarantinedReading
from telemetry.quarantine.claims import AlreadyResolved, RefusedAgain, discard, replay_once
from telemetry.scopes import READ_READINGS, WRITE_READINGS
from telemetry.sight import visible_quarantine

__all__ = ["QuarantineDetail", "QuarantineDiscard", "QuarantineList", "QuarantineReplay"]

_State = QuarantinedReading.State
_FILTERS = [
    OpenApiParameter("device", str, description="Name of a device, as the sender wrote it."),
    OpenApiParameter("code", str, description="Reason, such as out_of_range."),
    OpenApiParameter("state", str, enum=_State.values),
    OpenApiParameter("start", str, description="Arrived at or after this ISO 8601 time."),
    OpenApiParameter("end", str, description="Arrived before this ISO 8601 time."),
]


class QuarantinedReadingSerializer(StrictSerializer):
    resolved_by: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = QuarantinedReading
        fields = [
            "id",
            "received_at",
            "device",
            "field",
            "code",
            "detail",
            "payload",
            "key_prefix",
            "request_id",
            "state",
            "resolved_at",
            "resolved_by",
        ]
        read_only_fields = fields


class ReplaySerializer(serializers.Serializer):
    """What to send instead; without it the reading goes as it came."""

    payload = serializers.DictField(required=False, help_text="One reading in the JSON form of POST /api/v1/readings.")


class ReplayedSerializer(serializers.Serializer):
    """What the intake answered."""

    accepted = serializers.IntegerField()
    rejected = serializers.IntegerField()
    receipt = serializers.CharField(allow_null=True)
    errors: Any = serializers.ListField(child=serializers.DictField())


class QuarantineList(ListAPIView):
    """Refused readings, newest first."""

    queryset = QuarantinedReading.objects.all()
    required_scopes = READ_READINGS
    serializer_class = QuarantinedReadingSerializer
    cursor_field = "-id"

    def get_queryset(self) -> QuerySet[QuarantinedReading]:
        return visible_quarantine(viewer(self)).select_related("resolved_by").defer("raw")

    @extend_schema(parameters=_FILTERS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def filter_queryset(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        request = self.request
        wanted = {
            "device": parameters.text(request, "device"),
            "code": parameters.text(request, "code"),
            "state": parameters.choice(request, "state", _State.values),
            "received_at__gte": parameters.moment(request, "start"),
            "received_at__lt": parameters.moment(request, "end"),
        }
        return queryset.filter(**{name: value for name, value in wanted.items() if value is not None})


class _OneReading(GenericAPIView):
    queryset = QuarantinedReading.objects.all()
    required_scopes = {"GET": READ_READINGS, "POST": WRITE_READINGS}

    def get_queryset(self) -> QuerySet[QuarantinedReading]:
        return visible_quarantine(viewer(self)).select_related("resolved_by")

    def get_object(self) -> QuarantinedReading:
        row: QuarantinedReading = find_numbered(self.get_queryset(), "quarantined reading", self.kwargs["id"])
        return row


class QuarantineDetail(_OneReading, RetrieveAPIView):
    """One refused reading."""

    serializer_class = QuarantinedReadingSerializer


class QuarantineReplay(_OneReading):
    """Send a refused reading through intake again."""

    serializer_class = ReplaySerializer
    permission_classes = [ChangePermission]

    @extend_schema(responses={200: ReplayedSerializer, 409: OpenApiResponse(description="Resolved already.")})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        row = self.get_object()
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        payload = serializer.validated_data.get("payload")
        try:
            return Response(replay_once(row, payload, request.user))
        except AlreadyResolved as error:
            raise Conflict(str(error)) from error
        except RefusedAgain as error:
            return problem_response(400, phrase(400), str(error), error.errors)
        except accept.Unavailable as error:
            raise Unavailable(f"Nothing was replayed, try again shortly: {error}") from error


class QuarantineDiscard(_OneReading):
    """Give a refused reading up. Its row is kept for the retention time of the quarantine."""

    serializer_class = QuarantinedReadingSerializer
    permission_classes = [ChangePermission]

    @extend_schema(request=None, responses={200: QuarantinedReadingSerializer})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        if not discard(QuarantinedReading.objects.filter(pk=row.pk), request.user):
            raise Conflict("This was replayed or discarded already, or is being replayed now.")
        return Response(self.get_serializer(self.get_object()).data)

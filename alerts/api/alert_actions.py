"""What people do with an alert: acknowledge and take it back, assign, comment, resolve."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import actions
from alerts.actions import Outcome
from alerts.api.alert_serializers import AlertDetailSerializer, AssignSerializer, CommentSerializer, NoteSerializer
from alerts.api.alerts import detailed, visible_alerts
from alerts.models import Alert
from telemetry.api.errors import Conflict, Unavailable
from telemetry.api.lookups import find_numbered
from telemetry.api.permissions import ChangePermission
from telemetry.scopes import MANAGE_THRESHOLDS

__all__ = ["BUSY", "AcknowledgeView", "AssignView", "CommentView", "ResolveView", "UnacknowledgeView"]

BUSY = "Readings of this device are being stored just now, for longer than usual. Nothing was changed; try again."
_CONFLICT = OpenApiResponse(description="Somebody else was first, or it is over; `detail` says who and when.")


class _ActionView(GenericAPIView):
    queryset = Alert.objects.all()
    permission_classes = [ChangePermission]
    required_scopes = MANAGE_THRESHOLDS

    def post(self, request: Request, id: int) -> Response:
        find_numbered(visible_alerts(request.user, self.get_queryset()).only("pk"), "alert", id)
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        outcome = self.act([id], request.user, serializer.validated_data)
        if id in outcome.refused:
            raise Conflict(outcome.refused[id])
        if outcome.busy:
            raise Unavailable(BUSY)
        alert = find_numbered(detailed(), "alert", id)
        return Response(AlertDetailSerializer(alert, context=self.get_serializer_context()).data)

    @abstractmethod
    def act(self, ids: list[int], user: Any, said: dict[str, Any]) -> Outcome:
        """Do it to these alerts; ``said`` is the checked body."""


class AcknowledgeView(_ActionView):
    serializer_class = NoteSerializer

    @extend_schema(responses={200: AlertDetailSerializer, 409: _CONFLICT})
    def post(self, request: Request, id: int) -> Response:
        """Say that you look after it. Again by the same person it changes nothing."""
        return super().post(request, id)

    def act(self, ids: list[int], user: Any, said: dict[str, Any]) -> Outcome:
        return actions.acknowledge(ids, user, said["text"])


class UnacknowledgeView(_ActionView):
    serializer_class = NoteSerializer

    @extend_schema(responses={200: AlertDetailSerializer, 409: _CONFLICT})
    def post(self, request: Request, id: int) -> Response:
        """Take your own acknowledgement back, while nobody else has done anything with the alert since."""
        return super().post(request, id)

    def act(self, ids: list[int], user: Any, said: dict[str, Any]) -> Outcome:
        return actions.unacknowledge(ids, user, said["text"])


class AssignView(_ActionView):
    serializer_class = AssignSerializer

    @extend_schema(responses={200: AlertDetailSerializer})
    def post(self, request: Request, id: int) -> Response:
        """Give it to somebody, or to nobody."""
        return super().post(request, id)

    def act(self, ids: list[int], user: Any, said: dict[str, Any]) -> Outcome:
        return actions.assign(ids, user, said["assignee"])


class CommentView(_ActionView):
    serializer_class = CommentSerializer

    @extend_schema(responses={200: AlertDetailSerializer})
    def post(self, request: Request, id: int) -> Response:
        """Add words to its timeline."""
        return super().post(request, id)

    def act(self, ids: list[int], user: Any, said: dict[str, Any]) -> Outcome:
        return actions.comment(ids, user, said["text"])


class ResolveView(_ActionView):
    serializer_class = NoteSerializer

    @extend_schema(responses={200: AlertDetailSerializer, 409: _CONFLICT})
    def post(self, request: Request, id: int) -> Response:
        """End it. One that is still beyond its limit opens anew only after it was safe once."""
        return super().post(request, id)

    def act(self, ids: list[int], user: Any, said: dict[str, Any]) -> Outcome:
        return actions.resolve(ids, user, said["text"])

"""Alerts: list and look at them."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api.alert_filters import FILTERS, narrowed
from alerts.api.alert_serializers import AlertDetailSerializer, AlertSerializer
from alerts.api.pages import ORDERINGS, AlertPagination
from alerts.models import Alert, AlertEvent
from telemetry.api.lookups import find_numbered, viewer
from telemetry.scopes import MANAGE_THRESHOLDS, READ_STATS
from telemetry.sight import of_visible_devices

__all__ = ["AlertDetail", "AlertList", "detailed", "visible_alerts"]

_ORDERING = OpenApiParameter(
    "ordering", str, enum=list(ORDERINGS), description="Newest first unless said otherwise; -severity: worst first."
)


def detailed() -> QuerySet[Alert]:
    """Alerts with all that their own page shows."""
    timeline = Prefetch("timeline", AlertEvent.objects.select_related("who"))
    return Alert.objects.select_related("acknowledged_by", "assignee").prefetch_related(timeline)


def visible_alerts(user: Any, alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """Those of the alerts whose device this person sees."""
    return of_visible_devices(alerts, user, "device_id")


class AlertList(ListAPIView):
    """Alerts, newest first."""

    queryset = Alert.objects.select_related("acknowledged_by", "assignee").defer("rule", "evidence")
    serializer_class = AlertSerializer
    required_scopes = (READ_STATS, MANAGE_THRESHOLDS)
    pagination_class = AlertPagination

    @extend_schema(parameters=[*FILTERS, _ORDERING])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def filter_queryset(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        return narrowed(visible_alerts(self.request.user, queryset), self.request)


class AlertDetail(RetrieveAPIView):
    """One alert: why it opened, who was told and who was not, and its timeline."""

    queryset = Alert.objects.all()
    serializer_class = AlertDetailSerializer
    required_scopes = (READ_STATS, MANAGE_THRESHOLDS)

    def get_object(self) -> Alert:
        alert: Alert = find_numbered(visible_alerts(viewer(self), detailed()), "alert", self.kwargs["id"])
        return alert

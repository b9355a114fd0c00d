"""Routes: which alerts go to which channels, asked in their order."""

from __future__ import annotations

from alerts.api.audited import AuditedDetail, AuditedList
from alerts.api.route_serializers import RouteSerializer
from alerts.models import Route
from telemetry.scopes import ADMIN

__all__ = ["RouteDetail", "RouteList"]

_ROUTES = Route.objects.select_related("group", "device_type", "threshold").prefetch_related(
    "channels", "escalation__channels"
)


class RouteList(AuditedList):
    """Routes, oldest first; they are asked in the order of `position`, then of their id."""

    kind = "route"
    queryset = _ROUTES
    required_scopes = ADMIN
    serializer_class = RouteSerializer


class RouteDetail(AuditedDetail):
    """One route, by its id."""

    kind = "route"
    queryset = _ROUTES
    required_scopes = ADMIN
    serializer_class = RouteSerializer

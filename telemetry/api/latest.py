"""GET /api/v1/latest: the newest values of many devices, a page at a time."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api import parameters
from telemetry.api.guarded import GuardedView
from telemetry.api.lookups import find, viewer
from telemetry.api.permissions import ModelPermissions
from telemetry.api.readings import LatestSerializer
from telemetry.models import Device
from telemetry.query.latest import latest_of
from telemetry.query.lines import group_devices
from telemetry.query.values import utc_text
from telemetry.scopes import READ_STATS
from telemetry.sight import visible_devices, visible_groups

__all__ = ["LatestList"]

_MOST_METRICS = 100
_PARAMETERS = [
    OpenApiParameter("group", str, description="Only devices of this group and of all below it."),
    OpenApiParameter("metric", str, many=True, description="Only these metrics; may be repeated."),
]


class LatestList(GuardedView, ListAPIView[Any]):
    """GET /api/v1/latest."""

    required_scopes = READ_STATS
    permission_classes = [ModelPermissions]
    serializer_class = LatestSerializer
    cursor_field = "name"

    @extend_schema(operation_id="latest_list", parameters=_PARAMETERS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The newest value of every metric of all devices, by name of the device."""
        metrics = parameters.texts(request, "metric", _MOST_METRICS, 100)
        page = self.paginate_queryset(self.get_queryset()) or []
        newest = latest_of([device.pk for device in page], metrics)
        return self.get_paginated_response(
            [
                {
                    "device": device.name,
                    "metrics": {
                        each.metric: {"time": utc_text(each.time), "value": each.value}
                        for each in newest.get(device.pk, [])
                    },
                }
                for device in page
            ]
        )

    def get_queryset(self) -> QuerySet[Device]:
        user = viewer(self)
        devices = visible_devices(user)
        if getattr(self, "swagger_fake_view", False):
            return devices
        if path := parameters.text(self.request, "group"):
            group = find(visible_groups(user), "group", path=path)
            devices = devices.filter(pk__in=group_devices(group).order_by().values("pk"))
        return devices.only("pk", "name")

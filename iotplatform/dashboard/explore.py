"""Any series beside any other: choose, compare, share, take away. The chart itself asks the REST API."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from iotplatform.dashboard.page import answer, page
from telemetry.models import Series
from telemetry.query.lines import group_devices
from telemetry.sight import visible_devices, visible_groups

__all__ = ["explore", "metrics"]

_MOST_CHOICES = 500
_FOUND = 20
FUNCTIONS = {
    "avg": "Average",
    "min": "Minimum",
    "max": "Maximum",
    "sum": "Sum",
    "count": "Number of readings",
    "stddev": "Standard deviation",
    "first": "First",
    "last": "Last",
    "rate": "Rate per second (counters)",
    "increase": "Increase (counters)",
    "p50": "Median",
    "p95": "95th percentile",
    "p99": "99th percentile",
}
BUCKETS = {
    "": "As fits the screen",
    "1m": "1 minute",
    "5m": "5 minutes",
    "15m": "15 minutes",
    "1h": "1 hour",
    "6h": "6 hours",
    "1d": "1 day",
    "1w": "1 week",
    "1mo": "1 month",
}


@require_safe
@page("telemetry.view_device")
def explore(request: HttpRequest) -> HttpResponse:
    groups = visible_groups(request.user).values_list("path", flat=True)[:_MOST_CHOICES]
    context = {"functions": FUNCTIONS, "buckets": BUCKETS, "groups": groups}
    return answer(request, "dashboard/explore/page.html", context)


@require_safe
@page("telemetry.view_device")
def metrics(request: HttpRequest) -> HttpResponse:
    """`?q=`: devices by a part of their name; `?device=` or `?group=`: the metrics that it has sent."""
    user = request.user
    name, path = request.GET.get("device", ""), request.GET.get("group", "")
    found: dict[str, list[str]]
    if name or path:
        devices = visible_devices(user).filter(name=name)
        if path:
            group = visible_groups(user).filter(path=path).first()
            devices = group_devices(group) if group is not None else visible_devices(user).none()
        series = Series.objects.filter(device__in=devices.order_by().values("pk")).order_by("metric")
        found = {"metrics": list(series.values_list("metric", flat=True).distinct()[:_MOST_CHOICES])}
    else:
        term = request.GET.get("q", "").replace("\x00", "")
        named = visible_devices(user).filter(name__icontains=term).order_by("name")
        found = {"devices": list(named.values_list("name", flat=True)[:_FOUND])}
    response = JsonResponse(found)
    response["Cache-Control"] = "no-store"
    return response

"""One device: how it is, what it measures, and what became of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from alerts.models import Alert
from iotplatform.dashboard.device_now import now_of
from iotplatform.dashboard.device_tabs import TABS, tab_of
from iotplatform.dashboard.limits import levels_of
from iotplatform.dashboard.page import answer, page
from iotplatform.dashboard.zones import zone_of_labels
from telemetry.device_state import with_expected_interval
from telemetry.models import Device
from telemetry.sight import visible_devices
from thresholds.models import Severity

__all__ = ["alerts_between", "device"]

_MOST_CHARTS = 12
_MOST_INTERVALS = 300
_KEPT = ("range", "start", "end", "metrics")


@require_safe
@page("telemetry.view_device")
def device(request: HttpRequest, name: str) -> HttpResponse:
    found = _visible(request, name)
    part = request.headers.get("X-Live", "")
    if part == "now":
        return answer(request, "dashboard/device/now.html", {"device": found, **now_of(found)})
    tabs = [tab for tab in TABS if request.user.has_perm(tab.permission)]
    tab = next((each for each in tabs if each.name == request.GET.get("tab")), tabs[0] if tabs else None)
    context: dict[str, Any] = {"device": found, "tabs": tabs, "tab": tab, "kept": _kept(request)}
    context["tab_template"] = f"dashboard/device/{tab.name}.html" if tab else ""
    context |= tab_of(tab.name, request, found) if tab else {}
    if part == "tab" and tab:
        return answer(request, context["tab_template"], context)
    context |= now_of(found)
    context |= {"chart_data": _charts(found, context["metrics"], request.GET.get("metrics", ""))}
    context |= {"zone": zone_of_labels(found.labels), "most_charts": _MOST_CHARTS}
    return answer(request, "dashboard/device/page.html", context)


def _visible(request: HttpRequest, name: str) -> Device:
    devices = visible_devices(request.user).select_related("type", "group", "parent", "last_seen")
    found = with_expected_interval(devices).filter(name=name).first()
    if found is None:
        raise Http404
    return found


def _kept(request: HttpRequest) -> str:
    """What of the address goes along from tab to tab."""
    query = request.GET.copy()
    for key in list(query):
        if key not in _KEPT:
            del query[key]
    return query.urlencode()


def _charts(found: Device, metrics: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """What the charts are drawn by; of a device with hundreds of metrics only the first, unless all are asked for."""
    levels = levels_of(found)
    shown = metrics if wanted == "all" else metrics[:_MOST_CHARTS]
    return {
        "device": found.name,
        "metrics": [
            {
                "name": metric["name"],
                "unit": metric["unit"],
                "boolean": metric["boolean"],
                "interval": metric["interval"],
                "levels": [level.as_json() for level in levels.get(metric["name"], [])],
            }
            for metric in shown
        ],
    }


@require_safe
@page("telemetry.view_device", "alerts.view_alert")
def alerts_between(request: HttpRequest, name: str) -> HttpResponse:
    """The alerts of a device that were live at any time in [start, end), for the shading of charts; times in ms."""
    found = _visible(request, name)
    end = _moment(request, "end") or timezone.now()
    start = _moment(request, "start") or end - timedelta(days=1)
    alerts = Alert.objects.filter(device_id=found.pk, opened_at__lt=end).exclude(ended_at__lte=start)
    rows = alerts.order_by("-opened_at").values_list(
        "id", "metric", "highest_severity", "opened_at", "ended_at", "threshold_name"
    )[:_MOST_INTERVALS]
    intervals = [
        {
            "id": number,
            "metric": metric,
            "severity": Severity(severity).label,
            "start": opened.timestamp() * 1000,
            "end": None if ended is None else ended.timestamp() * 1000,
            "name": threshold,
        }
        for number, metric, severity, opened, ended, threshold in rows
    ]
    response = JsonResponse({"alerts": intervals})
    response["Cache-Control"] = "no-store"
    return response


def _moment(request: HttpRequest, name: str) -> Any:
    try:
        moment = parse_datetime(request.GET.get(name, ""))
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None

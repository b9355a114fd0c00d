"""The fleet as a list, and the way from nothing to a first device that sends."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from iotplatform.dashboard.devices_query import SORTS, DeviceQuery, page_of, read_query
from iotplatform.dashboard.fleet import fleet_counts
from iotplatform.dashboard.page import answer, page
from iotplatform.dashboard.units import units_of
from telemetry.device_state import DeviceState, state_of
from telemetry.models import DeviceType, MetricDefinition
from telemetry.query.latest import Latest, latest_of
from telemetry.sight import sees_everything, visible_groups

__all__ = ["devices", "new_device"]

_SHOWN_VALUES = 3
_MOST_CHOICES = 500


@require_safe
@page("telemetry.view_device")
def devices(request: HttpRequest) -> HttpResponse:
    query, now = read_query(request.GET), timezone.now()
    found = page_of(request, query, now)
    counts = fleet_counts(request.user)
    context = {
        "query": query,
        "page": found,
        "rows": _rows(found.devices, now),
        "states": _segments(query, counts),
        "total": found.total if query.filtered else counts["all"],
        "any": bool(counts["all"]),
        "types": DeviceType.objects.values_list("name", flat=True)[:_MOST_CHOICES],
        "groups": visible_groups(request.user).values_list("path", flat=True)[:_MOST_CHOICES],
        "sorts": SORTS,
        "by_name": query.address(sort="-name" if query.sort == "name" else "name"),
        "by_seen": query.address(sort="last_seen" if query.sort == "-last_seen" else "-last_seen"),
        "no_label": query.address(label=""),
        "may_add": may_register(request.user),
    }
    return answer(request, "dashboard/devices/page.html", context, part="dashboard/devices/part.html")


def may_register(user: Any) -> bool:
    return bool(user.has_perms(["telemetry.add_device", "telemetry.add_devicekey"]))


def _segments(query: DeviceQuery, counts: dict[str, int]) -> list[dict[str, Any]]:
    """The states to choose from, with how many there are of each in the whole fleet."""
    entries = [("", "all", counts["all"])] + [(state.value, state.label, counts[state.value]) for state in DeviceState]
    return [
        {"value": value, "label": label, "count": count, "url": query.address(state=value), "on": value == query.state}
        for value, label, count in entries
    ]


def _rows(found: list[Any], now: datetime) -> list[dict[str, Any]]:
    newest = latest_of([device.pk for device in found]) if found else {}
    units = units_of({device.type_id for device in found})
    rows = []
    for device in found:
        seen = getattr(device, "last_seen", None)
        values = newest.get(device.pk, [])
        rows.append(
            {
                "device": device,
                "state": str(state_of(device.enabled, seen and seen.at, device.expected_interval, now)),
                "seen": seen and seen.at,
                "values": [_shown(value, units.get((device.type_id, value.metric), "")) for value in _first(values)],
                "more": max(0, len(values) - _SHOWN_VALUES),
            }
        )
    return rows


def _first(values: list[Latest]) -> list[Latest]:
    """Numbers before switches: they say more."""
    return sorted(values, key=lambda each: (isinstance(each.value, bool), each.metric))[:_SHOWN_VALUES]


def _shown(value: Latest, unit: str) -> dict[str, Any]:
    return {"metric": value.metric, "value": value.value, "unit": unit, "time": value.time}


@require_safe
@page("telemetry.add_device", "telemetry.add_devicekey")
def new_device(request: HttpRequest) -> HttpResponse:
    """Register a device, hand out its key, see its first reading arrive: three steps on one page."""
    types = DeviceType.objects.prefetch_related("metrics").order_by("name")[:_MOST_CHOICES]
    context = {
        "types": [{"name": each.name, "example": example_of(list(each.metrics.all()))} for each in types],
        "groups": visible_groups(request.user).values_list("path", flat=True)[:_MOST_CHOICES],
        "group_needed": not sees_everything(request.user),
        "example": example_of([]),
        "site": request.build_absolute_uri("/").rstrip("/"),
    }
    return answer(request, "dashboard/devices/new.html", context)


def example_of(metrics: list[MetricDefinition]) -> dict[str, float | bool]:
    """Plausible metrics to send first: those of the type, or one that needs no type."""
    return {metric.name: _plausible(metric) for metric in metrics[:_SHOWN_VALUES]} or {"temperature": 21.5}


def _plausible(metric: MetricDefinition) -> float | bool:
    """A value inside of the metric's physical range."""
    if metric.kind == MetricDefinition.Kind.BOOLEAN:
        return True
    if metric.low is None or metric.high is None:
        return next((bound for bound in (metric.low, metric.high) if bound is not None), 21.5)
    return round((metric.low + metric.high) / 2, 3)

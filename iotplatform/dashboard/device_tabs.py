"""The tabs of a device's page: what each shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from alerts.models import Alert
from iotplatform.dashboard.alerts_rows import row_of
from iotplatform.dashboard.devices import example_of
from iotplatform.dashboard.units import units_of
from telemetry.models import Device, DeviceKey, MetricDefinition, QuarantinedReading
from telemetry.query.raw import raw
from telemetry.query.series import series_of
from telemetry.query.values import typed

__all__ = ["TABS", "Tab", "tab_of"]

_SHOWN_ALERTS = 50
_SHOWN_READINGS = 100
_SHOWN_REFUSED = 50


class Tab(NamedTuple):
    """One tab; its template is dashboard/device/<name>.html."""

    name: str
    title: str
    permission: str


TABS = (
    Tab("alerts", "Alerts", "alerts.view_alert"),
    Tab("readings", "Readings", "telemetry.view_device"),
    Tab("quarantine", "Quarantine", "telemetry.view_quarantinedreading"),
    Tab("keys", "Keys", "telemetry.view_devicekey"),
    Tab("send", "Send", "telemetry.view_device"),
)


def tab_of(name: str, request: HttpRequest, device: Device) -> dict[str, Any]:
    """What the tab's template needs."""
    return _MADE_BY[name](request, device)


def _alerts(request: HttpRequest, device: Device) -> dict[str, Any]:
    found = Alert.objects.filter(device_id=device.pk).select_related("assignee", "acknowledged_by")
    rows = [row_of(alert, request.user) for alert in found.order_by("-opened_at", "-id")[:_SHOWN_ALERTS]]
    return {"rows": rows, "most": _SHOWN_ALERTS}


def _readings(request: HttpRequest, device: Device) -> dict[str, Any]:
    series = {each.id: each for each in series_of(device.pk)}
    chosen = request.GET.get("metric", "")
    wanted = [number for number, each in series.items() if not chosen or each.metric == chosen]
    units = units_of([device.type_id])
    rows = [
        {
            "time": reading.time,
            "metric": series[reading.series_id].metric,
            "value": typed(reading.value, series[reading.series_id].boolean),
            "unit": units.get((device.type_id, series[reading.series_id].metric), ""),
        }
        for reading in raw(wanted, order="desc", limit=_SHOWN_READINGS)
    ]
    names = [each.metric for each in series.values()]
    return {"rows": rows, "names": names, "chosen": chosen if chosen in names else "", "most": _SHOWN_READINGS}


def _quarantine(request: HttpRequest, device: Device) -> dict[str, Any]:
    # A device need not name itself when it sends with a key of its own.
    own = DeviceKey.objects.filter(device=device).values("prefix")
    found = QuarantinedReading.objects.filter(Q(device=device.name) | Q(device="", key_prefix__in=own)).defer("raw")
    return {
        "rows": list(found.order_by("-id")[:_SHOWN_REFUSED]),
        "may_change": request.user.has_perm("telemetry.change_quarantinedreading"),
        "most": _SHOWN_REFUSED,
    }


def _keys(request: HttpRequest, device: Device) -> dict[str, Any]:
    now = timezone.now()
    found = DeviceKey.objects.filter(device=device).select_related("created_by").order_by("-id")
    return {
        "rows": [{"key": key, "state": key.state(now)} for key in found],
        "may_issue": request.user.has_perm("telemetry.add_devicekey"),
        "may_revoke": request.user.has_perm("telemetry.delete_devicekey"),
        **_site(request, device),
    }


def _send(request: HttpRequest, device: Device) -> dict[str, Any]:
    may_keys = request.user.has_perm("telemetry.view_devicekey")
    return {"may_keys": may_keys, **_site(request, device)}


def _site(request: HttpRequest, device: Device) -> dict[str, Any]:
    """What a ready-to-paste command is made of."""
    known = list(MetricDefinition.objects.filter(device_type=device.type_id)) if device.type_id else []
    return {"site": request.build_absolute_uri("/").rstrip("/"), "example": example_of(known)}


_MADE_BY: dict[str, Callable[[HttpRequest, Device], dict[str, Any]]] = {
    "alerts": _alerts,
    "readings": _readings,
    "quarantine": _quarantine,
    "keys": _keys,
    "send": _send,
}

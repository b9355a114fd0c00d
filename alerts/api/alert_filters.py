"""Which alerts a list, or an action on many, is about."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from alerts.models import Alert
from telemetry.api import parameters
from telemetry.models import Device, DeviceType
from telemetry.sight import of_visible_devices, of_visible_scopes, visible_devices, visible_groups
from thresholds.models import Severity, Threshold

__all__ = ["FILTERS", "narrowed"]

_MAX_ID = 2**63 - 1
_SEVERITIES = {severity.label: severity.value for severity in Severity}
FILTERS = [
    OpenApiParameter("state", str, enum=Alert.State.values, many=True, description="Or several, with commas between."),
    OpenApiParameter("severity", str, enum=list(_SEVERITIES), many=True, description="Or several."),
    OpenApiParameter("device", str, description="Name of a device; of a deleted one, the name that it had."),
    OpenApiParameter("threshold", str, description="Id or name of a threshold; of a deleted one, the id."),
    OpenApiParameter("metric", str),
    OpenApiParameter("type", str, description="Name of a device type."),
    OpenApiParameter("group", str, description="Path of a group; what lies below it belongs to it."),
    OpenApiParameter("assignee", str, description="User name, `me`, or `none`."),
    OpenApiParameter("q", str, description="Part of the name of the threshold, the device or the metric."),
    OpenApiParameter("flapping", bool),
    OpenApiParameter("since", datetime, description="Opened at or after this ISO 8601 time."),
    OpenApiParameter("until", datetime, description="Opened before this ISO 8601 time."),
]


def narrowed(alerts: QuerySet[Alert], request: Request | Any) -> QuerySet[Alert]:
    """Those of the alerts that the query parameters ask for. Raises ValidationError naming a wrong one."""
    if states := _several(request, "state", Alert.State.values):
        alerts = alerts.filter(state__in=states)
    if severities := _several(request, "severity", list(_SEVERITIES)):
        alerts = alerts.filter(severity__in=[_SEVERITIES[name] for name in severities])
    if metric := parameters.text(request, "metric"):
        alerts = alerts.filter(metric=metric)
    if name := parameters.text(request, "device"):
        alerts = _of_device(alerts, name, request.user)
    if named := parameters.text(request, "threshold"):
        alerts = alerts.filter(threshold_id__in=_threshold_ids(named, request.user))
    alerts = _of_devices(alerts, request)
    if name := parameters.text(request, "assignee"):
        alerts = _of_assignee(alerts, request, name)
    if term := parameters.text(request, "q"):
        parts = Q(threshold_name__icontains=term) | Q(device_name__icontains=term) | Q(metric__icontains=term)
        alerts = alerts.filter(parts)
    if (flapping := parameters.flag(request, "flapping")) is not None:
        alerts = alerts.filter(flapping=flapping)
    if since := parameters.moment(request, "since"):
        alerts = alerts.filter(opened_at__gte=since)
    if until := parameters.moment(request, "until"):
        alerts = alerts.filter(opened_at__lt=until)
    return alerts


def _several(request: Request, name: str, known: list[str]) -> list[str]:
    """One or more of the known values, with commas between or the parameter repeated."""
    parameters.text(request, name)
    given = [part.strip() for value in request.query_params.getlist(name) for part in value.split(",")]
    chosen = [value for value in given if value]
    if any(value not in known for value in chosen):
        parameters.invalid(name, f"Say one or more of {', '.join(known)}.", "invalid_choice")
    return list(dict.fromkeys(chosen))


def _of_device(alerts: QuerySet[Alert], name: str, user: Any) -> QuerySet[Alert]:
    device = visible_devices(user).filter(name=name).values_list("pk", flat=True).first()
    if device is not None:
        return alerts.filter(device_id=device)
    if not of_visible_devices(Alert.objects.all(), user, "device_id").filter(device_name=name).exists():
        parameters.invalid("device", f"There is no device {name!r}, and no alert of one.", "does_not_exist")
    return alerts.filter(device_name=name)


def _threshold_ids(named: str, user: Any) -> list[int]:
    found = list(of_visible_scopes(Threshold.objects.all(), user).filter(name=named).values_list("pk", flat=True))
    if named.isascii() and named.isdigit():
        return [*found, min(int(named), _MAX_ID)]
    if not found:
        detail = f"There is no threshold {named!r}; of a deleted one say the id."
        parameters.invalid("threshold", detail, "does_not_exist")
    return found


def _of_devices(alerts: QuerySet[Alert], request: Request) -> QuerySet[Alert]:
    """By what the devices are now."""
    devices = None
    if name := parameters.text(request, "type"):
        device_type = DeviceType.objects.filter(name=name).first()
        if device_type is None:
            parameters.invalid("type", f"There is no device type {name!r}.", "does_not_exist")
        devices = Device.objects.filter(type=device_type)
    if path := parameters.text(request, "group"):
        if not visible_groups(request.user).filter(path=path).exists():
            parameters.invalid("group", f"There is no group {path!r}.", "does_not_exist")
        below = Q(group__path=path) | Q(group__path__startswith=f"{path}/")
        devices = (Device.objects.all() if devices is None else devices).filter(below)
    return alerts if devices is None else alerts.filter(device_id__in=devices.order_by().values("pk"))


def _of_assignee(alerts: QuerySet[Alert], request: Request, name: str) -> QuerySet[Alert]:
    if name == "none":
        return alerts.filter(assignee=None)
    if name == "me":
        return alerts.filter(assignee=request.user.pk)
    user = get_user_model()._default_manager.filter(username=name).first()
    if user is None:
        parameters.invalid("assignee", f"There is no user {name!r}; say a user name, me, or none.", "does_not_exist")
    return alerts.filter(assignee=user)

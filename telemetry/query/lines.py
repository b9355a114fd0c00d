"""Which series make up the lines of a question: devices one by one, groups with all groups below them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from telemetry.models import Device, DeviceGroup, MetricDefinition, Series
from telemetry.query.question import Line

__all__ = ["device_lines", "group_devices", "group_lines"]

_COLUMNS = ("id", "metric", "boolean", "device__name", "device__type_id")


def group_devices(group: DeviceGroup) -> QuerySet[Device]:
    """The devices of a group and of all groups below it."""
    return Device.objects.filter(Q(group=group) | Q(group__path__startswith=f"{group.path}/"))


def device_lines(devices: QuerySet[Device], metrics: Collection[str] = ()) -> list[Line]:
    """A line for each metric of each device, by device and metric; only for these metrics, if any are named."""
    unit = MetricDefinition.objects.filter(device_type=OuterRef("device__type"), name=OuterRef("metric"))
    rows = _series(devices, metrics).order_by("device__name", "metric").annotate(unit=Subquery(unit.values("unit")[:1]))
    return [
        Line(metric, (number,), device=device, unit=unit or "", boolean=boolean)
        for number, metric, boolean, device, unit in rows.values_list("id", "metric", "boolean", "device__name", "unit")
    ]


def group_lines(group: DeviceGroup, metrics: Sequence[str]) -> list[Line]:
    """A line for each metric over all devices of a group; none for a metric that no device of it has sent."""
    rows = list(_series(group_devices(group), metrics).order_by("id").values_list(*_COLUMNS))
    units = _units(rows)
    lines = []
    for metric in dict.fromkeys(metrics):
        own = [row for row in rows if row[1] == metric]
        if own:
            known = {units.get((row[4], metric), "") for row in own}
            # Devices that measure in different units have none together.
            unit = known.pop() if len(known) == 1 else ""
            boolean = all(row[2] for row in own)
            lines.append(Line(metric, tuple(row[0] for row in own), group=group.path, unit=unit, boolean=boolean))
    return lines


def _series(devices: QuerySet[Device], metrics: Collection[str]) -> QuerySet[Series]:
    found = Series.objects.filter(device__in=devices.order_by())
    return found.filter(metric__in=metrics) if metrics else found


def _units(rows: Sequence[Any]) -> dict[tuple[int, str], str]:
    types = {row[4] for row in rows if row[4] is not None}
    if not types:
        return {}
    known = MetricDefinition.objects.filter(device_type__in=types, name__in={row[1] for row in rows})
    return {(type_id, name): unit for type_id, name, unit in known.values_list("device_type_id", "name", "unit")}

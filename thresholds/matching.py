"""The series on which a threshold is judged."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from telemetry.models import Device, DeviceGroup, MetricDefinition, Series
from thresholds.models import Threshold
from thresholds.rule import Rule

__all__ = ["Matching", "MatchingSeries", "matching_series"]


@dataclass(frozen=True, slots=True)
class MatchingSeries:
    """A series as a preview shows it; the interval is in seconds, None where the device type does not tell it."""

    id: int
    device: str
    metric: str
    unit: str = ""
    expected_interval: float | None = None


@dataclass(frozen=True, slots=True)
class Matching:
    """The first series by name of their device, and how many there are in all."""

    series: list[MatchingSeries]
    total: int


def matching_series(rule: Rule, limit: int, devices: QuerySet[Device] | None = None) -> Matching:
    """The series in a rule's scope, without disabled devices, and where no enabled threshold overrides it; of these
    devices only, where some are given."""
    found = Series.objects.filter(_in_scope(rule.device_id, rule.type_id, rule.group_id), metric=rule.metric)
    found = found.filter(device__enabled=True)
    if devices is not None:
        found = found.filter(device__in=devices.order_by().values("pk"))
    if rule.threshold_id:
        overriding = Threshold.objects.filter(overrides=rule.threshold_id, enabled=True)
        for scope in overriding.values_list("device_id", "device_type_id", "group_id"):
            found = found.exclude(_in_scope(*scope))
    rows = found.order_by("device__name", "id").values_list("id", "device__name", "device__type_id")[: limit + 1]
    contracts = {
        type_id: (unit, interval)
        for type_id, unit, interval in MetricDefinition.objects.filter(name=rule.metric).values_list(
            "device_type_id", "unit", "expected_interval"
        )
    }
    series = [
        MatchingSeries(number, device, rule.metric, *contracts.get(type_id, ("", None)))
        for number, device, type_id in rows
    ]
    total = found.count() if len(series) > limit else len(series)
    return Matching(series[:limit], total)


def _in_scope(device_id: int | None, type_id: int | None, group_id: int | None) -> Q:
    if device_id is not None:
        return Q(device=device_id)
    if type_id is not None:
        return Q(device__type=type_id)
    if group_id is not None:
        path = DeviceGroup.objects.values_list("path", flat=True).get(pk=group_id)
        return Q(device__group__path=path) | Q(device__group__path__startswith=f"{path}/")
    return ~Q(pk=None)

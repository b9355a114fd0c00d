"""What the editor offers to choose from: metrics, types, groups, zones."""

from __future__ import annotations

from functools import cache
from typing import Any
from zoneinfo import available_timezones

from telemetry.models import DeviceType, MetricDefinition, Series
from telemetry.sight import of_visible_devices, visible_groups
from thresholds.schedule import DAYS

__all__ = ["WEEKDAYS", "device_types", "groups", "metrics", "zones"]

#: As schedules name them, and as people read them.
WEEKDAYS = tuple((day, day.capitalize()) for day in DAYS)
_OFFERED = 500


def metrics(user: Any) -> list[str]:
    """Names of metrics that device types name, or that came in from devices that this person sees; some of them where
    there are very many."""
    defined = MetricDefinition.objects.order_by("name").values_list("name", flat=True).distinct()[:_OFFERED]
    seen = of_visible_devices(Series.objects.all(), user)
    sent = seen.order_by("metric").values_list("metric", flat=True).distinct()[:_OFFERED]
    return sorted({*defined, *sent})


def device_types() -> list[str]:
    return list(DeviceType.objects.order_by("name").values_list("name", flat=True)[:_OFFERED])


def groups(user: Any) -> list[str]:
    """Paths of the groups that this person sees."""
    return list(visible_groups(user).order_by("path").values_list("path", flat=True)[:_OFFERED])


@cache
def zones() -> list[str]:
    return sorted(available_timezones())

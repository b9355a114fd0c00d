"""The state of a device: never seen, online, late, silent or disabled. One rule, for Python and for SQL."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery

from telemetry.models import Device, DeviceType, MetricDefinition

__all__ = ["DEFAULT_INTERVAL_SECONDS", "DeviceState", "counts_by_state", "in_state", "state_of"]
__all__ += ["with_expected_interval"]

LATE_AFTER = 1.5
SILENT_AFTER = 3.0
#: For devices whose type does not say how often they speak.
DEFAULT_INTERVAL_SECONDS = 300.0


class DeviceState(models.TextChoices):
    NEVER_SEEN = "never_seen", "never seen"
    ONLINE = "online", "online"
    LATE = "late", "late"
    SILENT = "silent", "silent"
    DISABLED = "disabled", "disabled"


def state_of(enabled: bool, last_seen: datetime | None, interval: float | None, now: datetime) -> DeviceState:
    """`interval` is the expected one in seconds: the smallest among the metrics of the device's type."""
    if not enabled:
        return DeviceState.DISABLED
    if last_seen is None:
        return DeviceState.NEVER_SEEN
    late, silent = _deadlines(interval, now)
    if last_seen < silent:
        return DeviceState.SILENT
    return DeviceState.LATE if last_seen < late else DeviceState.ONLINE


def with_expected_interval(devices: QuerySet[Device]) -> QuerySet[Device]:
    """Adds `expected_interval`, in seconds or None."""
    intervals = MetricDefinition.objects.filter(device_type=OuterRef("type")).order_by().values("device_type")
    return devices.annotate(
        expected_interval=Subquery(intervals.annotate(least=Min("expected_interval")).values("least"))
    )


def in_state(devices: QuerySet[Device], state: str, now: datetime) -> QuerySet[Device]:
    """Those devices that `state_of` would give this state."""
    if state == DeviceState.DISABLED:
        return devices.filter(enabled=False)
    devices = devices.filter(enabled=True)
    if state == DeviceState.NEVER_SEEN:
        return devices.filter(last_seen=None)
    return devices.filter(_spoke_between(state, now))


def counts_by_state(devices: QuerySet[Device], now: datetime) -> dict[str, int]:
    """How many of the devices are in each state, in one pass over them (some 60 ms for 100,000)."""
    enabled = Q(enabled=True)
    conditions = {
        DeviceState.ONLINE: enabled & _spoke_between(DeviceState.ONLINE, now),
        DeviceState.LATE: enabled & _spoke_between(DeviceState.LATE, now),
        DeviceState.SILENT: enabled & _spoke_between(DeviceState.SILENT, now),
        DeviceState.NEVER_SEEN: enabled & Q(last_seen=None),
        DeviceState.DISABLED: Q(enabled=False),
    }
    counts: dict[str, int] = devices.order_by().aggregate(
        **{str(state): Count("pk", filter=condition) for state, condition in conditions.items()}
    )
    return counts


def _spoke_between(state: str, now: datetime) -> Q:
    """One condition per distinct interval: there are few of them, whatever the number of devices."""
    types = DeviceType.objects.annotate(least=Min("metrics__expected_interval")).exclude(least=None).order_by()
    by_interval: dict[float | None, list[int]] = {}
    for type_id, least in types.values_list("pk", "least"):
        by_interval.setdefault(least, []).append(type_id)
    known = [type_id for ids in by_interval.values() for type_id in ids]
    condition = _window(state, None, now) & ~Q(type__in=known)
    for interval, ids in by_interval.items():
        condition |= _window(state, interval, now) & Q(type__in=ids)
    return condition


def _window(state: str, interval: float | None, now: datetime) -> Q:
    late, silent = _deadlines(interval, now)
    if state == DeviceState.SILENT:
        return Q(last_seen__at__lt=silent)
    if state == DeviceState.LATE:
        return Q(last_seen__at__lt=late, last_seen__at__gte=silent)
    return Q(last_seen__at__gte=late)


def _deadlines(interval: float | None, now: datetime) -> tuple[datetime, datetime]:
    """Before the first, a device that spoke last is late; before the second, silent."""
    # last_seen is written every few seconds only, after drains handed it over: a device may have spoken that much later.
    grace = 2 * settings.PLATFORM.last_seen_flush_seconds
    # A century is as good as for ever, and stays within what a datetime can hold.
    seconds = min(DEFAULT_INTERVAL_SECONDS if interval is None else interval, 1e9)
    late, silent = (now - timedelta(seconds=factor * seconds + grace) for factor in (LATE_AFTER, SILENT_AFTER))
    return late, silent

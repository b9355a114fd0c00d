"""Late readings that would have breached, counted because they moved nothing: how many, of what, and how new."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Sum

from telemetry.models import Series
from telemetry.timeseries.engine import as_timestamp
from thresholds.models import LateBreaches, Threshold

__all__ = ["Late", "LateSum", "late_of_device", "late_of_threshold", "late_sums"]


@dataclass(frozen=True, slots=True)
class LateSum:
    """Of one threshold: how many late breaching readings, on how many series, and the newest event time of them."""

    count: int = 0
    series: int = 0
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """Of one threshold on one series."""

    threshold_id: int
    threshold: str
    device: str
    metric: str
    count: int
    newest: datetime


def late_sums(threshold_ids: Iterable[int]) -> dict[int, LateSum]:
    """By threshold; those that have none are left out."""
    rows = (
        LateBreaches.objects.filter(threshold_id__in=list(threshold_ids))
        .values_list("threshold_id")
        .annotate(Sum("count"), Count("id"), Max("newest"))
    )
    return {number: LateSum(count, series, as_timestamp(newest)) for number, count, series, newest in rows}


def late_of_threshold(threshold: Threshold, limit: int = 100) -> list[Late]:
    """On which devices, the newest first."""
    rows = list(LateBreaches.objects.filter(threshold_id=threshold.pk).order_by("-newest", "-id")[:limit])
    names = Series.objects.filter(pk__in=[row.series_id for row in rows]).values_list("id", "device__name", "metric")
    known = {number: (device, metric) for number, device, metric in names}
    return [
        Late(threshold.pk, threshold.name, *known[row.series_id], row.count, as_timestamp(row.newest))
        for row in rows
        if row.series_id in known
    ]


def late_of_device(device_id: int, limit: int = 100) -> list[Late]:
    """By which thresholds, the newest first."""
    series = Series.objects.filter(device_id=device_id).values_list("id", "device__name", "metric")
    known = {number: (device, metric) for number, device, metric in series}
    rows = list(LateBreaches.objects.filter(series_id__in=list(known)).order_by("-newest", "-id")[:limit])
    named = Threshold.objects.filter(pk__in={row.threshold_id for row in rows}).values_list("id", "name")
    names: dict[int, str] = dict(named)
    return [
        Late(row.threshold_id, names[row.threshold_id], *known[row.series_id], row.count, as_timestamp(row.newest))
        for row in rows
        if row.threshold_id in names
    ]

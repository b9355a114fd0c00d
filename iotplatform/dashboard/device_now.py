"""How a device is at this moment: its state, and each metric with its newest value, its last hour and its limits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from iotplatform.dashboard.limits import Level, distance, levels_of
from iotplatform.dashboard.sparkline import Limit
from telemetry.device_state import state_of
from telemetry.models import MetricDefinition, Series
from telemetry.query.latest import latest
from telemetry.query.recent import recent_means

__all__ = ["now_of"]

_HOUR = timedelta(hours=1)
_POINTS = 60
_MOST_TILES = 24


def now_of(device: Any) -> dict[str, Any]:
    """For a device with `expected_interval`, type, group and last_seen at hand."""
    now = timezone.now()
    seen = getattr(device, "last_seen", None)
    metrics = _metrics(device)
    return {
        "now": now,
        "state": str(state_of(device.enabled, seen and seen.at, device.expected_interval, now)),
        "seen": seen and seen.at,
        "next_expected": _next_expected(device, seen and seen.at),
        "metrics": metrics,
        "tiles": _tiles(device, metrics[:_MOST_TILES], now),
        "more_tiles": max(0, len(metrics) - _MOST_TILES),
    }


def _next_expected(device: Any, seen: datetime | None) -> datetime | None:
    if seen is None or device.expected_interval is None or not device.enabled:
        return None
    return seen + timedelta(seconds=min(device.expected_interval, 1e9))


def _metrics(device: Any) -> list[dict[str, Any]]:
    """Those that the device has sent; numbers before switches, by name."""
    known = {}
    if device.type_id is not None:
        known = {each.name: each for each in MetricDefinition.objects.filter(device_type=device.type_id)}
    rows = Series.objects.filter(device=device).values_list("id", "metric", "boolean")
    found = [
        {
            "id": number,
            "name": metric,
            "boolean": boolean,
            "unit": known[metric].unit if metric in known else "",
            "interval": known[metric].expected_interval if metric in known else None,
        }
        for number, metric, boolean in rows
    ]
    return sorted(found, key=lambda metric: (metric["boolean"], metric["name"]))


def _tiles(device: Any, metrics: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    newest = {each.metric: each for each in latest(device.pk)} if metrics else {}
    means = recent_means([metric["id"] for metric in metrics], now - _HOUR, now, _POINTS)
    levels = levels_of(device)
    return [
        _tile(metric, newest[metric["name"]], means.get(metric["id"], []), levels.get(metric["name"], []))
        for metric in metrics
        if metric["name"] in newest
    ]


def _tile(metric: dict[str, Any], newest: Any, means: list[float | None], levels: list[Level]) -> dict[str, Any]:
    words, severity = distance(float(newest.value), levels, metric["unit"])
    return metric | {
        "value": newest.value,
        "time": newest.time,
        "points": list(enumerate(means)),
        "limits": [Limit(level.trigger, level.severity) for level in levels if level.high is None],
        "distance": words,
        "severity": severity,
    }

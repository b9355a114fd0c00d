"""Which series a question is about."""

from __future__ import annotations

from dataclasses import dataclass

from telemetry.models import Series

__all__ = ["SeriesName", "series_of"]


@dataclass(frozen=True, slots=True)
class SeriesName:
    """A series as readers know it. `boolean`: its values are true and false."""

    id: int
    device: str
    metric: str
    boolean: bool


def series_of(device_id: int, metric: str | None = None) -> list[SeriesName]:
    """The series of a device, or that of one of its metrics; empty where it never sent any."""
    found = Series.objects.filter(device_id=device_id)
    if metric is not None:
        found = found.filter(metric=metric)
    rows = found.order_by("metric").values_list("id", "device__name", "metric", "boolean")
    return [SeriesName(*row) for row in rows]

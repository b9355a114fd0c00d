"""Units of metrics, by the device type that names them."""

from __future__ import annotations

from collections.abc import Collection

from telemetry.models import MetricDefinition

__all__ = ["units_of"]


def units_of(type_ids: Collection[int | None]) -> dict[tuple[int | None, str], str]:
    """By (device type, metric); metrics without one are left out."""
    known = MetricDefinition.objects.filter(device_type__in=[each for each in type_ids if each is not None])
    rows = known.exclude(unit="").values_list("device_type_id", "name", "unit")
    return {(type_id, name): unit for type_id, name, unit in rows}

"""The units of the metrics that thresholds are about, asked for many at once."""

from __future__ import annotations

from collections.abc import Iterable

from telemetry.models import DeviceType, MetricDefinition
from thresholds.models import Threshold

__all__ = ["MetricUnits"]


class MetricUnits:
    """Units by (device type, metric), of the metrics that the given thresholds name: one query."""

    def __init__(self, metrics: Iterable[str]) -> None:
        rows = MetricDefinition.objects.filter(name__in=set(metrics)).values_list("device_type_id", "name", "unit")
        self._units = {(type_id, name): unit for type_id, name, unit in rows}

    def of(self, threshold: Threshold) -> str:
        """The unit that a threshold's values are in; empty where none is known, or where device types differ in it."""
        if threshold.device is not None:
            return self._units.get((threshold.device.type_id, threshold.metric), "")
        if threshold.device_type_id is not None:
            return self._units.get((threshold.device_type_id, threshold.metric), "")
        return self.everywhere(threshold.metric)

    def of_type(self, device_type: DeviceType | None, metric: str) -> str:
        """The unit of a metric of one device type."""
        return "" if device_type is None else self._units.get((device_type.pk, metric), "")

    def everywhere(self, metric: str) -> str:
        """The unit of a metric where all device types that know it agree in it."""
        found = {unit for (_, name), unit in self._units.items() if name == metric}
        return found.pop() if len(found) == 1 else ""

"""The units of the metrics that thresholds are about, asked for many at once."""

from __future__ import annotations

from collections.abc import Iterable

from telemetry.models import MetricDefinition
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
            return self.of_type(threshold.device.type_id, threshold.metric)
        if threshold.device_type_id is not None:
            return self.of_type(threshold.device_type_id, threshold.metric)
        return self.everywhere(threshold.metric)

    def of_type(self, type_id: int | None, metric: str) -> str:
        """The unit of a metric of one device type; empty without a type."""
        return "" if type_id is None else self._units.get((type_id, metric), "")

    def everywhere(self, metric: str) -> str:
        """The unit of a metric where all device types that know it agree in it."""
        found = {unit for (_, name), unit in self._units.items() if name == metric}
        return found.pop() if len(found) == 1 else ""

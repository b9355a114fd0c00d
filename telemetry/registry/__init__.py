"""What intake must know of devices and keys, kept in each process and refreshed when the database says it changed."""

from telemetry.registry.entries import DeviceEntry, KeyEntry, MetricContract
from telemetry.registry.registry import Registry, Slots, registry

__all__ = ["DeviceEntry", "KeyEntry", "MetricContract", "Registry", "Slots", "registry"]

"""The admin of telemetry: one file per family of models."""

from telemetry.admin import device, device_type, group, key, quarantine, series

__all__ = ["device", "device_type", "group", "key", "quarantine", "series"]

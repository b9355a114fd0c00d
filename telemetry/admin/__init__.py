"""The admin of telemetry: one file per family of models."""

from telemetry.admin import audit, device, device_type, export, group, key, quarantine, series

__all__ = ["audit", "device", "device_type", "export", "group", "key", "quarantine", "series"]

from telemetry.models.audit import AuditEntry
from telemetry.models.device import Device, DeviceGroup, DeviceLastSeen, DeviceType, MetricDefinition
from telemetry.models.export import ExportRun, SavedQuery, ScheduledExport
from telemetry.models.key import DeviceKey
from telemetry.models.position import (
    FrontierCheckpoint,
    LogLayout,
    LogSegment,
    ReceiptOutcome,
    RegistryChange,
    ShardPosition,
)
from telemetry.models.quarantine import QuarantinedReading, QuarantineDropped
from telemetry.models.rollup import RollupMark, RollupState
from telemetry.models.series import PurgedSeries, Series
from telemetry.models.sight import DeviceSight

__all__ = [
    "AuditEntry",
    "Device",
    "DeviceGroup",
    "DeviceKey",
    "DeviceLastSeen",
    "DeviceSight",
    "DeviceType",
    "ExportRun",
    "FrontierCheckpoint",
    "LogLayout",
    "LogSegment",
    "MetricDefinition",
    "PurgedSeries",
    "QuarantineDropped",
    "QuarantinedReading",
    "ReceiptOutcome",
    "RegistryChange",
    "RollupMark",
    "RollupState",
    "SavedQuery",
    "ScheduledExport",
    "Series",
    "ShardPosition",
]

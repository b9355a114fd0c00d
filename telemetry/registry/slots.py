"""Series as rows of arrays, so that a request's names become series by one look-up each and the rest is vectorised."""

from __future__ import annotations

import numpy as np

from telemetry.registry.entries import DeviceEntry, MetricContract


class Slots:
    """Growing columns, one row ("slot") a series known to this process. Rows are only ever added, so that a reader
    without a lock never sees one change; ``Registry`` starts a new Slots when too many are stale."""

    def __init__(self, capacity: int = 1024) -> None:
        self.count = 0
        self.series = np.zeros(capacity, np.int32)
        self.shard = np.zeros(capacity, np.int32)
        self.device = np.zeros(capacity, np.int32)
        self.low = np.zeros(capacity, np.float64)
        self.high = np.zeros(capacity, np.float64)
        #: (device name, metric) → slot; only of devices that are enabled.
        self.by_name: dict[tuple[str, str], int] = {}
        self.devices: dict[int, DeviceEntry] = {}

    def add(self, series: int, shard: int, device: DeviceEntry, metric: str, contract: MetricContract) -> int:
        """Caller holds the registry's lock."""
        slot = self.count
        if slot == len(self.series):
            for name in ("series", "shard", "device", "low", "high"):
                setattr(self, name, np.concatenate([getattr(self, name), np.zeros_like(getattr(self, name))]))
        self.series[slot], self.shard[slot], self.device[slot] = series, shard, device.id
        self.low[slot], self.high[slot] = contract.low, contract.high
        self.count = slot + 1
        self.devices[device.id] = device
        self.by_name[device.name, metric] = slot
        return slot

    def forget_devices(self, ids: set[int]) -> None:
        """Caller holds the registry's lock. The rows stay, unnamed."""
        gone = {self.devices.pop(device_id).name for device_id in ids if device_id in self.devices}
        if gone:
            self.by_name = {pair: slot for pair, slot in self.by_name.items() if pair[0] not in gone}

"""Series as rows of arrays, so that a request's names become series by one look-up each and the rest is vectorised."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry.intake.batch import Coded
from telemetry.registry.entries import DeviceEntry, MetricContract

#: Metrics that have a column in the grid: those of the usual fleet. Others are found one by one.
_MOST_COLUMNS = 64
#: So many orders of so many devices are remembered: a gateway names all of its own again and again.
_MOST_ORDERS, _LONGEST_ORDER = 32, 2_000


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
        # The same again as a grid: the slot of each device (row) and metric (column), -1 where there is none. Its last
        # row and column stay empty, for names that have none: theirs is numbered -1.
        self._grid = np.full((capacity // 8 + 1, 9), -1, np.int32)
        self._rows: dict[str, int] = {}
        self._next_row = 0
        self._columns: dict[str, int] = {}
        #: The rows of devices in an order in which they were named, as they were after so many changes of what is known.
        self._orders: dict[tuple[int, tuple[str | None, ...]], NDArray[np.intp]] = {}
        self._changes = 0

    def find(self, devices: Sequence[str | None], metrics: Sequence[str]) -> NDArray[np.int64]:
        """The slot of each (device, metric), -1 where none is known. A reader needs no lock."""
        # First the names, then the grid: it is replaced by a larger one before a name says that there is one.
        rows, columns = self._rows_of(devices), _numbers(self._columns, metrics)
        slots = self._grid[rows, columns].astype(np.int64)
        if len(slots) and slots.min() < 0 and len(self._columns) == _MOST_COLUMNS:
            for run in np.flatnonzero(slots < 0).tolist():
                slots[run] = self.by_name.get((devices[run], metrics[run]), -1)  # type: ignore[arg-type]
        return slots

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
        self._enter(device.name, metric, slot)
        return slot

    def forget_devices(self, ids: set[int]) -> set[int]:
        """Caller holds the registry's lock. The rows stay, unnamed. Answers which of these devices were known."""
        known = {device_id for device_id in ids if self.devices.pop(device_id, None) is not None}
        if known:
            # By the rows, not by the name: one that was renamed while it was looked up may stand here under both.
            gone = set(np.flatnonzero(np.isin(self.device[: self.count], list(known))).tolist())
            names = {pair[0] for pair, slot in self.by_name.items() if slot in gone}
            self.by_name = {pair: slot for pair, slot in self.by_name.items() if pair[0] not in names}
            for name in names & self._rows.keys():
                self._grid[self._rows.pop(name)] = -1
            self._changes += 1
        return known

    def _rows_of(self, devices: Sequence[str | None]) -> NDArray[np.intp]:
        if not isinstance(devices, tuple) or len(devices) > _LONGEST_ORDER:
            return _numbers(self._rows, devices)
        order = self._changes, devices  # as it is before anything is looked up: a change meanwhile makes it useless
        rows = self._orders.get(order)
        if rows is None:
            rows = _numbers(self._rows, devices)
            if len(self._orders) >= _MOST_ORDERS:
                self._orders = {}
            self._orders[order] = rows
        return rows

    def _enter(self, device: str, metric: str, slot: int) -> None:
        column = self._columns.get(metric, len(self._columns))
        if column == _MOST_COLUMNS:
            return
        row = self._rows.get(device, self._next_row)
        height, width = self._grid.shape
        if row + 1 == height or column + 1 == width:
            larger = np.full((_grown(height, row), _grown(width, column)), -1, np.int32)
            larger[:height, :width] = self._grid
            self._grid = larger
        self._grid[row, column] = slot
        self._columns[metric], self._rows[device] = column, row
        self._next_row = max(self._next_row, row + 1)
        self._changes += 1


def _grown(size: int, last: int) -> int:
    """Room for one more than the last, and for the empty one."""
    return size if last + 1 < size else 2 * size - 1


def _numbers(numbers: dict[str, int], names: Sequence[str | None]) -> NDArray[np.intp]:
    """The number of each name, -1 where it has none (a device that was left out is simply not found)."""
    if isinstance(names, Coded):
        # The last one is for the code -1: no name.
        of_code = np.fromiter([*map(numbers.get, names.names, repeat(-1)), -1], np.intp, len(names.names) + 1)
        return np.asarray(of_code[names.codes], np.intp)
    found: Any = map(numbers.get, names, repeat(-1))  # type: ignore[arg-type]
    return np.fromiter(found, np.intp, len(names))

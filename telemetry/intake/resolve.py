"""From names to series: one look-up a name; what is not known yet is registered, or refused with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.intake.batch import Columns, Rejection
from telemetry.intake.decode.json_careful import PAYLOAD_CHARACTERS
from telemetry.intake.times import iso
from telemetry.registry import DeviceEntry, KeyEntry, Registry, Slots
from telemetry.registry.registry import RegistryStale

_LOOKS = 5


@dataclass(slots=True)
class Resolved:
    """Slots of a request's runs in one table of slots; -1 where the run was refused."""

    table: Slots
    slots: NDArray[np.int64]
    rejections: list[Rejection]


def resolve(columns: Columns, registry: Registry, key: KeyEntry | None, most_series: int) -> Resolved:
    """Find the series of each run. ``key`` None may write everything (imports, replays).

    Raises RegistryStale where the registry is being changed faster than it can be read.
    """
    names = list(zip(columns.devices, columns.metrics, strict=True))
    refused: dict[int, Rejection] = {}
    for _ in range(_LOOKS):
        table = registry.slots
        # Names that are not texts (a device left out) are simply not found.
        found = list(map(table.by_name.get, names))  # type: ignore[arg-type]
        missing = [run for run, slot in enumerate(found) if slot is None and run not in refused]
        if not missing:
            break
        refused |= _register(columns, missing, registry, key, most_series)
    else:
        raise RegistryStale
    slots = np.array([-1 if slot is None else slot for slot in found] if refused else found, np.int64)
    if key is not None and not key.all_devices:
        _forbid_others(columns, table, slots, key, refused)
    return Resolved(table, slots, [refused[run] for run in sorted(refused)])


def _forbid_others(
    columns: Columns, table: Slots, slots: NDArray[np.int64], key: KeyEntry, refused: dict[int, Rejection]
) -> None:
    """Refuse runs of devices that the key may not write for."""
    devices = table.device[slots]
    for device_id in np.unique(devices[slots >= 0]).tolist():
        device = table.devices.get(device_id)
        if device is None or not key.may_write(device):
            for run in np.flatnonzero((devices == device_id) & (slots >= 0)).tolist():
                refused[run] = _forbidden(columns, run)
                slots[run] = -1


def _register(
    columns: Columns, missing: list[int], registry: Registry, key: KeyEntry | None, most_series: int
) -> dict[int, Rejection]:
    """Register the series of these runs; answers the refusals by run. The others are found at the next look."""
    refused: dict[int, Rejection] = {}
    by_device: dict[str, list[int]] = {}
    for run in missing:
        name, metric = columns.devices[run], columns.metrics[run]
        if name is None:
            detail = "the reading names no device, and the key is not one device's own"
            refused[run] = run_rejection(columns, run, "device", "malformed", detail)
        elif not _is_name(metric, 100):
            detail = "a metric's name has 1 to 100 characters, none of them a control character, and no space at either end"
            refused[run] = run_rejection(columns, run, "metrics", "malformed", detail)
        else:
            by_device.setdefault(name, []).append(run)
    devices = registry.devices(name for name in by_device if _is_name(name, 200))
    for name, runs in by_device.items():
        device = devices.get(name)
        reason = _device_fault(name, device, key)
        if reason is not None:
            refused |= {run: reason(columns, run) for run in runs}
        elif device is not None:
            refused |= _register_metrics(columns, runs, device, registry, most_series)
    return refused


def _device_fault(
    name: str, device: DeviceEntry | None, key: KeyEntry | None
) -> Callable[[Columns, int], Rejection] | None:
    """Why nothing of this device can be accepted, as a maker of rejections."""
    # A key for one device learns nothing about whether others exist.
    if key is not None and key.device_id is not None and key.device_name != name:
        return _forbidden
    if device is None:
        return _unknown
    if key is not None and not key.may_write(device):
        return _forbidden
    return None if device.enabled else _disabled


def _register_metrics(
    columns: Columns, runs: list[int], device: DeviceEntry, registry: Registry, most_series: int
) -> dict[int, Rejection]:
    refused: dict[int, Rejection] = {}
    wanted: dict[str, bool] = {}
    for run in runs:
        metric = columns.metrics[run]
        if device.strict and metric not in device.contracts:
            detail = f"the device's type does not name {metric}; it names {', '.join(sorted(device.contracts)) or 'none'}"
            refused[run] = run_rejection(columns, run, f"metrics.{metric}", "unknown_metric", detail)
        else:
            wanted.setdefault(metric, _is_boolean(columns, run))
    exceeding = registry.add_series(device, wanted, most_series)
    for run in runs:
        metric = columns.metrics[run]
        if metric in exceeding and run not in refused:
            detail = f"the device has {most_series} metrics already, as many as one may have"
            refused[run] = run_rejection(columns, run, f"metrics.{metric}", "too_many_metrics", detail)
    return refused


def _unknown(columns: Columns, run: int) -> Rejection:
    detail = f"there is no device {columns.devices[run]!r}; register it first"
    return run_rejection(columns, run, "device", "unknown_device", detail)


def _forbidden(columns: Columns, run: int) -> Rejection:
    detail = f"the key may not write for device {columns.devices[run]!r}"
    return run_rejection(columns, run, "device", "forbidden_device", detail)


def _disabled(columns: Columns, run: int) -> Rejection:
    detail = f"device {columns.devices[run]!r} is disabled"
    return run_rejection(columns, run, "device", "device_disabled", detail)


def run_rejection(columns: Columns, run: int, field: str, code: str, detail: str) -> Rejection:
    """A Rejection of a whole run, with the run as a reading of its own as the payload."""
    first, count = _span(columns, run)
    values = [
        bool(value) if columns.boolean is not None and columns.boolean[row] else float(value)
        for row, value in enumerate(columns.values[first : first + count], first)
    ]
    times = [iso(int(time)) for time in columns.times[first : first + count]]
    metric = columns.metrics[run]
    reading: dict[str, object] = {"device": columns.devices[run]}
    reading |= (
        {"time": times[0], "metrics": {metric: values[0]}} if count == 1 else {"times": times, "metrics": {metric: values}}
    )
    index = int(columns.index[first]) if count else None
    name = (columns.devices[run] or "")[:200]
    payload = json.dumps(reading, ensure_ascii=False)[:PAYLOAD_CHARACTERS]
    return Rejection(index, field[:200], code, detail[:500], name, payload, count)


def _span(columns: Columns, run: int) -> tuple[int, int]:
    """(first row, number of rows) of a run."""
    if columns.runs is None:
        return run, 1
    return int(columns.runs[:run].sum()), int(columns.runs[run])


def _is_boolean(columns: Columns, run: int) -> bool:
    first, count = _span(columns, run)
    return columns.boolean is not None and count > 0 and bool(columns.boolean[first])


def _is_name(name: str, longest: int) -> bool:
    return 0 < len(name) <= longest and name.isprintable() and name == name.strip()

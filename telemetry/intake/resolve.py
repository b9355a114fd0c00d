"""From names to series: one look-up a name; what is not known yet is registered, or refused with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.intake.batch import Columns, Rejection
from telemetry.intake.refuse import refuse_run, short
from telemetry.registry import DeviceEntry, KeyEntry, Registry, Slots
from telemetry.registry.registry import RegistryStale

_LOOKS = 5
#: What a name may not have anywhere: control characters, and halves of surrogate pairs, which no UTF-8 can say.
_UNNAMABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]").search


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
    refused: dict[int, Rejection] = {}
    for _ in range(_LOOKS):
        table = registry.slots
        slots = table.find(columns.devices, columns.metrics)
        missing = np.flatnonzero(slots < 0).tolist()
        if missing and (missing := [run for run in missing if run not in refused]):
            refused |= _register(columns, missing, registry, key, most_series)
            continue
        slots[list(refused)] = -1  # also where it became known since
        if key is None or key.all_devices or _forbid_others(columns, table, slots, key, refused):
            return Resolved(table, slots, [refused[run] for run in sorted(refused)])
    raise RegistryStale


def _forbid_others(
    columns: Columns, table: Slots, slots: NDArray[np.int64], key: KeyEntry, refused: dict[int, Rejection]
) -> bool:
    """Refuse runs of devices that the key may not write for; False where one of them was just changed: look again."""
    if key.device_id is not None and len(slots) and not refused and (table.device[slots] == key.device_id).all():
        return key.device_id in table.devices
    known = np.flatnonzero(slots >= 0)
    ids, device_of = np.unique(table.device[slots[known]], return_inverse=True)
    devices = [table.devices.get(device_id) for device_id in ids.tolist()]
    if None in devices:
        return False
    allowed = np.array([device is not None and key.may_write(device) for device in devices], np.bool_)
    forbidden = known[~allowed[device_of]]
    for run in forbidden.tolist():
        refused[run] = _forbidden(columns, run)
    slots[forbidden] = -1
    return True


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
            refused[run] = refuse_run(columns, run, "device", "malformed", detail)
        elif not _is_name(metric, 100):
            detail = (
                "a metric's name has 1 to 100 characters, none of them a control character, and no space at either end"
            )
            refused[run] = refuse_run(columns, run, "metrics", "malformed", detail)
        else:
            by_device.setdefault(name, []).append(run)
    loads = registry.loads
    found = registry.devices(name for name in by_device if _is_name(name, 200))
    usable: dict[int, DeviceEntry] = {}
    for name, runs in by_device.items():
        device = found.get(name)
        reason = _device_fault(name, device, key)
        if reason is not None:
            refused |= {run: reason(columns, run) for run in runs}
        elif device is not None:
            usable[device.id] = device
    runs_of = {device.id: by_device[device.name] for device in usable.values()}
    return refused | _register_metrics(columns, runs_of, usable, registry, most_series, loads)


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
    columns: Columns,
    runs_of: dict[int, list[int]],
    devices: dict[int, DeviceEntry],
    registry: Registry,
    most_series: int,
    loads: int,
) -> dict[int, Rejection]:
    """Register the metrics of usable devices, all of them at once; answers the refusals by run."""
    refused: dict[int, Rejection] = {}
    wanted: dict[int, dict[str, bool]] = {}
    for device_id, runs in runs_of.items():
        device = devices[device_id]
        named = ", ".join(sorted(device.contracts)) or "none"
        for run in runs:
            metric = columns.metrics[run]
            if device.strict and metric not in device.contracts:
                detail = f"the device's type does not name {metric}; it names {named}"
                refused[run] = refuse_run(columns, run, f"metrics.{metric}", "unknown_metric", detail)
            else:
                wanted.setdefault(device_id, {}).setdefault(metric, _is_boolean(columns, run))
    exceeding = registry.add_series(wanted, devices, most_series, loads) if wanted else set()
    for device_id in {device_id for device_id, _ in exceeding}:
        for run in runs_of[device_id]:
            metric = columns.metrics[run]
            if (device_id, metric) in exceeding:
                detail = f"the device has {most_series} metrics already, as many as one may have"
                refused[run] = refuse_run(columns, run, f"metrics.{metric}", "too_many_metrics", detail)
    return refused


def _unknown(columns: Columns, run: int) -> Rejection:
    detail = f"there is no device {short(columns.devices[run] or '')!r}; register it first"
    return refuse_run(columns, run, "device", "unknown_device", detail)


def _forbidden(columns: Columns, run: int) -> Rejection:
    detail = f"the key may not write for device {short(columns.devices[run] or '')!r}"
    return refuse_run(columns, run, "device", "forbidden_device", detail)


def _disabled(columns: Columns, run: int) -> Rejection:
    detail = f"device {columns.devices[run]!r} is disabled"
    return refuse_run(columns, run, "device", "device_disabled", detail)


def _is_boolean(columns: Columns, run: int) -> bool:
    first, count = columns.span(run)
    return columns.boolean is not None and count > 0 and bool(columns.boolean[first])


def _is_name(name: str, longest: int) -> bool:
    return 0 < len(name) <= longest and name == name.strip() and _UNNAMABLE(name) is None

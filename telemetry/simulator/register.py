"""Registers the fleet with the platform: its device types, groups, devices, and the one key that they share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from threading import Lock

from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from telemetry.models import Device, DeviceGroup, DeviceKey, DeviceType, MetricDefinition
from telemetry.models.key import digest_of
from telemetry.simulator.fleet import SimulatedDevice
from telemetry.simulator.kinds import KINDS, Kind
from telemetry.simulator.windows import SECOND

__all__ = ["FleetKeyring", "register"]

_ROOT = "simulated"
_HALLS = ("hall-1", "hall-2", "yard")
_PLACES = {
    "hall-1": ("Hall 1", 52.5200, 13.4050),
    "hall-2": ("Hall 2", 52.5203, 13.4061),
    "yard": ("Yard", 52.5196, 13.4055),
}
_KEY_DAYS = 90
_RENEW_EVERY = timedelta(seconds=10)


def register(devices: Sequence[SimulatedDevice]) -> DeviceGroup:
    """Make what is missing; what an operator has changed stays. Returns the group that holds the whole fleet."""
    root = _group(_ROOT, None)
    halls = [_group(hall, root) for hall in _HALLS]
    types = {name: _device_type(kind) for name, kind in KINDS.items()}
    for name, device_type in types.items():
        _note_rhythm(device_type, [device for device in devices if device.kind.name == name])
    known = set(Device.objects.filter(name__startswith="sim-").values_list("name", flat=True))
    fresh = [
        _device(device, types[device.kind.name], halls[device.index % len(halls)])
        for device in devices
        if device.name not in known
    ]
    Device.objects.bulk_create(fresh, batch_size=1000, ignore_conflicts=True)
    return root


class FleetKeyring:
    """The fleet's key, kept in a file that only its owner can read, and issued anew where it does not work."""

    def __init__(self, devices: Sequence[SimulatedDevice], path: Path, say: Callable[[str], None]) -> None:
        self._devices, self._path, self._say = devices, path, say
        self._lock = Lock()
        self._group = register(devices)
        self._renewed_at = timezone.now() - _RENEW_EVERY
        self.key = self._kept() or self._issue()

    def renew(self, failed: str) -> None:
        """Register again and replace the key if it is no longer valid; at most every 10 s."""
        with self._lock:
            now = timezone.now()
            if self.key != failed or now - self._renewed_at < _RENEW_EVERY:
                return
            self._renewed_at = now
            close_old_connections()
            try:
                self._group = register(self._devices)
                if not self._is_valid(failed):
                    self.key = self._issue()
            except DatabaseError as error:
                self._say(f"cannot register the fleet now, will try again: {error}")
            finally:
                close_old_connections()

    def _kept(self) -> str | None:
        try:
            token = self._path.read_text().strip()
        except FileNotFoundError:
            return None
        return token if self._is_valid(token) else None

    def _is_valid(self, token: str) -> bool:
        key = DeviceKey.objects.filter(digest=digest_of(token), group=self._group).first()
        return key is not None and key.state(timezone.now()) == "valid"

    def _issue(self) -> str:
        expires = timezone.now() + timedelta(days=_KEY_DAYS)
        token = DeviceKey(name="simulated fleet", group=self._group, expires_at=expires).issue()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token)
        fresh.replace(self._path)
        return token


def _group(name: str, parent: DeviceGroup | None) -> DeviceGroup:
    path = f"{parent.path}/{name}" if parent else name
    return DeviceGroup.objects.filter(path=path).first() or DeviceGroup.objects.create(name=name, parent=parent)


def _device_type(kind: Kind) -> DeviceType:
    device_type, is_new = DeviceType.objects.get_or_create(
        name=f"sim-{kind.name}", defaults={"description": f"{kind.description} (simulated)"}
    )
    if is_new:
        MetricDefinition.objects.bulk_create(
            MetricDefinition(
                device_type=device_type,
                name=metric.name,
                unit=metric.unit,
                kind=metric.kind,
                low=metric.low,
                high=metric.high,
            )
            for metric in kind.metrics
        )
    return device_type


def _note_rhythm(device_type: DeviceType, devices: Sequence[SimulatedDevice]) -> None:
    """The expected interval follows from the size and rate of the fleet, so it is noted at every start."""
    if devices:
        seconds = max(0.001, round(devices[0].period_us * devices[0].kind.heartbeat / SECOND, 3))
        device_type.metrics.exclude(expected_interval=seconds).update(expected_interval=seconds)


def _device(device: SimulatedDevice, device_type: DeviceType, hall: DeviceGroup) -> Device:
    location, latitude, longitude = _PLACES[hall.name]
    return Device(
        name=device.name,
        type=device_type,
        group=hall,
        labels={"site": hall.name, "line": f"line-{device.index % 4 + 1}", "simulated": "yes"},
        location=location,
        latitude=latitude,
        longitude=longitude,
        description="Simulated",
    )

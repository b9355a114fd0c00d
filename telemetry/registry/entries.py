"""Plain records of what the registry knows. Immutable: a change in the database makes new ones."""

from __future__ import annotations

from dataclasses import dataclass

#: The widest range a value may have (contract: magnitude at most 1e100).
WIDEST = 1e100


@dataclass(frozen=True, slots=True)
class MetricContract:
    """Physical range of a metric, as its device type promises it."""

    low: float = -WIDEST
    high: float = WIDEST


ANY_VALUE = MetricContract()


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A registered device."""

    id: int
    name: str
    enabled: bool
    group_path: str
    strict: bool
    contracts: dict[str, MetricContract]


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A device key that was found valid. Exactly one of device_id, group_path and all_devices is set."""

    id: int
    prefix: str
    device_id: int | None
    device_name: str | None
    group_path: str | None
    all_devices: bool
    backfill: bool
    rate_limit: int | None
    #: Seconds since 1970, None = never.
    expires_at: float | None

    def may_write(self, device: DeviceEntry) -> bool:
        """Whether this key may send readings of that device."""
        if self.all_devices:
            return True
        if self.device_id is not None:
            return self.device_id == device.id
        return f"{device.group_path}/".startswith(f"{self.group_path}/")

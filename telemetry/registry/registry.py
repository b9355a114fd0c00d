"""The registry: keys by their hash, series by device and metric, refilled from the database on demand.

Anything found here may be up to REGISTRY_POLL_SECONDS old. ``watch`` keeps it so; where the database has not been heard
for longer than STALE_AFTER, ``require_fresh`` refuses, and intake answers 503 rather than honouring a revoked key.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from django.db import transaction
from django.db.models import F

from telemetry import measures
from telemetry.models import Device, DeviceKey, MetricDefinition, Series
from telemetry.models.key import digest_of
from telemetry.registry.entries import ANY_VALUE, WIDEST, DeviceEntry, KeyEntry, MetricContract
from telemetry.registry.slots import Slots

#: Seconds after which what is known counts as stale. A revocation takes effect within 5 s.
STALE_AFTER = 4.0
_MOST_STALE_SLOTS = 100_000


class RegistryStale(Exception):
    """The database could not be asked for changes lately."""


class Registry:
    """Thread-safe: readers take no lock, whoever loads or forgets does."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._keys: dict[bytes, KeyEntry] = {}
        self._used: dict[int, float] = {}
        self._loads = 0
        self.slots = Slots()
        self.shards = 1
        self.epoch = 0
        self.open = True
        #: When the database last answered, on the monotonic clock.
        self.heard_at = float("-inf")

    def require_fresh(self) -> None:
        """Raises RegistryStale."""
        if time.monotonic() - self.heard_at > STALE_AFTER:
            raise RegistryStale

    # --- keys ---------------------------------------------------------------------------------------------------

    def key(self, token: str, now: float) -> KeyEntry | None:
        """The valid key of a token as sent, or None. ``now`` in seconds since 1970."""
        digest = digest_of(token)
        entry = self._keys.get(digest) or self._load_key(digest)
        if entry is None or (entry.expires_at is not None and entry.expires_at <= now):
            return None
        self._used[entry.id] = now
        return entry

    def take_used(self) -> dict[int, float]:
        """When each key was last used, since the last call; seconds since 1970 by key id."""
        with self._lock:
            used, self._used = self._used, {}
        return used

    def _load_key(self, digest: bytes) -> KeyEntry | None:
        loads = self._loads
        row = DeviceKey.objects.filter(digest=digest, revoked_at=None).select_related("device", "group").first()
        if row is None:
            return None
        entry = KeyEntry(
            row.id,
            row.prefix,
            row.device_id,
            row.device.name if row.device else None,
            row.group.path if row.group else None,
            row.all_devices,
            row.backfill,
            row.rate_limit,
            row.expires_at.timestamp() if row.expires_at else None,
        )
        with self._lock:
            # What was read before something was forgotten may be old already: use it once, keep it not.
            if loads == self._loads:
                self._keys[digest] = entry
        return entry

    # --- devices and series -------------------------------------------------------------------------------------

    def devices(self, names: Iterable[str]) -> dict[str, DeviceEntry]:
        """The registered ones among these names."""
        rows = Device.objects.filter(name__in=set(names)).annotate(
            path=F("group__path"), is_strict=F("type__strict")
        )
        contracts = _contracts({row.type_id for row in rows if row.type_id})
        return {
            row.name: DeviceEntry(
                row.id, row.name, row.enabled, row.path or "", bool(row.is_strict), contracts.get(row.type_id or 0, {})
            )
            for row in rows
        }

    def add_series(self, device: DeviceEntry, metrics: dict[str, bool], most: int) -> set[str]:
        """Give metrics of an enabled device their slots, registering new series while it has fewer than ``most``.

        ``metrics`` says of each whether its first value is boolean. Answers those that would exceed ``most``. Where
        something was forgotten meanwhile nothing is kept, and the caller looks again.
        """
        loads = self._loads
        known = dict(Series.objects.filter(device_id=device.id).values_list("metric", "id"))
        if new := {metric: boolean for metric, boolean in metrics.items() if metric not in known}:
            known = self._create_series(device, new, most)
        with self._lock:
            if loads == self._loads:
                for metric in metrics.keys() & known.keys():
                    if (device.name, metric) not in self.slots.by_name:
                        contract = device.contracts.get(metric, ANY_VALUE)
                        self.slots.add(known[metric], device.id % self.shards, device, metric, contract)
        return metrics.keys() - known.keys()

    @staticmethod
    @transaction.atomic
    def _create_series(device: DeviceEntry, new: dict[str, bool], most: int) -> dict[str, int]:
        # The device's row is the lock that keeps two processes from exceeding the cap together.
        if not Device.objects.select_for_update().filter(pk=device.id).exists():
            return {}
        have = Series.objects.filter(device_id=device.id).count()
        room = [Series(device_id=device.id, metric=metric, boolean=boolean) for metric, boolean in new.items()]
        made = Series.objects.bulk_create(room[: max(0, most - have)], ignore_conflicts=True)
        measures.series_created.inc(len(made))
        return dict(Series.objects.filter(device_id=device.id).values_list("metric", "id"))

    # --- forgetting ---------------------------------------------------------------------------------------------

    def forget(self, devices: set[int], keys: set[int], everything: bool = False) -> None:
        """Forget these devices and keys (by id), or all; they are loaded anew when they are asked for."""
        with self._lock:
            self._loads += 1
            if everything or self.slots.count - len(self.slots.by_name) > _MOST_STALE_SLOTS:
                self.slots, self._keys = Slots(), {}
                return
            self.slots.forget_devices(devices)
            self._keys = {
                digest: key for digest, key in self._keys.items() if key.id not in keys and key.device_id not in devices
            }

    def use_layout(self, shards: int, epoch: int, is_open: bool) -> None:
        """The layout of the log as the database has it now; another number of shards moves every series."""
        if shards != self.shards:
            self.shards = shards
            self.forget(set(), set(), everything=True)
        self.epoch, self.open = epoch, is_open


def _contracts(type_ids: set[int]) -> dict[int, dict[str, MetricContract]]:
    found: dict[int, dict[str, MetricContract]] = {type_id: {} for type_id in type_ids}
    if type_ids:
        for metric in MetricDefinition.objects.filter(device_type__in=type_ids):
            low = -WIDEST if metric.low is None else max(metric.low, -WIDEST)
            high = WIDEST if metric.high is None else min(metric.high, WIDEST)
            found[metric.device_type_id][metric.name] = MetricContract(low, high)
    return found


#: The one of this process.
registry = Registry()

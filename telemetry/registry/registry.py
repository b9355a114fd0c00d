"""The registry: keys by their hash, series by device and metric, refilled from the database on demand.

Anything found here may be up to REGISTRY_POLL_SECONDS old. ``watch`` keeps it so; where the database has not been heard
for longer than STALE_AFTER, ``require_fresh`` refuses, and intake answers 503 rather than honouring a revoked key.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import F

from telemetry import measures
from telemetry.models import Device, DeviceKey, MetricDefinition
from telemetry.models.key import digest_of
from telemetry.registry.anew import Known, contracts_of
from telemetry.registry.entries import ANY_VALUE, DeviceEntry, KeyEntry, MetricContract
from telemetry.registry.slots import Slots
from telemetry.registry.young_series import YoungSeries

#: Seconds after which what is known counts as stale. A revocation takes effect within 5 s.
STALE_AFTER = 4.0
_MOST_STALE_SLOTS = 100_000


class RegistryStale(Exception):
    """The database could not be asked for changes lately."""


class Forgotten(NamedTuple):
    """Ids of devices and keys that were known, and are no more."""

    devices: set[int]
    keys: set[int]


class Registry:
    """Thread-safe: readers take no lock, whoever loads or forgets does."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._keys: dict[bytes, KeyEntry] = {}
        self._used: dict[int, float] = {}
        #: Grows whenever something is forgotten.
        self.loads = 0
        self.slots = Slots()
        self.shards = 1
        self.epoch = 0
        self.open = True
        #: What the log server remembers of new series; None in a process that appends nothing.
        self.young: YoungSeries | None = None
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
        loads = self.loads
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
            if loads == self.loads:
                self._keys[digest] = entry
        return entry

    # --- devices and series -------------------------------------------------------------------------------------

    def devices(self, names: Iterable[str]) -> dict[str, DeviceEntry]:
        """The registered ones among these names."""
        rows = Device.objects.filter(name__in=set(names)).annotate(path=F("group__path"), is_strict=F("type__strict"))
        contracts = _contracts({row.type_id for row in rows if row.type_id})
        return {
            row.name: DeviceEntry(
                row.id, row.name, row.enabled, row.path or "", bool(row.is_strict), contracts.get(row.type_id or 0, {})
            )
            for row in rows
        }

    def add_series(
        self, wanted: dict[int, dict[str, bool]], devices: dict[int, DeviceEntry], most: int, loads: int
    ) -> set[tuple[int, str]]:
        """Give metrics of enabled devices their slots, registering new series while a device has fewer than ``most``.

        ``wanted`` says of each metric, by device id, whether its first value is boolean. Answers the pairs that would
        exceed ``most``. Where something was forgotten since ``loads`` (as it was before the devices were
        read) nothing is kept, for they may be others by now, and the caller looks again.
        """
        pairs = [(device, metric) for device, metrics in wanted.items() for metric in metrics]
        known = _known_series(pairs)
        new: list[tuple[int, str, bool]] = []
        asked = Counter[int]()
        for device, metric in pairs:
            if (device, metric) not in known:
                asked[device] += 1
                if asked[device] <= most:  # more can in no case be registered
                    new.append((device, metric, wanted[device][metric]))
        if new:
            _create_series(new, most, self.young)
            known |= _known_series([(device, metric) for device, metric, _ in new])
        with self._lock:
            if loads == self.loads:
                for (device_id, metric), series in known.items():
                    self._keep(devices[device_id], metric, series)
        return set(pairs) - known.keys()

    def _keep(self, device: DeviceEntry, metric: str, series: int) -> None:
        """Caller holds the lock."""
        if (device.name, metric) not in self.slots.by_name:
            self.slots.add(series, device.id % self.shards, device, metric, device.contracts.get(metric, ANY_VALUE))

    # --- forgetting ---------------------------------------------------------------------------------------------

    def forget(self, devices: set[int], keys: set[int], everything: bool = False) -> Forgotten:
        """Forget these devices and keys (by id), or all; they are loaded anew when they are asked for. Answers what of it
        was known."""
        with self._lock:
            self.loads += 1
            if everything or self.slots.count - len(self.slots.by_name) > _MOST_STALE_SLOTS:
                gone = Forgotten(set(self.slots.devices), {key.id for key in self._keys.values()})
                self.slots, self._keys = Slots(), {}
                return gone
            kept = {
                digest: key for digest, key in self._keys.items() if key.id not in keys and key.device_id not in devices
            }
            lost = {key.id for key in self._keys.values()} - {key.id for key in kept.values()}
            self._keys = kept
            return Forgotten(self.slots.forget_devices(devices), lost)

    def learn(self, devices: Iterable[Known], keys: dict[bytes, KeyEntry], loads: int) -> None:
        """Take up what was read of the database at once; nothing of it where something was forgotten since ``loads`` (as it
        was before reading)."""
        with self._lock:
            if loads == self.loads:
                for device, series in devices:
                    for metric, number in series.items():
                        self._keep(device, metric, number)
                self._keys |= keys

    def use_layout(self, shards: int, epoch: int, is_open: bool) -> Forgotten:
        """The layout of the log as the database has it now; another number of shards moves every series. Answers what was
        forgotten."""
        gone = Forgotten(set(), set())
        if shards != self.shards:
            self.shards = shards
            gone = self.forget(set(), set(), everything=True)
        self.epoch, self.open = epoch, is_open
        return gone


def _known_series(pairs: list[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Series ids of those of these (device id, metric) that are registered."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.device_id, s.metric, s.id FROM unnest(%s::bigint[], %s::text[]) AS u(device, metric) "
            "JOIN telemetry_series s ON s.device_id = u.device AND s.metric = u.metric",
            [[device for device, _ in pairs], [metric for _, metric in pairs]],
        )
        return {(device, metric): series for device, metric, series in cursor.fetchall()}


@transaction.atomic
def _create_series(new: list[tuple[int, str, bool]], most: int, young: YoungSeries | None) -> None:
    """Register these (device id, metric, boolean), as far as the cap of each device allows."""
    ids = sorted({device for device, _, _ in new})
    with connection.cursor() as cursor:
        # The devices' rows are the locks that keep two processes from exceeding a cap together; in one order, so that
        # they cannot wait for each other. A device that is gone by now gets no series.
        cursor.execute("SELECT id, name FROM telemetry_device WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [ids])
        there = dict(cursor.fetchall())
        if young is not None:
            young.begin(cursor, [(device, metric) for device, metric, _ in new])
        cursor.execute("SELECT device_id, count(*) FROM telemetry_series WHERE device_id = ANY(%s) GROUP BY 1", [ids])
        have = Counter(dict(cursor.fetchall()))
        rows = []
        for device, metric, boolean in new:
            if device in there and have[device] < most:
                have[device] += 1
                rows.append((device, metric, boolean))
        cursor.execute(
            "INSERT INTO telemetry_series (device_id, metric, boolean, created_at) "
            "SELECT d, m, b, now() FROM unnest(%s::bigint[], %s::text[], %s::boolean[]) AS u(d, m, b) ON CONFLICT DO NOTHING "
            "RETURNING id, device_id, metric, boolean",
            [[row[place] for row in rows] for place in range(3)],
        )
        made = [
            (series, device, there[device], metric, boolean) for series, device, metric, boolean in cursor.fetchall()
        ]
        if young is not None:
            young.remember(made)
        measures.series_created.inc(len(made))


def _contracts(type_ids: set[int]) -> dict[int, dict[str, MetricContract]]:
    if not type_ids:
        return {}
    metrics = MetricDefinition.objects.filter(device_type__in=type_ids)
    return contracts_of(metrics.values_list("device_type_id", "name", "low", "high"))


#: The one of this process.
registry = Registry()

"""accept(): what every gateway calls with a decoded request. Afterwards each value is in the log, or refused with a reason
that is in the log as well (the drain writes it to the quarantine)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from numpy.typing import NDArray

from telemetry import measures
from telemetry.intake.batch import Batch, Coded, Columns, Int64, Rejection
from telemetry.intake.process import Process, process
from telemetry.intake.resolve import Resolved, resolve
from telemetry.intake.validate import (
    Window,
    explain_time,
    explain_value,
    fill_times,
    outside_range,
    outside_window,
)
from telemetry.log.entries import Append, Appended, LogError, TooManyIdempotencyKeys
from telemetry.log.payload import Payload
from telemetry.log.wake import wake
from telemetry.receipts import Receipt, ReceiptEntry
from telemetry.registry import KeyEntry
from telemetry.registry.registry import RegistryStale
from telemetry.timeseries.engine import EARLIEST, MICROSECONDS_PER_DAY

__all__ = ["Accepted", "Overdrawn", "Prepared", "Sender", "Unavailable", "accept", "finish", "prepare", "unavailable"]

_NOTHING = Appended("", [])
_NOT_TAKEN = (LogError, RegistryStale, DatabaseError, InterfaceError)


class Unavailable(Exception):
    """Nothing was taken: the log or the database is down, or the log is full. To be sent again later."""

    retry_after = 2


class Overdrawn(Unavailable):
    """Nothing was taken: more is asked to be remembered than the bound allows."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, and how. ``key`` None is the platform itself (imports, replays): it may write for every device."""

    key: KeyEntry | None = None
    #: Readings of any age, back to the raw retention.
    backfill: bool = False
    judge: bool = True
    request_id: str = ""
    idempotency_key: str = ""
    #: Whether what is refused goes to quarantine; not again where it comes from there.
    quarantine: bool = True
    #: The trace context of the request, empty where it is not traced.
    trace: bytes = b""


@dataclass(slots=True)
class Accepted:
    """What became of a request. ``receipt`` is None where nothing of it was accepted."""

    accepted: int
    rejected: int
    receipt: Receipt | None
    errors: list[Rejection] = field(default_factory=list)


def accept(columns: Columns, sender: Sender, now: int) -> Accepted:
    """Take what can be taken of a decoded request. ``now`` is the time of receipt, µs since 1970.

    When this returns, what was accepted is on the log's disk. Raises Unavailable.
    """
    here = process()
    prepared = prepare(columns, sender, now)
    try:
        appended = here.append(prepared.append) if prepared.append is not None else _NOTHING
    except _NOT_TAKEN as error:
        raise unavailable(error) from error
    return finish(prepared, appended)


@dataclass(slots=True)
class Prepared:
    """A request that is ready to be appended. ``append`` is None where there is nothing to append."""

    append: Append | None
    key_id: int
    received_at: int
    #: Of each entry: its shard and how many readings it has.
    counts: list[tuple[int, int]]
    rejected: int
    rejections: list[Rejection]


def prepare(columns: Columns, sender: Sender, now: int) -> Prepared:
    """Find out what of a request can be taken. Asks the database only for what this process does not know yet: on an
    event loop's thread Django then raises SynchronousOnlyOperation, and it is to be done again elsewhere.

    Raises Unavailable.
    """
    here = process()
    try:
        here.require_ready()
        _fill_devices(columns, sender.key)
        fill_times(columns, now)
        resolved = resolve(columns, here.registry, sender.key, settings.PLATFORM.max_series_per_device)
        batch, shards, rejections = _check(columns, resolved, _window(sender, now))
        return _payloads(here, batch, shards, [*columns.rejections, *rejections], sender, now)
    except _NOT_TAKEN as error:
        raise unavailable(error) from error


def finish(prepared: Prepared, appended: Appended) -> Accepted:
    """The answer to a request that was appended; asks for the drains that it needs."""
    for shard in appended.wake:
        wake(shard)
    if appended.repeated is None:
        receipt = _receipt(
            prepared.key_id, appended, prepared.received_at, prepared.rejected, prepared.counts if appended.ids else []
        )
        _measure(receipt, prepared.rejections)
    else:
        receipt = _receipt(prepared.key_id, appended, *_noted(appended.repeated))
        measures.receipts_replayed.inc()
    return Accepted(receipt.accepted, receipt.rejected, receipt if receipt.accepted else None, prepared.rejections)


def unavailable(error: Exception) -> Unavailable:
    """What a sender is told where the log or the database could not do it."""
    made = Overdrawn if isinstance(error, TooManyIdempotencyKeys) else Unavailable
    return made(str(error) or "the database does not answer")


def _fill_devices(columns: Columns, key: KeyEntry | None) -> None:
    """Readings without a device are the key's own device's."""
    if key is None or key.device_name is None:
        return
    if isinstance(columns.devices, Coded):
        columns.devices = columns.devices.filled(key.device_name)
    elif None in columns.devices:
        columns.devices = [key.device_name if name is None else name for name in columns.devices]


def _window(sender: Sender, now: int) -> Window:
    """Event times that this sender may send now."""
    platform = settings.PLATFORM
    oldest = EARLIEST
    if platform.raw_retention_days:
        oldest = now - platform.raw_retention_days * MICROSECONDS_PER_DAY
    if not sender.backfill:
        oldest = max(oldest, now - platform.max_age_days * MICROSECONDS_PER_DAY)
    return Window(oldest, now + platform.max_future_seconds * 1_000_000)


def _check(columns: Columns, resolved: Resolved, window: Window) -> tuple[Batch, NDArray[np.int32], list[Rejection]]:
    """The rows that can be accepted, with the shard of each, and why the others cannot."""
    table, rejections = resolved.table, resolved.rejections
    slots = columns.spread(resolved.slots)
    keep = slots >= 0 if rejections else None  # usually every name is known
    known = np.maximum(slots, 0)
    faulty = outside_window(columns.times, window)
    if faulty is not None:
        faulty &= slots >= 0
        rejections += [explain_time(columns, row, window) for row in np.flatnonzero(faulty).tolist()]
        keep = ~faulty if keep is None else keep & ~faulty
    if len(slots):
        low, high = table.low[known], table.high[known]
        faulty = outside_range(columns.values, low, high)
        if faulty is not None:
            faulty &= keep if keep is not None else True
            names = columns.spread(np.arange(len(columns.metrics)))
            rejections += [
                explain_value(columns, row, columns.metrics[names[row]], low[row], high[row])
                for row in np.flatnonzero(faulty).tolist()
            ]
            keep = ~faulty if keep is None else keep & ~faulty
    batch = Batch(table.series[known], columns.times, columns.values)
    shards = table.shard[known]
    return (batch, shards, rejections) if keep is None else (batch.at(keep), shards[keep], rejections)


def _payloads(
    here: Process, batch: Batch, shards: NDArray[np.int32], rejections: list[Rejection], sender: Sender, now: int
) -> Prepared:
    """One entry a shard for the log, to be written all or none; refusals ride with the first."""
    key_id = sender.key.id if sender.key else 0
    kept = here.gate.admit(rejections, key_id) if rejections and sender.quarantine else []
    entries: list[tuple[int, bytes]] = []
    counts: list[tuple[int, int]] = []
    for shard, part in _by_shard(batch, shards) or [(key_id % here.registry.shards, batch)]:
        payload = Payload(
            *(part, now, here.registry.epoch, key_id, sender.judge, sender.backfill, sender.request_id, kept),
            trace=sender.trace,
        )
        entries.append((shard, payload.encode()))
        counts.append((shard, len(part)))
        kept = []
    rejected = sum([refused.count for refused in rejections]) if rejections else 0
    idempotency = note = ""
    if sender.idempotency_key and len(batch):  # what was refused as a whole may be sent again, corrected
        idempotency = hashlib.sha256(f"{key_id}:{sender.idempotency_key}".encode()).hexdigest()
        note = f"{now} {rejected} {','.join([f'{shard}:{count}' for shard, count in counts])}"
    nothing = not len(batch) and not (rejections and sender.quarantine)
    append = None if nothing else Append(entries, idempotency, note)
    return Prepared(append, key_id, now, counts, rejected, rejections)


def _by_shard(batch: Batch, shards: NDArray[np.int32]) -> list[tuple[int, Batch]]:
    """The batch split by shard; rows keep their order."""
    if not len(batch):
        return []
    first = int(shards[0])
    if len(shards) == 1 or (shards == first).all():
        return [(first, batch)]
    return [(shard, batch.at(shards == shard)) for shard in np.flatnonzero(np.bincount(shards)).tolist()]


def _noted(note: str) -> tuple[int, int, list[tuple[int, int]]]:
    """received_at, rejected and counts of the request that an idempotency key belongs to."""
    received_at, rejected, described = note.split(" ")
    pairs = [pair.split(":") for pair in described.split(",")]
    return int(received_at), int(rejected), [(int(shard), int(count)) for shard, count in pairs]


def _receipt(
    key_id: int, appended: Appended, received_at: int, rejected: int, counts: list[tuple[int, int]]
) -> Receipt:
    entries = tuple(
        [
            ReceiptEntry(shard, count, entry_id)
            for (shard, count), entry_id in zip(counts, appended.ids, strict=True)
            if count
        ]
    )
    return Receipt(key_id, received_at, sum([count for _, count in counts]), rejected, appended.segment, entries)


def _measure(receipt: Receipt, rejections: list[Rejection]) -> None:
    measures.readings_accepted.inc(receipt.accepted)
    for refused in rejections:
        measures.readings_rejected.labels(code=refused.code).inc(refused.count)


def accept_columns(
    device: str, metric: str, times: Int64, values: NDArray[np.float64], *, judge: bool, now: int, request_id: str = ""
) -> Accepted:
    """One series' readings of any age (imports). ``times`` in µs since 1970. Raises Unavailable."""
    runs = np.array([len(times)])
    columns = Columns([device], [metric], runs, times, values, np.arange(len(times), dtype=np.int32))
    return accept(columns, Sender(backfill=True, judge=judge, request_id=request_id), now)

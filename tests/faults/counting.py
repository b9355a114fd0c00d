"""The count at the end: what is in the database against what was sent and how it was answered."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tests.faults.ledger import Ledger, Record
from tests.faults.plan import METRICS, Reserved, bad_time, values
from tests.faults.table import Table
from tests.faults.watcher import Promises

__all__ = ["count_quarantine", "count_readings"]

_QUARANTINED = "SELECT code, payload FROM telemetry_quarantinedreading WHERE device = ANY(%s) OR code = 'poison'"


def count_readings(ledger: Ledger, reserved: Reserved, table: Table) -> int:
    """Compare every series with the ledger; what is wrong becomes a violation. Answers how many readings are stored."""
    stored = 0
    sent, promised = _indexes(ledger.records, reserved), _indexes(_promised(ledger), reserved)
    for device, name in enumerate(reserved.devices):
        for metric, metric_name in enumerate(METRICS):
            times, found = table.all_of(device, metric)
            stored += len(times)
            steps, off = np.divmod(times - reserved.begin, reserved.times(1, 2)[0] - reserved.begin)
            where = f"{name} {metric_name}"
            doubles = len(steps) - len(np.unique(steps))
            missing = np.setdiff1d(promised[device], steps)
            strange = np.setdiff1d(steps, sent[device])
            wrong = int((values(device, metric, 0, 1) + steps != found).sum()) + int(off.astype(bool).sum())
            for count, what in ((doubles, "stored twice"), (wrong, "stored with another time or value than sent")):
                if count:
                    ledger.broken(f"{where}: {count} readings {what}")
            for indexes, what in ((missing, "accepted, but not stored"), (strange, "stored, but never sent")):
                if len(indexes):
                    ledger.broken(f"{where}: {len(indexes)} readings {what}, the first has index {indexes[0]}")
    return stored


def count_quarantine(ledger: Ledger, reserved: Reserved, table: Table, promises: Promises) -> int:
    """Nothing was set aside as poison, and each refused reading is there once; answers how many refused there are."""
    rows = table.query(_QUARANTINED, [list(reserved.devices)])
    codes = Counter(code for code, _ in rows)
    if set(codes) - {"too_far_in_future"}:
        ledger.broken(f"in quarantine is what should not be there: {dict(codes)}")
    found = Counter(
        int(datetime.fromisoformat(json.loads(payload)["time"]).astimezone(UTC).timestamp())
        for code, payload in rows
        if code == "too_far_in_future"
    )
    for record in ledger.records:
        if not record.batch.bad:
            continue
        times = found.pop(bad_time(record.batch), 0)
        least = int(record.accepted and record.told == "stored" and not record.resent)
        once = promises.idempotency_holds or record.attempts == 1
        most = 1 if once else record.attempts
        if not least <= times <= most:
            ledger.broken(
                f"batch {record.batch.number}: its refused reading is in quarantine {times} times, "
                f"not {least} to {most} (attempts {record.attempts}, {record.told or 'not accepted'})"
            )
    if found:
        ledger.broken(f"{len(found)} readings in quarantine that were never sent")
    return sum(codes.values())


def _promised(ledger: Ledger) -> list[Record]:
    return [record for record in ledger.records if record.accepted and record.told != "lost"]


def _indexes(records: list[Record], reserved: Reserved) -> list[NDArray[np.int64]]:
    """The indexes of these records' readings, by device."""
    parts: list[list[NDArray[np.int64]]] = [[np.empty(0, np.int64)] for _ in reserved.devices]
    for record in records:
        for part in record.batch.parts:
            parts[part.device].append(np.arange(part.start, part.end, dtype=np.int64))
    return [np.concatenate(each) for each in parts]

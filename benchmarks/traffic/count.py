"""Run as a process of its own, in the platform's environment: waits until nothing waits any more, counts, and judges.

`python -m benchmarks.traffic.count PLAN LEDGER VERDICT` writes the verdict as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import django
import numpy as np

from benchmarks.traffic.ledger import Ledger
from benchmarks.traffic.plan import Plan
from benchmarks.traffic.verdict import Found, Series, judge
from telemetry.store.verify import verify_all

_DRAIN_SECONDS = 120.0
_PAUSE_SECONDS = 0.1
_ROWS = """
SELECT (extract(epoch FROM r.time) * 1000000)::bigint, r.value FROM telemetry_reading r
WHERE r.series_id = %s ORDER BY r.time
"""
_SERIES = """
SELECT d.name, s.metric, s.id FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id
WHERE d.name = ANY(%s)
"""
_QUARANTINE = "SELECT code, count(*) FROM telemetry_quarantinedreading WHERE key_prefix = ANY(%s) GROUP BY code"
_POISON = "SELECT count(*) FROM telemetry_quarantinedreading WHERE code = 'poison'"


def main(plan_file: Path, ledger_file: Path, verdict_file: Path) -> None:
    django.setup()
    plan, ledger = Plan.read(plan_file), Ledger.read(ledger_file)
    began = time.monotonic()
    receipts = _receipts(list(ledger.receipts), began + _DRAIN_SECONDS)
    after = time.monotonic() - began
    found = Found(_series(list(plan.numbers)), receipts, _quarantine(plan), _ask(_POISON, [])[0][0], _faults(), after)
    verdict_file.write_text(json.dumps(asdict(judge(ledger, plan.numbers, found))))


def _receipts(tokens: list[str], deadline: float) -> dict[str, dict[str, Any]]:
    """The state of each; those still pending are asked again until the deadline (monotonic)."""
    from telemetry.receipts import Receipt, state_of

    found: dict[str, dict[str, Any]] = {}
    waiting = tokens
    while waiting:
        found |= {token: state_of(Receipt.read(token)) for token in waiting}
        waiting = [token for token in waiting if found[token]["state"] == "pending"]
        if time.monotonic() > deadline:
            break
        if waiting:
            time.sleep(_PAUSE_SECONDS)
    return found


def _series(devices: list[str]) -> dict[tuple[str, str], Series]:
    found = {}
    for device, metric, series in _ask(_SERIES, [devices]):
        rows = np.array(_ask(_ROWS, [series]), np.float64).reshape(-1, 2)
        # A float64 holds µs since 1970 exactly for two centuries yet.
        microseconds = rows[:, 0].astype(np.int64)
        if (microseconds % 1000).any():
            raise RuntimeError(f"{device} {metric} has times between whole milliseconds, which nobody sent")
        found[device, metric] = microseconds // 1000, rows[:, 1]
    return found


def _faults() -> list[str]:
    from telemetry.database import connect

    with connect(autocommit=True) as connection:
        return verify_all(connection).faults()


def _quarantine(plan: Plan) -> Counter[str]:
    keys = [key for some in plan.members.values() for member in some for key in (member.key, member.wide_key) if key]
    return Counter(dict(_ask(_QUARANTINE, [[key.split("_")[1] for key in keys]])))


def _ask(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


if __name__ == "__main__":
    main(*(Path(each) for each in sys.argv[1:4]))

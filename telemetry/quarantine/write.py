"""Write refused readings and broken entries to the quarantine, inside the drain's transaction."""

from __future__ import annotations

import json
from typing import Any

import psycopg

from telemetry.intake.batch import Rejection
from telemetry.intake.times import iso
from telemetry.log.entries import Entry
from telemetry.store.chunk import Chunk
from telemetry.timeseries.engine import as_timestamp

Connection = psycopg.Connection[Any]
_INSERT = """
INSERT INTO telemetry_quarantinedreading
    (received_at, device, field, code, detail, payload, key_prefix, request_id, state)
SELECT u.at, u.device, u.field, u.code, u.detail, u.payload, coalesce(k.prefix, ''), u.request, 'waiting'
FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::text[])
    AS u(at, device, field, code, detail, payload, key, request)
LEFT JOIN telemetry_devicekey k ON k.id = u.key
"""
#: Code of refusals that intake counted but did not pass on, because their sender had sent too many already.
DROPPED = "dropped"


def quarantine_refused(connection: Connection, chunk: Chunk) -> dict[str, int]:
    """Write the refusals that ride in a chunk's entries; answers how many by code. Dropped ones are only counted."""
    rows: list[tuple[Any, ...]] = []
    dropped: dict[str, int] = {}
    counts: dict[str, int] = {}
    for payload in chunk.payloads:
        at = as_timestamp(payload.received_at) if payload.rejections else None
        for refused in payload.rejections:
            if refused.code == DROPPED:
                dropped[refused.device] = dropped.get(refused.device, 0) + refused.count
                continue
            rows.append((at, *_texts(refused), payload.key_id, payload.request_id))
            counts[refused.code] = counts.get(refused.code, 0) + 1
    if rows:
        connection.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])
    count_dropped(connection, dropped)
    return counts


def quarantine_orphans(connection: Connection, orphans: Chunk) -> None:
    """Write readings of series that no longer exist: their device was deleted while they waited."""
    rows: list[tuple[Any, ...]] = []
    batch = orphans.batch
    for series, time, value, entry in zip(batch.series, batch.times, batch.values, orphans.entry_of, strict=True):
        payload = orphans.payloads[entry]
        reading = json.dumps({"series": int(series), "time": iso(int(time)), "value": float(value)})
        detail = "its device was deleted before the reading was stored"
        at = as_timestamp(payload.received_at)
        rows.append((at, "", "device", "unknown_device", detail, reading, payload.key_id, payload.request_id))
    if rows:
        connection.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])


def quarantine_entry(connection: Connection, entry: Entry, error: str) -> None:
    """Set a log entry aside with its bytes: it failed every time it was tried alone."""
    connection.execute(
        "INSERT INTO telemetry_quarantinedreading "
        "(received_at, device, field, code, detail, payload, raw, key_prefix, request_id, state) "
        "VALUES (%s, '', '', 'poison', %s, '', %s, '', '', 'waiting')",
        [as_timestamp(int(entry.id.partition("-")[0]) * 1000), f"log entry {entry.id}: {error}"[:2000], entry.payload],
    )


def count_dropped(connection: Connection, dropped: dict[str, int]) -> None:
    """Count what was refused but not kept, by device."""
    if dropped:
        connection.execute(
            "INSERT INTO telemetry_quarantinedropped (device, dropped, last_at) "
            "SELECT d, n, now() FROM unnest(%s::text[], %s::bigint[]) AS u(d, n) "
            "ON CONFLICT (device) DO UPDATE SET dropped = telemetry_quarantinedropped.dropped + excluded.dropped, "
            "last_at = now()",
            [list(dropped), list(dropped.values())],
        )


def _texts(refused: Rejection) -> tuple[str, str, str, str, str]:
    # PostgreSQL texts cannot hold NUL, which JSON texts can.
    texts = (refused.device, refused.field, refused.code, refused.detail, refused.payload)
    device, field, code, detail, payload = (text.replace("\x00", "\\u0000") for text in texts)
    return device[:200], field[:200], code, detail, payload

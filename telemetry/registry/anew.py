"""Devices and keys read anew, hundreds at a time: what a registry had to forget, so that no request has to ask for it.

Placing a thousand devices into a group is a thousand changes. Looked up one by one by the requests that speak of them, each
costs milliseconds on the way of a reading, in every process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import psycopg

from telemetry.registry.entries import WIDEST, DeviceEntry, KeyEntry, MetricContract

__all__ = ["Known", "contracts_of", "read_devices", "read_keys"]

_DEVICES = """
SELECT d.id, d.name, coalesce(g.path, ''), coalesce(t.strict, false), d.type_id, array_agg(s.metric), array_agg(s.id)
FROM telemetry_device d JOIN telemetry_series s ON s.device_id = d.id
LEFT JOIN telemetry_devicegroup g ON g.id = d.group_id LEFT JOIN telemetry_devicetype t ON t.id = d.type_id
WHERE d.id = ANY(%s) AND d.enabled GROUP BY d.id, g.path, t.strict
"""
_CONTRACTS = "SELECT device_type_id, name, low, high FROM telemetry_metricdefinition WHERE device_type_id = ANY(%s)"
_KEYS = """
SELECT k.digest, k.id, k.prefix, k.device_id, d.name, g.path, k.all_devices, k.backfill, k.rate_limit,
    extract(epoch FROM k.expires_at)::float8
FROM telemetry_devicekey k
LEFT JOIN telemetry_device d ON d.id = k.device_id LEFT JOIN telemetry_devicegroup g ON g.id = k.group_id
WHERE k.id = ANY(%s) AND k.revoked_at IS NULL
"""


class Known(NamedTuple):
    """An enabled device as the database has it, and the ids of those of its series that may be written, by metric."""

    device: DeviceEntry
    series: dict[str, int]


def read_devices(connection: psycopg.Connection[Any], ids: Collection[int]) -> list[Known]:
    """The enabled ones among these devices that have series."""
    rows = connection.execute(_DEVICES, [list(ids)]).fetchall()
    types = {row[4] for row in rows if row[4] is not None}
    contracts = contracts_of(connection.execute(_CONTRACTS, [list(types)]).fetchall()) if types else {}
    found = []
    for device_id, name, path, strict, type_id, metrics, series in rows:
        entry = DeviceEntry(device_id, name, True, path, strict, contracts.get(type_id, {}))
        # A type that became strict lets in no other metrics, also where a series has been.
        may = [not strict or metric in entry.contracts for metric in metrics]
        found.append(
            Known(entry, {metric: at for metric, at, ok in zip(metrics, series, may, strict=True) if ok}),
        )
    return found


def read_keys(connection: psycopg.Connection[Any], ids: Collection[int]) -> dict[bytes, KeyEntry]:
    """Those of these keys that are not revoked, by digest."""
    rows = connection.execute(_KEYS, [list(ids)]).fetchall()
    return {bytes(digest): KeyEntry(*rest) for digest, *rest in rows}


def contracts_of(
    rows: Iterable[tuple[int, str, float | None, float | None]],
) -> dict[int, dict[str, MetricContract]]:
    """By type and metric, from (type id, metric, low, high)."""
    found: dict[int, dict[str, MetricContract]] = {}
    for type_id, metric, low, high in rows:
        found.setdefault(type_id, {})[metric] = MetricContract(
            -WIDEST if low is None else max(low, -WIDEST), WIDEST if high is None else min(high, WIDEST)
        )
    return found

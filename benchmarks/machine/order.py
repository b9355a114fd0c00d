"""Whether what a device sent stayed in its order: in the log, entry by entry, and in the order of the commits."""

from __future__ import annotations

import numpy as np
import psycopg
import redis
from numpy.typing import NDArray

from benchmarks.load.result import LostReading
from telemetry.log import keys
from telemetry.log.payload import decode
from telemetry.timeseries.engine import TABLE

__all__ = ["check_commits", "check_log", "out_of_order"]

_ENTRIES_AT_ONCE = 500
#: A drain stores a shard's entries one transaction after the other, so a later reading has a later transaction's number.
_COMMITS = f"""
SELECT count(*) FROM (
    SELECT xmin::text::bigint - lag(xmin::text::bigint) OVER (PARTITION BY series_id ORDER BY time) AS later
    FROM {TABLE}
) AS steps WHERE later < 0
"""
_DEVICES = "SELECT id, device_id FROM telemetry_series"


def check_log(client: redis.Redis, shards: int, connection: psycopg.Connection, start_ms: int, readings: int) -> None:
    """Decode every entry that the log still keeps (LOG_KEEP_SECONDS must be long enough).

    ``readings``: how many from ``start_ms`` on were accepted. Raises LostReading where there are others in it, a device is in
    two shards, or a series' times do not rise from entry to entry.
    """
    devices = dict(connection.execute(_DEVICES).fetchall())
    shard_of: dict[int, int] = {}
    found = 0
    for shard in range(shards):
        series, times = _entries(client, shard, start_ms * 1000)
        found += len(times)
        if wrong := out_of_order(series, times):
            raise LostReading(f"in shard {shard} of the log {wrong} readings stand before older ones of their series")
        for device in {devices[int(each)] for each in np.unique(series)}:
            if shard_of.setdefault(device, shard) != shard:
                raise LostReading(f"device {device} is in shard {shard_of[device]} of the log and in shard {shard}")
    if found != readings:
        raise LostReading(f"{readings} readings were accepted, the log has {found} of them")


def check_commits(connection: psycopg.Connection) -> None:
    """Raises LostReading where a reading was committed after a later one of its series."""
    row = connection.execute(_COMMITS).fetchone()
    if row != (0,):
        raise LostReading(f"{row[0] if row else '?'} readings were committed after later ones of their series")


def out_of_order(series: NDArray[np.int32], times: NDArray[np.int64]) -> int:
    """How many readings, in log order, are not later than the one before them of the same series."""
    by_series = np.argsort(series, kind="stable")
    same = np.diff(series[by_series]) == 0
    return int((np.diff(times[by_series])[same] <= 0).sum())


def _entries(client: redis.Redis, shard: int, start: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Series and times (µs since 1970) from `start` on, as they stand in a shard of the log."""
    series, times = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    after = "-"
    while entries := client.xrange(keys.stream(shard), after, count=_ENTRIES_AT_ONCE):
        for _, fields in entries:
            batch = decode(fields[b"p"]).batch
            chosen = batch.times >= start
            series.append(batch.series[chosen])
            times.append(batch.times[chosen])
        after = f"({entries[-1][0].decode()}"
    return np.concatenate(series), np.concatenate(times)

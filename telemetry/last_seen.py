"""When devices last spoke: kept in memory by drains, handed to the log server about every second, and written to the
table every few seconds. A row per drain and device would double the database's work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from telemetry.log import keys
from telemetry.log.entries import LogFull
from telemetry.log.redis_streams import RedisLog
from telemetry.store.chunk import Chunk

_WRITE = """
INSERT INTO telemetry_devicelastseen (device_id, at)
SELECT u.device, u.at FROM unnest(%s::bigint[], %s::timestamptz[]) AS u(device, at)
WHERE EXISTS (SELECT 1 FROM telemetry_device d WHERE d.id = u.device)
ON CONFLICT (device_id) DO UPDATE SET at = greatest(telemetry_devicelastseen.at, excluded.at)
"""
_HAND_OVER_SECONDS = 1.0
#: A large fleet is told of less often, so that it costs no more: so many devices a second, and rows a run.
_DEVICES_A_SECOND = 5_000
_ROWS_A_RUN = 10_000


class LastSeen:
    """What one drain saw and has not handed over yet."""

    def __init__(self) -> None:
        self._newest: NDArray[np.int64] = np.zeros(1024, np.int64)
        self._next_at = float("-inf")
        self._waiting = False

    def note(self, devices: NDArray[np.int32], chunk: Chunk) -> None:
        """Readings of these devices (one a row of the chunk) were stored."""
        if not len(devices):
            return
        largest = int(devices.max())
        if largest >= len(self._newest):
            more = max(largest + 1, 2 * len(self._newest)) - len(self._newest)
            self._newest = np.concatenate([self._newest, np.zeros(more, np.int64)])
        received = np.array([payload.received_at for payload in chunk.payloads])[chunk.entry_of]
        np.maximum.at(self._newest, devices, received)
        self._waiting = True

    def hand_over(self, log: RedisLog, now: float) -> None:
        """Tell the log server, at most once a second. ``now`` on the monotonic clock."""
        if not self._waiting or now < self._next_at:
            return
        devices = np.flatnonzero(self._newest)
        seen: dict[Any, Any] = dict(zip(devices.tolist(), self._newest[devices].tolist(), strict=True))
        try:
            log.call(lambda client: client.hset(keys.LAST_SEEN, mapping=seen))
        except LogFull:  # it can wait until there is memory: what frees it is the drain that goes on after this
            self._next_at = now + _HAND_OVER_SECONDS
            return
        self._newest[:] = 0
        self._waiting = False
        self._next_at = now + max(_HAND_OVER_SECONDS, len(devices) / _DEVICES_A_SECOND)


def write_last_seen(log: RedisLog) -> int:
    """Move what was seen from the log server to the table, some thousand devices at a time; answers how many. Run by beat."""
    working = f"{keys.LAST_SEEN}:writing"
    # What a crash or the bound left behind is written first, and only then the next hash is taken.
    log.call(
        lambda client: (
            client.exists(working) or (client.exists(keys.LAST_SEEN) and client.rename(keys.LAST_SEEN, working))
        )
    )
    seen: dict[Any, Any] = {}
    for found in log.call(lambda client: _pieces(client, working)):
        seen |= found
    if not seen:
        return 0
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    times = [epoch + timedelta(microseconds=int(at)) for at in seen.values()]
    with connection.cursor() as database:
        database.execute(_WRITE, [[int(device) for device in seen], times])
    log.call(lambda client: client.hdel(working, *seen))
    return len(seen)


def _pieces(client: Any, name: str) -> list[dict[Any, Any]]:
    """Some of a hash, about as much as one run writes."""
    pieces, size, at = [], 0, 0
    while size < _ROWS_A_RUN:
        at, found = client.hscan(name, at, count=1000)
        pieces.append(found)
        size += len(found)
        if at == 0:
            break
    return pieces

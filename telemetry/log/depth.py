"""How much of the log is not stored yet, asked in one round trip that carries no payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import redis

from telemetry.log import keys

# KEYS: stream and meta of each shard. ARGV: position of each shard.
# Answers for each its length, the bytes ever appended and the id of the oldest waiting entry; then the time.
_LOOK = """
local answer = {}
for i = 1, #ARGV do
    local stream, meta = KEYS[2 * i - 1], KEYS[2 * i]
    local oldest = redis.call('XRANGE', stream, '(' .. ARGV[i], '+', 'COUNT', 1)[1]
    answer[i] = {redis.call('XLEN', stream), redis.call('HGET', meta, 'in') or '0', oldest and oldest[1] or ''}
end
answer[#ARGV + 1] = redis.call('TIME')
return answer
"""


class Depth(NamedTuple):
    """One shard: entries in its log (stored ones that are still kept included), bytes and age of what waits."""

    entries: int
    waiting_bytes: int
    oldest_seconds: float


def depths(client: redis.Redis, positions: Mapping[int, tuple[str, int]]) -> dict[int, Depth]:
    """By shard, given the entry id and the byte offset up to which each is stored. Raises redis.RedisError."""
    shards = sorted(positions)
    names = [name for shard in shards for name in (keys.stream(shard), keys.meta(shard))]
    found: Any = client.eval(_LOOK, len(names), *names, *(positions[shard][0] for shard in shards))
    *looks, (seconds, micro) = found
    now = int(seconds) + int(micro) / 1e6
    return {
        shard: Depth(
            int(length),
            max(0, int(came) - positions[shard][1]) if oldest else 0,
            max(0.0, now - int(oldest.partition(b"-")[0]) / 1000) if oldest else 0.0,
        )
        for shard, (length, came, oldest) in zip(shards, looks, strict=True)
    }


__all__ = ["Depth", "depths"]

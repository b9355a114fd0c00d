"""Change the number of shards: refuse appends, drain to empty, bump the layout's epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis
from django.db import transaction

from telemetry.log import keys
from telemetry.log.entries import START, ordinal
from telemetry.log.wake import wake
from telemetry.models import LogLayout, ShardPosition

__all__ = ["NotDrained", "reshard"]

_LOOK_SECONDS = 0.2


class NotDrained(Exception):
    """The old layout still holds readings that nobody stores; it is in force again."""


def reshard(client: redis.Redis, shards: int, patience: float, say: Callable[[str], None]) -> None:
    """Bring the log to that many shards. Intake answers 503 meanwhile; nothing that was accepted is lost.

    Raises NotDrained where the log is not stored to its end within ``patience`` seconds.
    """
    layout = LogLayout.objects.get()
    # The log itself refuses appends of the old layout from here on, whatever a web process still believes.
    LogLayout.objects.update(open=False)
    client.set(keys.EPOCH, layout.epoch + 1)
    say(f"intake is closed; draining {layout.shards} shards")
    try:
        _wait_until_drained(client, layout.shards, patience)
    except NotDrained:
        client.set(keys.EPOCH, layout.epoch)
        LogLayout.objects.update(open=True)
        raise
    with transaction.atomic():
        have = set(ShardPosition.objects.values_list("shard", flat=True))
        ShardPosition.objects.bulk_create(ShardPosition(shard=shard) for shard in range(shards) if shard not in have)
        LogLayout.objects.update(shards=shards, epoch=layout.epoch + 1, open=True)
    say(f"the log has {shards} shards now (layout epoch {layout.epoch + 1})")


def _wait_until_drained(client: redis.Redis, shards: int, patience: float) -> None:
    end = time.monotonic() + patience
    waiting = set(range(shards))
    while waiting:
        for shard in list(waiting):
            if _is_drained(client, shard):
                waiting.discard(shard)
            else:
                wake(shard)
        if waiting and time.monotonic() > end:
            raise NotDrained(f"shards {sorted(waiting)} still hold readings: is every drain worker running?")
        if waiting:
            time.sleep(_LOOK_SECONDS)


def _is_drained(client: redis.Redis, shard: int) -> bool:
    if not client.exists(keys.stream(shard)):
        return True
    last: Any = client.xinfo_stream(keys.stream(shard))["last-generated-id"]
    position = ShardPosition.objects.get(shard=shard)
    generation: Any = client.get(keys.GENERATION)
    if generation is None or (position.generation or generation.decode()) != generation.decode():
        return False
    return ordinal(last.decode()) <= ordinal(position.stored or START) and ordinal(position.judged) == ordinal(
        position.stored
    )

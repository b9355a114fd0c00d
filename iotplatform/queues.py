"""Every Celery queue, declared once, and which worker consumes it."""

from __future__ import annotations

from telemetry.log.wake import DRAIN_TASK, drain_queue

#: Everything that is not a drain: partitions, retention, purges, flushes.
DEFAULT_QUEUE = "default"

__all__ = ["DEFAULT_QUEUE", "DRAIN_TASK", "drain_queue", "drain_queues"]


def drain_queues(shards: int, workers: int) -> list[list[str]]:
    """The queues of each drain worker: shard s goes to worker s mod workers, so each has its own few.

    Workers beyond the number of shards get nothing and are left out.
    """
    return [[drain_queue(shard) for shard in range(worker, shards, workers)] for worker in range(min(workers, shards))]

"""Every Celery queue and task name, declared once."""

from __future__ import annotations

#: Everything that is not a drain: sweeps, retention, purges, flushes.
DEFAULT_QUEUE = "default"

#: "Drain shard N": carries no readings, only the shard's number.
DRAIN_TASK = "iotplatform.pipeline.drain"
SWEEP_TASK = "iotplatform.pipeline.sweep"


def drain_queue(shard: int) -> str:
    """The queue of one shard's drains. Its consumer keeps what the shard needs in memory."""
    return f"drain-{shard}"


def drain_queues(shards: int, workers: int) -> list[list[str]]:
    """The queues of each drain worker: shard s goes to worker s mod workers, so each has its own few.

    Workers beyond the number of shards get nothing and are left out.
    """
    return [[drain_queue(shard) for shard in range(worker, shards, workers)] for worker in range(min(workers, shards))]

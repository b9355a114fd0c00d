"""Start a drain of a shard. The message carries the shard's number only; losing it delays, it never loses."""

from __future__ import annotations

import logging

from celery import current_app

logger = logging.getLogger(__name__)

DRAIN_TASK = "iotplatform.tasks.drain"


def drain_queue(shard: int) -> str:
    """The queue of one shard's drains. Its consumer keeps what the shard needs in memory."""
    return f"drain-{shard}"


def wake(shard: int) -> None:
    """Ask for a drain. Where the broker does not answer, the sweep will do it."""
    try:
        current_app.send_task(
            DRAIN_TASK, [shard], queue=drain_queue(shard), retry=False, ignore_result=True, expires=60
        )
    except Exception as error:
        logger.warning("drain_not_requested", extra={"shard": shard, "error": str(error)})

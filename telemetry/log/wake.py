"""Start a drain of a shard. The message carries the shard's number only; losing it delays, it never loses."""

from __future__ import annotations

import logging
import threading

from celery import current_app

logger = logging.getLogger(__name__)

DRAIN_TASK = "iotplatform.tasks.drain"


def drain_queue(shard: int) -> str:
    """The queue of one shard's drains. Its consumer keeps what the shard needs in memory."""
    return f"drain-{shard}"


def wake(shard: int) -> None:
    """Ask for a drain, without waiting for the broker: a request must not hang while it is away."""
    _waker.ask(shard)


def publish(shard: int) -> None:
    """Ask for a drain. Where the broker does not answer, the sweep will do it."""
    try:
        current_app.send_task(
            DRAIN_TASK, [shard], queue=drain_queue(shard), retry=False, ignore_result=True, expires=60
        )
    except Exception as error:
        logger.warning("drain_not_requested", extra={"shard": shard, "error": str(error)})


class _Waker:
    """A thread that publishes, started with the first shard; shards that wait for it are published once."""

    def __init__(self) -> None:
        self._wanted: set[int] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def ask(self, shard: int) -> None:
        with self._changed:
            self._wanted.add(shard)
            if self._thread is None or not self._thread.is_alive():  # a fork has no threads of its parent
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted)
                shard = self._wanted.pop()
            publish(shard)


_waker = _Waker()

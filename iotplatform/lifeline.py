"""Drains that nobody asked for: where no message reaches a drain worker any more, it drains its shards by itself.

Messages need memory in the log server, and drains are what frees it. So a log server whose memory is full, or a broker
that does not get through to this worker for whatever reason, must not be what keeps readings waiting.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

logger = logging.getLogger(__name__)

__all__ = ["Lifeline"]


class Lifeline:
    """A thread that drains each of ``shards`` once nobody has asked for it for ``patience`` seconds, until somebody does.

    ``drain`` is called in that thread and answers whether there is more to do. Another drain of the shard may be under way,
    here or elsewhere.
    """

    def __init__(
        self,
        shards: Collection[int],
        drain: Callable[[int], bool],
        patience: float,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._drain = drain
        self._patience = patience
        self._interval = interval
        self._clock = clock
        self._asked_at = dict.fromkeys(shards, clock())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lifeline", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when it drains no more."""
        self._stopping.set()
        self._thread.join()

    def asked(self, shard: int) -> None:
        """A message came: it works without this."""
        self._asked_at[shard] = self._clock()

    def look(self) -> int:
        """Drain what nobody asked for in time; answers how many shards that were. Never raises."""
        late = [shard for shard in self._asked_at if self._is_late(shard)]
        left = late
        try:
            while left and not self._stopping.is_set():
                left = [shard for shard in left if self._drain(shard) and self._is_late(shard)]
        except Exception as error:
            logger.warning("unasked_drain_failed", extra={"error": repr(error)[:500]})
            # Database or log are away. They are asked again in a while, not all the time.
            for shard in late:
                self._asked_at[shard] = max(self._asked_at[shard], self._clock() - self._patience / 2)
        return len(late)

    def _is_late(self, shard: int) -> bool:
        return self._clock() - self._asked_at[shard] >= self._patience

    def _run(self) -> None:
        was_needed = False
        while not self._stopping.wait(self._interval):
            needed = bool(self.look())
            if needed != was_needed:
                logger.warning("no_message_asks_for_drains" if needed else "messages_ask_for_drains_again")
            was_needed = needed

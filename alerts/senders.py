"""The threads of a worker that send messages: a bounded number, so that receivers which hang hold up nothing else.

Celery's own threads only hand messages over, and go on at once; threads here hold no database connection while they
wait for a receiver. They are daemons: a worker that stops does not wait for them, and what they had claimed is sent
again, with the same key, when the lease has run out.
"""

from __future__ import annotations

import logging
import threading

from django.db import connections
from django.utils import timezone

from alerts.deliver import Claimed, attempt, claim, complete

__all__ = ["Senders", "senders"]

logger = logging.getLogger(__name__)


class Senders:
    """At most ``most`` messages on their way at a time, of which channels that keep failing get half."""

    def __init__(self, most: int = 16) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._busy: set[int] = set()

    @property
    def busy(self) -> int:
        """How many messages are on their way."""
        return len(self._busy)

    def pump(self) -> int:
        """Claim what is due and hand it to threads, until nothing is due or all threads are taken. Returns at once;
        answers how many messages were handed over."""
        handed = 0
        while claimed := self._claim():
            threading.Thread(target=self._run, args=[claimed], name=f"send-{claimed.message_id}", daemon=True).start()
            handed += 1
        return handed

    def _claim(self) -> Claimed | None:
        with self._lock:
            taken = len(self._busy)
            if taken >= self._most:
                return None
            claimed = claim(timezone.now(), self._busy, only_working=taken >= self._most // 2)
            if claimed is not None:
                self._busy.add(claimed.channel_id)
            return claimed

    def _run(self, claimed: Claimed) -> None:
        try:
            # A connection to the database that sending opened (for the administrators' addresses) goes back before.
            outcome = attempt(claimed)
            complete(claimed, outcome)
        except Exception:
            # The database, most likely: the lease runs out and the message is claimed again.
            logger.exception("message_not_completed", extra={"message_id": claimed.message_id})
        finally:
            connections.close_all()
            with self._lock:
                self._busy.discard(claimed.channel_id)
        self._next()

    def _next(self) -> None:
        """What waited for this thread or this channel need not wait for beat."""
        try:
            self.pump()
        except Exception:
            logger.exception("messages_not_claimed")
        finally:
            connections.close_all()


#: Those of this process.
senders = Senders()

"""The thread of a worker that makes exports: one at a time, so that a long one holds up no other task."""

from __future__ import annotations

import logging
import threading

from django.db import connections

from telemetry.exports import queue
from telemetry.exports.plan import plan_due

__all__ = ["ExportWorker", "worker"]

logger = logging.getLogger(__name__)


class ExportWorker:
    """A daemon: a worker that stops does not wait for it; what it held is made again when the lease has run out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def pump(self) -> None:
        """Plan what is due, and see that a thread is at it if there is anything to do. Returns at once."""
        from telemetry.exports.mail import anything_to_mail
        from telemetry.exports.prune import prune

        plan_due()
        prune()
        if not (queue.anything_due() or anything_to_mail()):
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="exports", daemon=True)
                self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Until the thread has nothing left to do; False where it has after all."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        try:
            work()
        except Exception:
            # The database, most likely; beat starts another thread.
            logger.exception("exports_interrupted")
        finally:
            connections.close_all()


def work() -> int:
    """Make and mail what is due until nothing is; answers how many files were worked at."""
    # Not at the top: what reads questions and writes files is loaded by workers that have something to export.
    from telemetry.exports.mail import send_due
    from telemetry.exports.perform import perform

    number = 0
    while (run := queue.claim()) is not None:
        perform(run)
        number += 1
        send_due()
    send_due()
    return number


#: That of this process.
worker = ExportWorker()

"""A careful device: it sends a batch until it is answered 202, however often that takes."""

from __future__ import annotations

import threading
import time
from typing import Any

from tests.faults.client import Client
from tests.faults.ledger import NO_ANSWER, Ledger, Record
from tests.faults.plan import Plan, Reserved

__all__ = ["Sender"]

_RETRY_SECONDS = 0.15  # Retry-After says more; being less patient than asked is harder on the platform


class Sender(threading.Thread):
    """Sends the batches of one plan until it is stopped."""

    def __init__(self, client: Client, ledger: Ledger, reserved: Reserved, plan: Plan, pause: float) -> None:
        super().__init__(name="sender", daemon=True)
        self._client = client
        self._ledger = ledger
        self._reserved = reserved
        self._plan = plan
        self._pause = pause
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                record = self._ledger.open(self._plan.next())
                self.deliver(record)
                self._stopping.wait(self._plan.pause(self._pause))
        except Exception as error:  # a thread that dies in silence would make every check pass
            self._ledger.broken(f"a sender died: {error!r}")
            raise
        finally:
            self._client.close()

    def stop(self) -> None:
        """Send no more; what is not accepted yet stays so."""
        self._stopping.set()

    def deliver(self, record: Record) -> None:
        """Send until accepted or stopped."""
        body = self._reserved.body(record.batch)
        headers = {"Idempotency-Key": f"{self._reserved.devices[0]}/{record.batch.number}"}
        while True:
            record.attempts += 1
            record.sent_at = time.monotonic()
            status, answer = self._client.ask(
                "POST",
                "/api/v1/readings" + ("?wait=5" if record.batch.wait else ""),
                body,
                headers if record.batch.idempotent else {},
            )
            if status in (200, 202):
                self._check(record, status, answer)
                self._ledger.accept(record, answer["receipt"])
                return
            if status not in (503, NO_ANSWER):
                self._ledger.broken(f"a right request was answered {status}: {answer}")
            if self._stopping.wait(_RETRY_SECONDS):
                return

    def _check(self, record: Record, status: int, answer: dict[str, Any]) -> None:
        said, right = (answer["accepted"], answer["rejected"]), (record.batch.count, int(record.batch.bad))
        if said != right:
            self._ledger.broken(f"accepted, rejected are {said} in an answer of {status}, not {right}")

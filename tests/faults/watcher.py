"""Asks receipts all the time, and looks into the table the moment one says "stored"."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.faults.client import Client
from tests.faults.ledger import NO_ANSWER, Ledger, Record
from tests.faults.table import Table

__all__ = ["Promises", "Watcher"]

_PAUSE_SECONDS = 0.004
_PAUSE_AFTER_FAILURE_SECONDS = 0.05
_NOTHING_TO_DO_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Promises:
    """What must hold beside the rest. Only where the log itself is destroyed, readings may be lost."""

    may_lose: bool = False

    @property
    def idempotency_holds(self) -> bool:
        """Whether a batch with an Idempotency-Key is surely taken once: its key dies with the log."""
        return not self.may_lose


class Watcher(threading.Thread):
    """Takes accepted records from the ledger, the newest or the oldest first, until each is stored or lost.

    Only those that were sent since a moment, where one is given (monotonic seconds).
    ``era`` changes whenever the database itself is replaced: what a receipt said before need not be so after.
    """

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        table: Table,
        promises: Promises,
        era: Callable[[], int],
        *,
        newest: bool,
        since: float = 0.0,
    ) -> None:
        super().__init__(name="watcher", daemon=True)
        self._client = client
        self._ledger = ledger
        self._table = table
        self._promises = promises
        self._era = era
        self._newest = newest
        self._since = since
        self._stopping = threading.Event()
        self._pause = _PAUSE_SECONDS
        #: How often a receipt was asked.
        self.looks = 0

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                record = self._ledger.take(newest=self._newest, since=self._since)
                if record is None:
                    self._stopping.wait(_NOTHING_TO_DO_SECONDS)
                elif not self._settle(record):
                    self._ledger.put_back(record)
                    self._stopping.wait(self._pause)
        except Exception as error:  # a thread that dies in silence would make every check pass
            self._ledger.broken(f"a watcher died: {error!r}")
            raise
        finally:
            self._client.close()
            self._table.close()

    def stop(self) -> None:
        self._stopping.set()

    def _settle(self, record: Record) -> bool:
        """Ask once; whether the answer is final."""
        era = self._era()
        self.looks += 1
        status, state = self._client.ask("GET", f"/api/v1/receipts/{record.receipt}")
        self._pause = _PAUSE_SECONDS if status == 200 else _PAUSE_AFTER_FAILURE_SECONDS
        if status != 200:
            if status not in (503, NO_ANSWER):
                self._ledger.broken(f"a receipt was answered {status}: {state}")
            return False
        if state["state"] == "pending":
            return False
        try:
            missing = self._table.missing(record.batch)
        except psycopg.Error:
            return False  # the database went away in between: the same question again
        if era != self._era():
            return False
        problem = self._wrong(record, state, missing)
        if problem:
            self._ledger.broken(f"batch {record.batch.number}, attempts {record.attempts}: {problem} ({state})")
        record.state = state
        return True

    def _wrong(self, record: Record, state: dict[str, Any], missing: int) -> str:
        batch = record.batch
        if state["accepted"] != batch.count or state["rejected"] != int(batch.bad):
            return f"the receipt is about other numbers than {batch.count} accepted, {int(batch.bad)} rejected"
        if state["state"] == "lost":
            if not self._promises.may_lose:
                return "lost, though the log was not destroyed"
            if not missing and record.attempts == 1:
                return "said to be lost, but all of it is stored"
            return ""
        if missing:
            return f"said to be stored, but {missing} readings are not there"
        if state["stored"] + state["duplicates"] + state["quarantined"] != state["accepted"]:
            return "the sums do not add up"
        if state["quarantined"] or state["conflicts"]:
            return "quarantined or in conflict, though the readings were right and their values never differ"
        once = record.attempts == 1 or (batch.idempotent and self._promises.idempotency_holds)
        if state["duplicates"] and once:
            return "duplicates, though it was taken once"
        return ""

"""What was sent and how it was answered. Thread-safe."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from tests.faults.plan import Batch

__all__ = ["NO_ANSWER", "Ask", "Ledger", "Record"]

#: In place of a status: the connection failed before the answer came.
NO_ANSWER = 0
_MOST_VIOLATIONS = 20
_SLOWEST_SECONDS = 10.0


@dataclass(eq=False, slots=True)
class Record:
    """One batch: how often it was sent, the receipt of its acceptance, what that receipt said last."""

    batch: Batch
    attempts: int = 0
    #: When it was sent last, monotonic seconds.
    sent_at: float = 0.0
    receipt: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    #: How often its receipt said "lost" and it was sent again.
    resent: int = 0

    @property
    def accepted(self) -> bool:
        return bool(self.receipt)

    @property
    def told(self) -> str:
        """The last state: "", pending, stored or lost."""
        return str(self.state.get("state", ""))


@dataclass(eq=False, slots=True)
class Ask:
    """One request, from when it is sent (monotonic seconds); ``status`` once it is answered, or has failed."""

    what: str
    at: float
    status: int | None = None


class Ledger:
    """All batches of one run, all answers, and every promise that was seen broken."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self.records: list[Record] = []
        self.answers: Counter[int] = Counter()
        #: Answers of 503 by what they were to, and what they said.
        self.refusals: Counter[str] = Counter()
        self._under_way: set[Ask] = set()
        self.slowest = 0.0
        #: The slowest refusal of readings that were sent since that moment (monotonic seconds).
        self.slowest_refusal = 0.0
        self.refusals_since = 0.0
        self.violations: list[str] = []
        self.accepted = 0
        #: Those among them that were answered at once, not held until stored.
        self.accepted_at_once = 0
        #: Accepted, and not yet seen stored or lost.
        self.unsettled: deque[Record] = deque()

    def open(self, batch: Batch) -> Record:
        """Before a batch is sent for the first time."""
        record = Record(batch)
        with self._lock:
            self.records.append(record)
        return record

    def asked(self, what: str) -> Ask:
        """A request is about to be sent."""
        ask = Ask(what, time.monotonic())
        with self._lock:
            self._under_way.add(ask)
        return ask

    def under_way(self, seconds: float) -> list[Ask]:
        """The requests that were sent at least so long ago, and are not answered."""
        before = time.monotonic() - seconds
        with self._lock:
            return [ask for ask in self._under_way if ask.at <= before]

    def answered(self, ask: Ask, status: int) -> None:
        """It was answered, or it failed."""
        seconds = time.monotonic() - ask.at
        with self._lock:
            ask.status = status
            self._under_way.discard(ask)
            self.answers[status] += 1
            self.slowest = max(self.slowest, seconds)
            if status == 503 and ask.what.startswith("POST") and ask.at >= self.refusals_since:
                self.slowest_refusal = max(self.slowest_refusal, seconds)
            self._lock.notify_all()
        if seconds > _SLOWEST_SECONDS:
            self.broken(f"{ask.what} took {seconds:.1f} s (status {status})")

    def refused(self, why: str) -> None:
        """A request was answered 503, in these words."""
        with self._lock:
            self.refusals[why] += 1

    def accept(self, record: Record, receipt: str) -> None:
        """It was answered 202 (or 200)."""
        with self._lock:
            record.receipt = receipt
            record.state = {}
            self.accepted += 1
            self.accepted_at_once += not record.batch.wait and record.sent_at >= self.refusals_since
            self.unsettled.append(record)
            self._lock.notify_all()

    def broken(self, what: str) -> None:
        """A promise was broken."""
        with self._lock:
            if len(self.violations) < _MOST_VIOLATIONS:
                self.violations.append(what)

    def take(self, *, newest: bool, since: float = 0.0) -> Record | None:
        """An accepted record whose receipt is to be asked for, sent since that moment; None where there is none."""
        with self._lock:
            places = range(len(self.unsettled))
            for place in reversed(places) if newest else places:
                if self.unsettled[place].sent_at >= since:
                    record = self.unsettled[place]
                    del self.unsettled[place]
                    return record
            return None

    def put_back(self, record: Record) -> None:
        with self._lock:
            self.unsettled.append(record)

    def ask_all_again(self) -> None:
        """What receipts said counts no more."""
        with self._lock:
            for record in self.records:
                if record.told:
                    record.state = {}
                    self.unsettled.append(record)

    def wait_for(self, condition: Any, seconds: float, what: str) -> None:
        """Wait until ``condition()`` holds; it is looked at after every answer. Raises AssertionError."""
        end = time.monotonic() + seconds
        with self._lock:
            while not condition():
                left = end - time.monotonic()
                assert left > 0, f"not within {seconds:.0f} s: {what}; answers so far: {dict(self.answers)}"
                self._lock.wait(min(left, 0.2))

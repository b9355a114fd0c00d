"""A load on the platform whose every reading is accounted for: senders, watchers, ledger, and the count at the end."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from tests.faults.client import Client
from tests.faults.counting import count_quarantine, count_readings
from tests.faults.ledger import NO_ANSWER, Ledger, Record
from tests.faults.plan import Plan, Reserved
from tests.faults.sender import Sender
from tests.faults.table import Table
from tests.faults.verified import unsound
from tests.faults.watcher import Promises, Watcher

__all__ = ["Load", "Outcome", "Target"]

_SENDERS = 5
_DEVICES_EACH = 3
_PAUSE_SECONDS = 0.03
#: So many batches accepted and stored: the platform is well again.
_WELL_BATCHES = 20
_RECENT = 2000
_SETTLE_SECONDS = 120.0
_JOIN_SECONDS = 30.0
_runs = itertools.count(1)

_REGISTER = """
import json, sys
from telemetry.models import Device, DeviceKey
for name in {names!r}:
    Device.objects.create(name=name)
print(json.dumps(DeviceKey(name="fault suite", all_devices=True).issue()))
"""


class Target(Protocol):
    """A running platform."""

    port: int

    @property
    def database_url(self) -> str: ...
    def manage(self, *arguments: str) -> str: ...


@dataclass(slots=True)
class Outcome:
    """The counts of one scenario. It is right where ``violations`` is empty."""

    batches: int = 0
    accepted: int = 0
    stored: int = 0
    lost_batches: int = 0
    refused: int = 0
    looks: int = 0
    retried: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    violations: list[str] = field(default_factory=list)
    #: Why it could not be tried on this machine, where it could not.
    untried: str = ""
    #: Figures that a scenario took beside.
    notes: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Count another scenario's outcome in."""
        for name in ("batches", "accepted", "stored", "lost_batches", "refused", "looks", "retried"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.answers.update(other.answers)
        self.slowest = max(self.slowest, other.slowest)
        self.violations += other.violations

    def __str__(self) -> str:
        without = f"{self.answers[503]} × 503, {self.answers[NO_ANSWER]} × no answer"
        lost = f", {self.lost_batches} batches lost with the log and sent again" if self.lost_batches else ""
        return (
            f"{self.accepted:,} readings answered 202 in {self.batches:,} batches, {self.stored:,} stored{lost}; "
            f"{without}; slowest {self.slowest:.1f} s; {self.looks:,} looks at receipts"
            + "".join(f"; {note}" for note in self.notes)
        )


class Load:
    """Runs from `start` to `finish`. As a context manager it is started, and stopped whatever happens."""

    def __init__(self, target: Target, seed: int, promises: Promises | None = None, senders: int = _SENDERS) -> None:
        self._target = target
        self._promises = promises or Promises()
        self._seed = seed
        self._era = 0
        self.ledger = Ledger()
        self.reserved = Reserved.named(f"fault-{seed}-{next(_runs)}-{time.time_ns()}", senders * _DEVICES_EACH)
        self._key = ""
        self._senders: list[Sender] = []
        self._watchers: list[Watcher] = []

    # --- run ------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        code = _REGISTER.format(names=list(self.reserved.devices))
        self._key = json.loads(self._target.manage("shell", "--no-imports", "-c", code).splitlines()[-1])
        for number in range(len(self.reserved.devices) // _DEVICES_EACH):
            devices = list(range(number * _DEVICES_EACH, (number + 1) * _DEVICES_EACH))
            plan = Plan(self._seed, number, devices)
            self._senders.append(Sender(self._client(), self.ledger, self.reserved, plan, _PAUSE_SECONDS))
        for newest in (True, False):
            self._watch(newest=newest)
        for sender in self._senders:
            sender.start()
        return self

    def wait_for_accepted(self, more: int, seconds: float = 60.0) -> None:
        """Wait until so many more batches are answered 202. Raises AssertionError."""
        goal = self.ledger.accepted + more
        self.ledger.wait_for(lambda: self.ledger.accepted >= goal, seconds, f"{more} more batches accepted")

    def wait_for_answers(self, status: int, more: int, seconds: float = 60.0) -> None:
        """Wait until so many more requests are answered so. Raises AssertionError."""
        goal = self.ledger.answers[status] + more
        self.ledger.wait_for(lambda: self.ledger.answers[status] >= goal, seconds, f"{more} more answers of {status}")

    def recovers_within(self, seconds: float, what: str) -> None:
        """All is well again, in time: batches sent from now on are accepted and stored. Else that is a violation.

        They go to all shards, and a shard stores in order: what was accepted before is stored then too.
        """
        now = time.monotonic()
        # The others may be far behind, or ask for what came this very moment only.
        watcher = self._watch(newest=False, since=now)

        def stored() -> int:
            # The list is only ever added to, and all that was sent since is near its end.
            return sum(one.told == "stored" and one.sent_at >= now for one in self.ledger.records[-_RECENT:])

        try:
            self.ledger.wait_for(lambda: stored() >= _WELL_BATCHES, seconds, what)
        except AssertionError:
            self.ledger.broken(f"{what}: not well after {seconds:.0f} s, {stored()} batches stored since")
        finally:
            watcher.stop()

    def run_for(self, seconds: float) -> None:
        """Go on for some time, where the time itself is what matters (an outage of 30 s)."""
        threading.Event().wait(seconds)

    def database_replaced(self) -> None:
        """Before and after the database is replaced: what receipts said is to be asked again."""
        self._era += 1
        self.ledger.ask_all_again()

    # --- end ------------------------------------------------------------------------------------------------------

    def finish(self) -> Outcome:
        """Stop sending, wait until every receipt is final, count; then send what was lost again, and count again."""
        self._stop_senders()
        self._settle()
        outcome = self._count()
        lost = [record for record in self.ledger.records if record.told == "lost"]
        if lost:
            self._send_again(lost)
            self._settle()
            again = self._count()
            outcome.stored = again.stored
            outcome.lost_batches = len(lost)
            if any(record.told == "lost" for record in self.ledger.records):
                self.ledger.broken("lost again, though nothing was destroyed any more")
        for wrong in unsound(self._target.database_url, outcome.stored):
            self.ledger.broken(wrong)
        self.stop()
        outcome.violations = list(self.ledger.violations)
        return outcome

    def stop(self) -> None:
        """End all threads."""
        self._stop_senders()
        for watcher in self._watchers:
            watcher.stop()
        for watcher in self._watchers:
            watcher.join(_JOIN_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- inside ---------------------------------------------------------------------------------------------------

    def _client(self) -> Client:
        return Client(self._target.port, self._key, self.ledger)

    def _table(self) -> Table:
        return Table(self._target.database_url, self.reserved)

    def _watch(self, *, newest: bool, since: float = 0.0) -> Watcher:
        watcher = Watcher(
            *(self._client(), self.ledger, self._table(), self._promises, lambda: self._era), newest=newest, since=since
        )
        self._watchers.append(watcher)
        watcher.start()
        return watcher

    def _stop_senders(self) -> None:
        for sender in self._senders:
            sender.stop()
        for sender in self._senders:
            sender.join(_JOIN_SECONDS)
            if sender.is_alive():
                self.ledger.broken("a request never came back")

    def _settle(self) -> None:
        """Wait until every accepted batch is stored or lost."""
        for _ in range(2):  # the load is gone: receipts may have the machine
            self._watch(newest=False)

        def pending() -> int:
            return sum(record.accepted and record.told in ("", "pending") for record in self.ledger.records)

        try:
            self.ledger.wait_for(lambda: not pending(), _SETTLE_SECONDS, "every receipt final")
        except AssertionError:
            self.ledger.broken(f"{pending()} receipts are still pending after {_SETTLE_SECONDS:.0f} s")

    def _send_again(self, lost: list[Record]) -> None:
        """As a device does whose receipt says "lost"."""
        sender = Sender(self._client(), self.ledger, self.reserved, Plan(self._seed, 0, [0]), 0.0)
        for record in lost:
            record.resent += 1
            record.receipt = ""
            sender.deliver(record)

    def _count(self) -> Outcome:
        table = self._table()
        try:
            stored = count_readings(self.ledger, self.reserved, table)
            refused = count_quarantine(self.ledger, self.reserved, table, self._promises)
        finally:
            table.close()
        accepted: list[Any] = [record for record in self.ledger.records if record.accepted]
        return Outcome(
            batches=len(accepted),
            accepted=sum(record.batch.count for record in accepted),
            stored=stored,
            refused=refused,
            looks=sum(watcher.looks for watcher in self._watchers),
            retried=sum(record.attempts > 1 for record in self.ledger.records),
            answers=self.ledger.answers,
            slowest=self.ledger.slowest,
        )

"""A load of readings that cross thresholds, of which every alert and every message is accounted for at the end."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import psycopg

from tests.faults.alert_admin import Admin
from tests.faults.alert_compare import Found, compare, rules_of
from tests.faults.alert_plan import DEVICES_EACH, Crossing, InOrder, thresholds_for
from tests.faults.alert_receiver import Inbox
from tests.faults.alert_told import repeated, what_is_wrong
from tests.faults.client import Client
from tests.faults.ledger import Ledger
from tests.faults.load import Outcome
from tests.faults.plan import METRICS
from tests.faults.sender import Sender
from tests.faults.verified import unsound
from tests.live import LivePlatform
from thresholds.rule import Flapping

__all__ = ["FLAPPING", "AlertLoad", "AlertOutcome"]

#: ALERT_FLAPPING_OPENINGS and ALERT_FLAPPING_MINUTES, as the platform is to be started.
FLAPPING = Flapping(3, 60_000_000)
_SENDERS = 4
_PAUSE_SECONDS = 0.06
_LOOK_SECONDS = 0.1
_SETTLE_SECONDS = 60.0
_JOIN_SECONDS = 30.0
_runs = itertools.count(1)

_TWICE = """
SELECT threshold_id, series_id, count(*) FROM alerts_alert WHERE state IN ('open', 'acknowledged')
GROUP BY threshold_id, series_id HAVING count(*) > 1
"""
_STORED = """
SELECT count(*) FROM telemetry_reading WHERE series_id IN (
    SELECT s.id FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id WHERE d.name = ANY(%s))
"""
_NOT_JUDGED = "SELECT count(*) FROM telemetry_shardposition WHERE judged <> stored"
_LATE = "SELECT coalesce(sum(count), 0) FROM thresholds_latebreaches WHERE threshold_id = ANY(%s)"
_ON_THE_WAY = """
SELECT (SELECT count(*) FROM alerts_alertevent WHERE unrouted)
    + (SELECT count(*) FROM alerts_message WHERE state IN ('collecting', 'sending'))
"""
# As if a minute had gone by: the time that a claim is good for is tested elsewhere.
_RUN_OUT = "UPDATE alerts_message SET leased_until = now() WHERE state = 'sending' AND leased_until > now()"


@dataclass(slots=True)
class AlertOutcome(Outcome):
    """As Outcome, and what was found of alerts and messages."""

    alerts: int = 0
    changes: int = 0
    flapping: int = 0
    messages: int = 0
    repeated: int = 0

    def __str__(self) -> str:
        told = f"{self.alerts:,} alerts ({self.flapping:,} flapping) with {self.changes:,} changes by the reference"
        return f"{told}, {self.messages:,} messages, {self.repeated:,} of them repeated; {Outcome.__str__(self)}"


class AlertLoad:
    """A context manager: senders and the look for doubles run from its beginning to `finish`."""

    def __init__(self, platform: LivePlatform, inbox: Inbox, seed: int) -> None:
        self.ledger = Ledger()
        self._platform = platform
        self._inbox = inbox
        self._seed = seed
        name = f"crossing-{seed}-{next(_runs)}-{time.time_ns()}"
        self._crossing = Crossing.made(name, _SENDERS * DEVICES_EACH, seed)
        self._channels = {f"/{name}/all": f"{name} all", f"/{name}/worst": f"{name} worst"}
        self._thresholds: list[Any] = []
        self._plans: list[InOrder] = []
        self._senders: list[Sender] = []
        self._looks = 0
        self._stopping = threading.Event()
        self._looking = threading.Thread(target=self._look, name="look-for-doubles", daemon=True)
        self._key = ""

    # --- run ------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._register()
        for number in range(_SENDERS):
            devices = list(range(number * DEVICES_EACH, (number + 1) * DEVICES_EACH))
            plan = InOrder(self._seed, number, devices)
            self._plans.append(plan)
            self._senders.append(self._sender(plan))
        for thread in (*self._senders, self._looking):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_senders()
        self._stopping.set()
        self._looking.join(_JOIN_SECONDS)

    def wait_for_accepted(self, more: int, seconds: float = 60.0) -> None:
        """Wait until so many more batches are answered 202. Raises AssertionError."""
        goal = self.ledger.accepted + more
        self.ledger.wait_for(lambda: self.ledger.accepted >= goal, seconds, f"{more} more batches accepted")

    def wait(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for a condition; where it does not come to hold, that is broken, and the load goes on."""
        try:
            self._platform.wait_until(condition, seconds, what)
        except AssertionError as error:
            self.ledger.broken(str(error))

    def let_leases_run_out(self) -> None:
        """What was claimed by a process that is gone may be claimed by another."""
        with self._platform.database() as connection:
            connection.execute(_RUN_OUT)

    # --- end ------------------------------------------------------------------------------------------------------

    def finish(self) -> AlertOutcome:
        """Stop sending; wait until everything is judged and told; compare."""
        self._stop_senders()
        self._send_what_was_not_accepted()
        with self._platform.database() as connection:
            self._wait_until_judged(connection)
            self._wait_until_told(connection)
            found = self._compare(connection)
            self._look_at_messages(connection)
            stored = self._stored(connection)
        for wrong in unsound(self._platform.database_url, stored):
            self.ledger.broken(wrong)
        self.__exit__()
        accepted = [record for record in self.ledger.records if record.accepted]
        return AlertOutcome(
            batches=len(accepted),
            accepted=sum(record.batch.count for record in accepted),
            stored=stored,
            looks=self._looks,
            retried=sum(record.attempts > 1 for record in self.ledger.records),
            answers=self.ledger.answers,
            slowest=self.ledger.slowest,
            violations=[*self.ledger.violations, *found.wrong[:10]],
            alerts=found.alerts,
            changes=found.changes,
            flapping=found.flapping,
            messages=len({request.key for request, _ in self._told()}),
            repeated=repeated(self._told()),
        )

    # --- inside ---------------------------------------------------------------------------------------------------

    def _register(self) -> None:
        admin = Admin(self._platform)
        admin.no_routes()
        every, worst = self._channels
        admin.tell(self._channels[every], f"http://127.0.0.1:{self._inbox.port}{every}")
        admin.tell(self._channels[worst], f"http://127.0.0.1:{self._inbox.port}{worst}", min_severity="critical")
        device_type = self._crossing.devices[0]
        # Readings further apart than 15 s are a gap of the one; of the other nothing is known.
        metrics = [{"name": METRICS[0], "expected_interval": 5}, {"name": METRICS[1]}]
        admin.make("device-types", {"name": device_type, "metrics": metrics})
        for name in self._crossing.devices:
            admin.make("devices", {"name": name, "type": device_type})
        self._key = admin.make("keys", {"name": "faults", "scope": {"all": True}})["key"]
        for body in thresholds_for(device_type, self._crossing.devices[0]):
            overrides = self._thresholds[0]["id"] if "device" in body["scope"] else None
            self._thresholds.append(admin.make("thresholds", {**body, "overrides": overrides}))

    def _sender(self, plan: InOrder) -> Sender:
        client = Client(self._platform.port, self._key, self.ledger)
        return Sender(client, self.ledger, self._crossing, plan, _PAUSE_SECONDS)

    def _stop_senders(self) -> None:
        for sender in self._senders:
            sender.stop()
        for sender in self._senders:
            sender.join(_JOIN_SECONDS)
            if sender.is_alive():
                self.ledger.broken("a request never came back")

    def _send_what_was_not_accepted(self) -> None:
        """The last batch of a sender may be in the log, or not: now it is."""
        sender = self._sender(self._plans[0])
        for record in self.ledger.records:
            if not record.accepted:
                sender.deliver(record)

    def _look(self) -> None:
        """Whether a pair has two live alerts, all the time."""
        connection = None
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                if connection is None:
                    connection = self._platform.database()
                for threshold, series, count in connection.execute(_TWICE).fetchall():
                    self.ledger.broken(f"threshold {threshold}, series {series}: {count} live alerts at once")
                self._looks += 1
            except psycopg.Error:  # killed just now
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _wait_until_judged(self, connection: psycopg.Connection[Any]) -> None:
        sent = sum(record.batch.count for record in self.ledger.records)

        def judged() -> bool:
            return self._stored(connection) >= sent and _number(connection, _NOT_JUDGED) == 0

        self.wait(judged, _SETTLE_SECONDS, f"{sent} readings stored and judged")
        if (stored := self._stored(connection)) != sent:
            self.ledger.broken(f"{stored} readings are stored of {sent} that were sent")
        if late := _number(connection, _LATE, self._ids()):
            self.ledger.broken(f"{late} readings counted as late, though all came in order")

    def _wait_until_told(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(_RUN_OUT)
        self.wait(lambda: _number(connection, _ON_THE_WAY) == 0, _SETTLE_SECONDS, "every message sent")

    def _compare(self, connection: psycopg.Connection[Any]) -> Found:
        sent = {device: count for plan in self._plans for device, count in plan.sent.items() if count}
        rules = rules_of(self._thresholds, connection)
        return compare(connection, rules, self._crossing, sent, FLAPPING)

    def _look_at_messages(self, connection: psycopg.Connection[Any]) -> None:
        for wrong in what_is_wrong(connection, self._told(), self._channels, self._ids()):
            self.ledger.broken(wrong)

    def _told(self) -> list[Any]:
        return [(request, status) for request, status in self._inbox.answered if request.path in self._channels]

    def _ids(self) -> list[int]:
        return [threshold["id"] for threshold in self._thresholds]

    def _stored(self, connection: psycopg.Connection[Any]) -> int:
        return _number(connection, _STORED, list(self._crossing.devices))


def _number(connection: psycopg.Connection[Any], sql: str, *parameters: Any) -> int:
    row = connection.execute(sql, parameters).fetchone()
    assert row is not None
    return int(row[0])

"""What every sender of the run does: it keeps the ledger, and times that no other reading of its device has."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gevent
import numpy as np
from locust import FastHttpUser
from locust.exception import StopUser

from benchmarks.traffic.ledger import Ledger
from benchmarks.traffic.plan import METRICS, Member, Plan, values

__all__ = ["LEDGER", "READINGS", "Packet", "Sender", "TrafficUser"]

READINGS = "/api/v1/readings"
#: Of this process: the senders share it, for they take turns in one thread.
LEDGER = Ledger()
#: A sender goes on with its next reading after so many 503 to the same one; the values stay in doubt.
_MOST_TRIES = 20
_LONGEST_WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Packet:
    """A request body; `times` are the readings in it (ms since 1970, by device), each with a value of every metric."""

    body: bytes
    times: Mapping[str, list[int]]

    @property
    def values(self) -> int:
        return len(METRICS) * sum(len(each) for each in self.times.values())


class TrafficUser(FastHttpUser):
    """A user of the plan: the next member of its kind. `kind` is set by each class; `plan` before the run starts."""

    abstract = True
    kind = ""
    plan: Plan
    #: No request leaves after it (time.monotonic), so that none is under way when Locust ends the users.
    until = float("inf")
    #: Retries are the platform's promise to be tried, not the client's doing.
    max_retries = 0
    connection_timeout = 30.0
    network_timeout = 30.0
    _taken: dict[str, int] = {}

    member: Member

    def on_start(self) -> None:
        number = self._taken.get(self.kind, 0)
        self._taken[self.kind] = number + 1
        self.member = self.plan.members[self.kind][number]

    def go_on(self) -> None:
        """Before something new is sent. Raises StopUser when the time is up."""
        if time.monotonic() > self.until:
            raise StopUser

    def ask(
        self,
        name: str,
        method: str,
        path: str,
        expected: int = 200,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        values: int = 0,
    ) -> tuple[int, str, float]:
        """One request: its status (0: no answer), its text, the seconds that it asks to wait.

        Any status but the one expected and 503 with Retry-After is a broken promise.
        """
        with self.client.request(
            method, path, name=name, data=body, headers=dict(headers or {}), catch_response=True, allow_redirects=False
        ) as response:
            status, text = response.status_code, response.text or ""
            retry_after = (response.headers or {}).get("Retry-After")
            LEDGER.answered(name, status, values, retry_after)
            if status == expected or (status == 503 and retry_after):
                response.success()
            else:
                response.failure(f"{status} {text[:200]}")
                if 0 < status < 500:
                    LEDGER.broke(f"{name} was answered {status}, not {expected}: {text[:200]}")
        return status, text, float(retry_after or 0)


class Sender(TrafficUser):
    """A user that sends readings."""

    abstract = True

    def on_start(self) -> None:
        super().on_start()
        self._newest: dict[str, int] = {}

    def packet(self, counts: Mapping[str, int]) -> Packet:
        """So many readings of each device, ending now, at 1 ms each, after all that it measured before."""
        times = {}
        for device, count in counts.items():
            first = max(self._newest.get(device, 0) + 1, int(time.time() * 1000) - count)
            times[device] = list(range(first, first + count))
            self._newest[device] = times[device][-1]
        return self.pack(times)

    def pack(self, times: Mapping[str, list[int]]) -> Packet:
        """What those devices measured at those times. Raises StopUser when the time is up, as `packet` does."""
        self.go_on()
        readings = [reading for device, each in times.items() for reading in self._readings(device, each)]
        return Packet(json.dumps(readings if len(readings) > 1 else readings[0]).encode(), times)

    def deliver(self, name: str, packet: Packet, idempotency_key: str = "") -> str:
        """Send until it is taken, waiting where the platform asks for it. Its receipt; "" where there is none."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        for _ in range(_MOST_TRIES):
            LEDGER.leaves(packet.times, packet.values)
            status, answer, wait = self.send(name, packet.body, self.member.key, 202, packet.values, headers)
            if status == 202:
                return self._accepted(name, packet, answer)
            if status != 503:
                return ""
            gevent.sleep(min(wait, _LONGEST_WAIT_SECONDS))
        return ""

    def send(
        self,
        name: str,
        body: bytes,
        key: str,
        expected: int,
        values: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any, float]:
        """POST a body: the status, the answer from JSON (None: it is none), the seconds that it asks to wait."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if key:
            sent["Authorization"] = f"Bearer {key}"
        status, text, wait = self.ask(name, "POST", READINGS, expected, body, sent, values)
        try:
            return status, json.loads(text), wait
        except ValueError:
            return status, None, wait

    def _accepted(self, name: str, packet: Packet, answer: Any) -> str:
        found = answer if isinstance(answer, dict) else {}
        receipt, accepted = str(found.get("receipt", "")), found.get("accepted")
        if not receipt or accepted != packet.values or found.get("rejected"):
            LEDGER.broke(f"{name}: of {packet.values} values the answer says {str(answer)[:200]}")
        if receipt:
            LEDGER.accept(packet.times, receipt, int(accepted or 0))
        return receipt

    def _readings(self, device: str, times: list[int]) -> list[dict[str, Any]]:
        number, at = self.plan.numbers[device], np.array(times, np.int64)
        columns = [values(number, metric, at).tolist() for metric in range(len(METRICS))]
        return [
            {"device": device, "time": when, "metrics": dict(zip(METRICS, row, strict=True))}
            for when, row in zip(times, zip(*columns, strict=True), strict=True)
        ]

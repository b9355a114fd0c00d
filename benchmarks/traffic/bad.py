"""A device that sends what is to be refused: the right refusal is its success."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from locust import between, task

from benchmarks.traffic.plan import METRICS, RANGE
from benchmarks.traffic.sending import LEDGER, Sender

__all__ = ["BAD", "Bad", "BadSender"]

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
#: Far beyond MAX_BODY_BYTES when unpacked, some KB on the line.
_BOMB = gzip.compress(b" " * (16 << 20))


@dataclass(frozen=True, slots=True)
class Bad:
    """One kind of bad request and its right refusal.

    ``body`` makes it from the sender's device and the time (ms since 1970). ``code`` is the reason that the answer must
    name, "" where the request is refused before anybody looks into it; then nothing of it goes to quarantine.
    """

    name: str
    status: int
    code: str
    body: Callable[[str, int], bytes]
    key: str = "own"
    headers: Mapping[str, str] | None = None


def _reading(device: str, at: Any, value: Any = 20.5) -> bytes:
    return json.dumps({"device": device, "time": at, "metrics": {METRICS[0]: value}}).encode()


BAD = (
    Bad("cut short", 400, "malformed", lambda device, now: _reading(device, now)[:-9]),
    Bad("not a number", 400, "not_finite", lambda device, now: _reading(device, now, float("nan"))),
    Bad("a text", 400, "invalid_value", lambda device, now: _reading(device, now, "hot")),
    Bad("out of range", 400, "out_of_range", lambda device, now: _reading(device, now, RANGE[1] + 100)),
    Bad("no time", 400, "invalid_time", lambda device, now: _reading(device, "yesterday")),
    Bad("future", 400, "too_far_in_future", lambda device, now: _reading(device, now + _HOUR_MS)),
    Bad("old", 400, "too_old", lambda device, now: _reading(device, now - 60 * _DAY_MS)),
    Bad("nobody's device", 400, "unknown_device", lambda device, now: _reading(f"{device}-gone", now), "wide"),
    Bad("another's device", 403, "forbidden_device", lambda device, now: _reading(f"{device}-other", now)),
    Bad("no key", 401, "", lambda device, now: _reading(device, now), "none"),
    Bad("wrong key", 401, "", lambda device, now: _reading(device, now), "wrong"),
    Bad("not JSON", 415, "", lambda device, now: b"temperature=20.5", headers={"Content-Type": "text/plain"}),
    Bad("gzip bomb", 413, "", lambda device, now: _BOMB, headers={"Content-Encoding": "gzip"}),
)


class BadSender(Sender):
    """A device of broken make."""

    kind = "bad"
    wait_time = between(0.3, 1.0)

    @task(4)
    def bad(self) -> None:
        self.go_on()
        bad = random.choice(BAD)
        key = {"own": self.member.key, "wide": self.member.wide_key, "none": "", "wrong": "iot_000000000000_wrong"}
        body = bad.body(self.member.devices[0], int(time.time() * 1000))
        status, answer, _ = self.send(f"bad: {bad.name}", body, key[bad.key], bad.status, headers=bad.headers)
        if not bad.code:
            return
        if status == bad.status:
            self._refused(bad.name, bad.code, answer)
        elif not status or status >= 500:
            LEDGER.doubtful_refusals += 1

    @task(1)
    def mixed(self) -> None:
        """A good reading beside a bad one: the good one is taken."""
        good = self.packet({self.member.devices[0]: 1})
        body = b"[" + good.body + b"," + BAD[3].body(self.member.devices[0], int(time.time() * 1000)) + b"]"
        LEDGER.leaves(good.times, good.values)
        status, answer, _ = self.send("bad: beside good", body, self.member.key, 202, good.values)
        if status == 202:
            LEDGER.accept(good.times, answer["receipt"], answer["accepted"])
            if (answer["accepted"], answer["rejected"]) != (good.values, 1):
                LEDGER.broke(f"bad: beside good: of {good.values} good values the answer says {str(answer)[:200]}")
            self._refused("beside good", "out_of_range", answer)
        elif not status or status >= 500:
            LEDGER.doubtful_refusals += 1

    def _refused(self, name: str, code: str, answer: Any) -> None:
        errors = answer.get("errors") if isinstance(answer, dict) else None
        codes = [error.get("code") for error in errors or ()]
        if codes != [code]:
            LEDGER.broke(f"bad: {name}: the answer names {codes}, not {code}")
        LEDGER.refused[code] += 1

"""Questions over HTTP as a logged-in operator asks them, one after the other, each answer timed to its last byte."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import msgspec

from benchmarks import bodies
from benchmarks.bench import Bench
from benchmarks.load import sender
from benchmarks.load.result import LostReading

__all__ = ["ASKED", "Asked", "ask", "half_load"]

#: Questions for each figure.
ASKED = 200
_WARM_UP = 20
_TIMEOUT_SECONDS = 30
_SIZE = 1_000


@dataclass(slots=True)
class Asked:
    """Times of answers in ms, in ascending order."""

    took: list[float] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        return round(self.took[min(len(self.took) - 1, len(self.took) * percent // 100)], 1)

    def summary(self) -> dict[str, Any]:
        return {"p50_ms": self.percentile(50), "p95_ms": self.percentile(95), "worst_ms": round(self.took[-1], 1),
                "asked": len(self.took)}  # fmt: skip


def ask(bench: Bench, path: Callable[[int], str], check: Callable[[Any], bool], times: int = ASKED) -> Asked:
    """Ask for `path(0)`, `path(1)` … over one connection. Every question should be another one: what was asked before is
    answered from the cache. Raises LostReading for an answer that `check` does not accept."""
    line = http.client.HTTPConnection("127.0.0.1", bench.platform.port, timeout=_TIMEOUT_SECONDS)
    headers = {"Cookie": f"sessionid={bench.access.session}"}
    asked = Asked()
    try:
        for number in range(_WARM_UP + times):
            began = time.perf_counter()
            line.request("GET", path(number), headers=headers)
            answer = line.getresponse()
            body = answer.read()
            took = (time.perf_counter() - began) * 1000
            if answer.status != 200 or not check(msgspec.json.decode(body)):
                raise LostReading(f"{path(number)} is answered {answer.status}: {body[:500]!r}")
            if number >= _WARM_UP:
                asked.took.append(took)
    finally:
        line.close()
    asked.took.sort()
    return asked


@contextmanager
def half_load(bench: Bench, seconds: int) -> Iterator[Callable[[], bool]]:
    """P1's load at half its best rate for so long, into the full store; yields a question: whether it is still going on.

    At its end all of it must be stored, and in the minutes, or what is asked next without load would be asked beside the
    refresh: raises LostReading otherwise.
    """
    rate = bench.best_rate * 0.5
    load = bench.load(bodies.one_metric, _SIZE, round(rate * seconds))
    committed, rows = bench.store.committed(), bench.store.rows()
    errors: list[BaseException] = []

    def send() -> None:
        try:
            sender.send(load, bench.platform.port, rate / _SIZE)
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=send, daemon=True)
    thread.start()
    bench.store.wait_for(committed + 1)
    yield thread.is_alive
    thread.join()
    if errors:
        raise errors[0]
    bench.store.wait_for(committed + load.readings)
    bench.store.must_have(rows + load.readings)
    bench.store.wait_for_minutes()

"""Our own load generator: prebuilt requests over raw sockets, at set times or as fast as they are answered.

It paces P3 and P6, which wrk cannot, and stands in for wrk where that is missing; it then takes more of the machine
away from what is measured, and the result says so.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.load.line import Line
from benchmarks.load.requests import Load
from benchmarks.load.result import Sent

_PATIENCE_SECONDS = 60
_SHORTEST_PAUSE = 0.05
_LEAD_SECONDS = 0.3
#: No answer, and "not now".
_SEND_AGAIN = {0, 503}


@dataclass(frozen=True, slots=True)
class Pace:
    """When requests are due: open loop, whether the earlier ones are answered or not. `start` is a time.monotonic()."""

    start: float
    posts_per_second: float | None

    def due(self, number: int) -> float | None:
        """When the request of that number, counted over all connections, is due; None for "as soon as possible"."""
        return None if self.posts_per_second is None else self.start + number / self.posts_per_second


@dataclass(slots=True)
class _Log:
    """What one connection saw: per request its first sending and its last answer, in order."""

    sent: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: int = 0
    latest: float = 0.0


@dataclass(frozen=True, slots=True)
class Timed:
    """A result, with the time at which each request was first sent: `sent_at[connection][post]`, time.monotonic()."""

    sent: Sent
    sent_at: list[list[float]]


def send(
    load: Load,
    port: int,
    posts_per_second: float | None = None,
    processes: int = 1,
    starting: Callable[[Pace], None] = lambda pace: None,
) -> Timed:
    """Send every request; one answered 503, or not at all, is sent again after its Retry-After, as a device would.

    With `posts_per_second` requests are due at set times, else as soon as the one before is answered. `starting` is
    called when all is in memory, shortly before the first request leaves. Returns when every request has been answered
    otherwise. Raises RuntimeError where that takes too long.
    """
    context = multiprocessing.get_context("spawn")
    children, ends = [], []
    try:
        for number in range(processes):
            mine = list(range(number, load.connections, processes))
            here, there = context.Pipe()
            child = context.Process(target=_child, args=(there, load, port, mine), daemon=True)
            child.start()
            children.append(child)
            ends.append(here)
        for end in ends:
            end.recv()
        pace = Pace(time.monotonic() + _LEAD_SECONDS, posts_per_second)
        starting(pace)
        for end in ends:
            end.send(pace)
        logs: dict[int, _Log] = {}
        for end in ends:
            answer = end.recv()
            if isinstance(answer, str):
                raise RuntimeError(f"the load generator failed: {answer}")
            logs.update(answer)
    finally:
        for child in children:
            child.kill()
            child.join()
    return _timed([logs[number] for number in range(load.connections)])


def _timed(logs: list[_Log]) -> Timed:
    statuses: Counter[int] = Counter()
    for log in logs:
        statuses.update(log.statuses)
    took = sorted(done - sent for log in logs for sent, done in zip(log.sent, log.answered, strict=True))
    sent = Sent(
        began=min(log.sent[0] for log in logs),
        ended=max(log.answered[-1] for log in logs),
        accepted=sum(log.accepted for log in logs),
        statuses=statuses,
        p50_ms=took[len(took) // 2] * 1000,
        p99_ms=took[len(took) * 99 // 100] * 1000,
        notes={"sent_late_ms_worst": max(log.latest for log in logs) * 1000},
    )
    return Timed(sent, [log.sent for log in logs])


def _child(end: Connection, load: Load, port: int, connections: list[int]) -> None:
    logs = {number: _Log() for number in connections}
    requests = {number: Path(load.directory / f"{number}.http").read_bytes() for number in connections}
    errors: list[str] = []
    end.send("ready")
    pace = end.recv()
    threads = [
        threading.Thread(target=_guarded, args=(errors, logs[number], load, requests[number], port, pace, number))
        for number in connections
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end.send(errors[0] if errors else logs)


def _guarded(errors: list[str], log: _Log, load: Load, requests: bytes, port: int, pace: Pace, number: int) -> None:
    try:
        _send_all(log, load, memoryview(requests), port, pace, number)
    except (OSError, ValueError) as error:
        errors.append(f"connection {number}: {error!r}")


def _send_all(log: _Log, load: Load, requests: memoryview, port: int, pace: Pace, number: int) -> None:
    with Line(port) as line:
        position = 0
        for post, length in enumerate(load.lengths(number)):
            due = pace.due(post * load.connections + number)
            if due is not None:
                time.sleep(max(0.0, due - time.monotonic()))
                log.latest = max(log.latest, time.monotonic() - due)
            log.sent.append(time.monotonic())
            log.accepted += _send_until_taken(line, requests[position : position + length], log.statuses)
            log.answered.append(time.monotonic())
            position += length


def _send_until_taken(line: Line, request: memoryview, statuses: Counter[int]) -> int:
    """The number of readings accepted. A request without an answer is sent again, too: repeats are stored once."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        answer = line.exchange(request)
        statuses[answer.status] += 1
        if answer.status not in _SEND_AGAIN:
            return answer.accepted()
        if time.monotonic() > deadline:
            raise ConnectionError(f"refused for {_PATIENCE_SECONDS} s: {answer.status} {answer.body[:500]!r}")
        time.sleep(max(_SHORTEST_PAUSE, answer.retry_after))

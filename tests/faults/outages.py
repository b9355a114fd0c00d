"""Servers that are away, or that hang, for longer than anybody's patience."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.faults.load import Load, Outcome
from tests.live import LivePlatform

__all__ = ["database_away", "database_hangs", "frozen", "log_away", "log_hangs"]

#: During an outage a refusal must come at once, once the outage is known.
_KNOWN_AFTER_SECONDS = 5.0
_AT_ONCE_SECONDS = 2.0


def database_away(platform: LivePlatform, seconds: int, seed: int) -> Outcome:
    """PostgreSQL is down: intake says 503 at once, nothing is set aside, everything is stored afterwards."""
    with Load(platform, seed) as load:
        load.wait_for_accepted(30)
        platform.kill("postgres")
        _watch_refusals(load, seconds)
        platform.restart("postgres")
        load.wait_for_accepted(30)
        return load.finish()


def log_away(platform: LivePlatform, seconds: int, seed: int) -> Outcome:
    """The log server is down: nothing can be accepted, and that is said at once."""
    with Load(platform, seed) as load:
        load.wait_for_accepted(30)
        platform.kill("log")
        _watch_refusals(load, seconds)
        platform.restart("log")
        load.wait_for_accepted(30)
        return load.finish()


def database_hangs(platform: LivePlatform, seconds: int, seed: int) -> Outcome:
    """PostgreSQL takes connections and does not answer."""
    return _hang(platform, "postgres", seconds, seed)


def log_hangs(platform: LivePlatform, seconds: int, seed: int) -> Outcome:
    """The log server takes connections and does not answer."""
    return _hang(platform, "log", seconds, seed)


def _hang(platform: LivePlatform, name: str, seconds: int, seed: int) -> Outcome:
    with Load(platform, seed) as load:
        load.wait_for_accepted(30)
        with frozen(platform.servers.pid(name)):
            load.run_for(seconds)
        load.wait_for_accepted(30)
        return load.finish()


def _watch_refusals(load: Load, seconds: float) -> None:
    """The outage: it lasts so long, and beyond its beginning every request is refused, fast."""
    unknown = min(_KNOWN_AFTER_SECONDS, seconds / 2)
    load.run_for(unknown)
    load.ledger.slowest_refusal, load.ledger.refusals_since = 0.0, time.monotonic()
    accepted, refused = load.ledger.accepted_at_once, load.ledger.answers[503]
    load.run_for(seconds - unknown)
    if load.ledger.accepted_at_once != accepted:
        load.ledger.broken(f"{load.ledger.accepted_at_once - accepted} batches answered 202 during the outage")
    if load.ledger.answers[503] == refused:
        load.ledger.broken("nothing was refused during the outage")
    if load.ledger.slowest_refusal > _AT_ONCE_SECONDS:
        load.ledger.broken(f"a refusal took {load.ledger.slowest_refusal:.1f} s during the outage")


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process and what it forked, stopped (SIGSTOP) for a while."""
    first = psutil.Process(pid)
    members = [first, *first.children(recursive=True)]
    for member in members:
        member.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for member in members:
            member.send_signal(signal.SIGCONT)

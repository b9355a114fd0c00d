"""Processes asked to stop (SIGTERM) under load, one after the other, and the time that each takes."""

from __future__ import annotations

import contextlib
import random
import signal
import time

import psutil

from tests.faults.ledger import NO_ANSWER, Ask
from tests.faults.load import Load, Outcome
from tests.faults.outages import frozen
from tests.live import LivePlatform

__all__ = ["terminate"]

_NAMES = ("web", "drain1", "worker", "drain2", "beat")
_PATIENCE_SECONDS = 10.0
#: Requests younger than that may not have come in when the process is asked to stop.
_HELD_SECONDS = 0.5


def terminate(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """Each ends within the time that the launcher gives it before SIGKILL, loses nothing, and answers what it was asked.

    When web is asked to stop, nothing is stored for a while: requests with ``?wait=`` are held, and must be answered.
    """
    chance = random.Random(seed)
    slowest: dict[str, float] = {}
    answered = 0
    with Load(platform, seed) as load:
        for number in range(rounds):
            name = _NAMES[number % len(_NAMES)]
            load.wait_for_accepted(chance.randint(5, 60))
            with contextlib.ExitStack() as stack:
                held = _held_requests(stack, platform, load) if name == "web" else []
                took = _seconds_to_stop(platform, name)
            answered += _count_answers(load, held)
            slowest[name] = max(slowest.get(name, 0.0), took)
            grace = platform.command(name).stop_seconds
            if took > grace:
                load.ledger.broken(f"{name} took {took:.1f} s to stop, it is killed after {grace:.1f} s")
            platform.restart(name)
        load.wait_for_accepted(50)
        outcome = load.finish()
    outcome.notes += [f"{name} stops in {seconds:.1f} s" for name, seconds in slowest.items()]
    outcome.notes.append(f"{answered} requests were under way when web was stopped, all answered")
    return outcome


def _held_requests(stack: contextlib.ExitStack, platform: LivePlatform, load: Load) -> list[Ask]:
    """Requests that wait for what is not stored until ``stack`` ends; they came a while ago."""
    for name in ("drain1", "drain2"):
        stack.enter_context(frozen(platform.family(name)[0].pid))
    platform.wait_until(lambda: len(load.ledger.under_way(_HELD_SECONDS)) >= 2, 20, "requests that are held")
    return load.ledger.under_way(_HELD_SECONDS)


def _count_answers(load: Load, held: list[Ask]) -> int:
    load.ledger.wait_for(lambda: all(ask.status is not None for ask in held), 20, "an end of what was under way")
    for ask in held:
        if ask.status == NO_ANSWER:
            load.ledger.broken(f"{ask.what} was under way when web was stopped, and was not answered")
    return len(held)


def _seconds_to_stop(platform: LivePlatform, name: str) -> float:
    members = platform.family(name)
    began = time.monotonic()
    members[0].send_signal(signal.SIGTERM)
    for left in psutil.wait_procs(members, timeout=_PATIENCE_SECONDS)[1]:
        left.kill()
    return time.monotonic() - began

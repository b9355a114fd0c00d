"""Processes asked to stop (SIGTERM) under load, one after the other, and the time that each takes."""

from __future__ import annotations

import random
import signal
import time

import psutil

from tests.faults.load import Load, Outcome
from tests.live import LivePlatform

__all__ = ["terminate"]

_NAMES = ("web", "drain1", "worker", "drain2", "beat")
_PATIENCE_SECONDS = 10.0


def terminate(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """Each ends within the time that the launcher gives it before SIGKILL, and loses nothing."""
    chance = random.Random(seed)
    slowest: dict[str, float] = {}
    with Load(platform, seed) as load:
        for number in range(rounds):
            name = _NAMES[number % len(_NAMES)]
            load.wait_for_accepted(chance.randint(5, 60))
            took = _seconds_to_stop(platform, name)
            slowest[name] = max(slowest.get(name, 0.0), took)
            grace = platform.command(name).stop_seconds
            if took > grace:
                load.ledger.broken(f"{name} took {took:.1f} s to stop, it is killed after {grace:.1f} s")
            platform.restart(name)
        load.wait_for_accepted(50)
        outcome = load.finish()
    outcome.notes += [f"{name} stops in {seconds:.1f} s" for name, seconds in slowest.items()]
    return outcome


def _seconds_to_stop(platform: LivePlatform, name: str) -> float:
    members = platform.family(name)
    began = time.monotonic()
    members[0].send_signal(signal.SIGTERM)
    for left in psutil.wait_procs(members, timeout=_PATIENCE_SECONDS)[1]:
        left.kill()
    return time.monotonic() - began

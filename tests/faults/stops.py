"""The whole platform stopped, or killed, under load, and started again."""

from __future__ import annotations

import contextlib
import random
import signal
from pathlib import Path

from tests.faults.launched import LaunchedPlatform
from tests.faults.load import Load, Outcome

__all__ = ["kill_launcher", "stop_and_kill"]

_WAYS = (signal.SIGTERM, signal.SIGKILL, signal.SIGINT)


def stop_and_kill(run_dir: Path, rounds: int, seed: int) -> Outcome:
    """SIGTERM, SIGKILL to all of it, Ctrl-C, in turn: after a stop nothing is left, and every start has all the data."""
    chance = random.Random(seed)
    platform = LaunchedPlatform(run_dir, SIMULATOR="on")
    with contextlib.ExitStack() as stack:
        stack.callback(platform.end)
        platform.start()
        with Load(platform, seed) as load:
            for number in range(rounds):
                load.wait_for_accepted(chance.randint(20, 100))
                way = _WAYS[number % len(_WAYS)]
                if way == signal.SIGKILL:
                    platform.kill()
                else:
                    for wrong in platform.stop(way):
                        load.ledger.broken(f"stop by {way.name}: {wrong}")
                platform.start()
            load.wait_for_accepted(50)
            outcome = load.finish()
        outcome.violations += platform.stop(signal.SIGTERM)
        return outcome


def kill_launcher(run_dir: Path, rounds: int, seed: int) -> Outcome:
    """SIGKILL to the launcher alone: what it started ends with it, and the next start has all the data."""
    chance = random.Random(seed)
    platform = LaunchedPlatform(run_dir)
    slowest = 0.0
    with contextlib.ExitStack() as stack:
        stack.callback(platform.end)
        platform.start()
        with Load(platform, seed) as load:
            for _ in range(rounds):
                load.wait_for_accepted(chance.randint(20, 100))
                took, left = platform.kill_launcher()
                slowest = max(slowest, took)
                for command in left:
                    load.ledger.broken(f"outlived the launcher: {command}")
                platform.start()
            load.wait_for_accepted(50)
            outcome = load.finish()
        outcome.violations += platform.stop(signal.SIGTERM)
        outcome.notes.append(f"all had ended {slowest:.1f} s after the launcher at most")
        return outcome

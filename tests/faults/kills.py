"""Processes and servers killed (SIGKILL) at random moments under load."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.faults.load import Load, Outcome
from tests.live import LivePlatform

__all__ = ["kill_background", "kill_database", "kill_drains", "kill_everything", "kill_log", "kill_web"]

_SERVERS = ("postgres", "log", "cache")


def kill_drains(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """A worker that stores readings, and a new one in its place."""
    return _kill(platform, ["drain1", "drain2"], rounds, seed)


def kill_log(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """The Redis-compatible server with the log; it comes back with its append-only file."""
    return _kill(platform, ["log"], rounds, seed)


def kill_database(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """PostgreSQL; it recovers from its own log."""
    return _kill(platform, ["postgres"], rounds, seed)


def kill_web(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """The web server whole, or one of its worker processes, which its main process replaces."""

    def one_worker(chance: random.Random) -> None:
        workers = platform.family("web")[1:]
        chance.choice(workers).kill()

    return _kill(platform, ["web"], rounds, seed, one_worker)


def kill_background(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """The general worker or beat, which readings do without for a while."""
    return _kill(platform, ["worker", "beat"], rounds, seed)


def kill_everything(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """Every process and every server, in any order, one right after the other; then all come back in any order."""
    chance = random.Random(seed)
    with Load(platform, seed) as load:
        for _ in range(rounds):
            load.wait_for_accepted(chance.randint(20, 120))
            processes, servers = list(platform.running), list(_SERVERS)
            everything = [*processes, *servers]
            chance.shuffle(everything)
            for name in everything:
                platform.kill(name)
            # The web server is last: whoever starts it here waits for its first answer.
            chance.shuffle(servers)
            chance.shuffle(processes)
            for name in [*servers, *sorted(processes, key="web".__eq__)]:
                platform.restart(name)
        load.wait_for_accepted(50)
        return load.finish()


def _kill(
    platform: LivePlatform,
    names: Sequence[str],
    rounds: int,
    seed: int,
    instead: Callable[[random.Random], None] | None = None,
) -> Outcome:
    """``instead``: done in every second round in place of killing one of ``names``."""
    chance = random.Random(seed)
    with Load(platform, seed) as load:
        for number in range(rounds):
            load.wait_for_accepted(chance.randint(5, 120))
            if instead is not None and number % 2:
                instead(chance)
            else:
                name = chance.choice(names)
                platform.kill(name)
                platform.restart(name)
        load.wait_for_accepted(50)
        return load.finish()

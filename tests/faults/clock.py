"""The machine's clock is set back or forward by an hour or a day, and later right again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from telemetry.log import keys
from tests.faults.faked_clock import FakedClock
from tests.faults.load import Load, Outcome
from tests.live import LivePlatform

__all__ = ["clock_back_and_forth", "clock_jumps", "platform_with_clock"]

_DAY = 24
_JUMPS = (1, -1, _DAY, -_DAY)


@contextlib.contextmanager
def platform_with_clock(run_dir: Path) -> Iterator[tuple[LivePlatform, FakedClock]]:
    """A platform whose every process, servers included, has a clock that can be set."""
    run_dir.mkdir(parents=True, exist_ok=True)
    run_dir.chmod(0o755)  # the database may run as another user, and reads the clock's file
    with (
        contextlib.closing(FakedClock(run_dir)) as clock,
        clock.for_children(),
        LivePlatform(run_dir / "platform") as platform,
    ):
        yield platform, clock


def clock_back_and_forth(platform: LivePlatform, clock: FakedClock, seed: int) -> Outcome:
    """A day back under load, then processes that start under that clock, then right again: the sum of both ways."""
    with Load(platform, seed) as load:
        load.wait_for_accepted(40)
        clock.set(-_DAY)
        _wait_for_clock(platform, hours=-_DAY)
        load.wait_for_accepted(40)
        for name in ("drain1", "drain2", "web", "beat"):
            platform.kill(name)
            platform.restart(name)
            load.wait_for_accepted(20)
        outcome = load.finish()
    with Load(platform, seed + 1) as load:
        load.wait_for_accepted(40)
        clock.set(0)
        _wait_for_clock(platform, hours=0)
        load.wait_for_accepted(40)
        outcome.add(load.finish())
    return outcome


def clock_jumps(platform: LivePlatform, clock: FakedClock, rounds: int, seed: int) -> Outcome:
    """An hour on, an hour back, a day on, a day back, each from the true time and to it again, under load.

    After each jump beat goes on within its time.
    """
    with Load(platform, seed) as load:
        for number in range(rounds):
            for hours in (_JUMPS[number % len(_JUMPS)], 0):
                load.wait_for_accepted(20)
                clock.set(hours)
                _wait_for_clock(platform, hours=hours)
                load.wait_for_accepted(20)
                _wait_for_beat(platform, load)
        load.wait_for_accepted(20)
        return load.finish()


def _wait_for_beat(platform: LivePlatform, load: Load) -> None:
    """What only beat starts is done again within its time."""
    with platform.redis() as client:
        client.delete(keys.worker("worker"))
        try:
            platform.wait_until(lambda: client.exists(keys.worker("worker")), 20, "a task that only beat starts")
        except AssertionError as error:
            load.ledger.broken(f"beat stands still: {error}")


def _wait_for_clock(platform: LivePlatform, hours: int) -> None:
    """Until both servers have the time that was set: else this would test nothing. Raises AssertionError."""

    def is_set() -> bool:
        right = datetime.now(UTC) + timedelta(hours=hours)
        with platform.database() as connection, platform.redis() as client:
            row = connection.execute("SELECT clock_timestamp()").fetchone()
            seconds, _ = client.time()
        found = (row[0] if row else right + timedelta(1), datetime.fromtimestamp(seconds, UTC))
        return all(abs((at - right).total_seconds()) < 60 for at in found)

    platform.wait_until(is_set, 20, f"both servers {hours} hours from now")

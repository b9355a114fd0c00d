"""The machine's clock is set back by a day, and later right again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.faults.faked_clock import FakedClock
from tests.faults.load import Load, Outcome
from tests.live import LivePlatform

__all__ = ["clock_back_and_forth", "platform_with_clock"]


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
        clock.set(-1)
        _wait_for_clock(platform, days=-1)
        load.wait_for_accepted(40)
        for name in ("drain1", "drain2", "web", "beat"):
            platform.kill(name)
            platform.restart(name)
            load.wait_for_accepted(20)
        outcome = load.finish()
    with Load(platform, seed + 1) as load:
        load.wait_for_accepted(40)
        clock.set(0)
        _wait_for_clock(platform, days=0)
        load.wait_for_accepted(40)
        outcome.add(load.finish())
    return outcome


def _wait_for_clock(platform: LivePlatform, days: int) -> None:
    """Until both servers have the time that was set: else this would test nothing. Raises AssertionError."""

    def is_set() -> bool:
        right = datetime.now(UTC) + timedelta(days=days)
        with platform.database() as connection, platform.redis() as client:
            row = connection.execute("SELECT clock_timestamp()").fetchone()
            seconds, _ = client.time()
        found = (row[0] if row else right + timedelta(1), datetime.fromtimestamp(seconds, UTC))
        return all(abs((at - right).total_seconds()) < 60 for at in found)

    platform.wait_until(is_set, 20, f"both servers {days} days from now")

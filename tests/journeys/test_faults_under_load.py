"""Faults under load, a few rounds of each; `make soak` has all of them. What must hold stands in docs/faults.md."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import clock, deadly, kills, outages, poison, replaced, servers_full, stops, terms
from tests.faults.faked_clock import FakedClock
from tests.faults.load import Outcome
from tests.live import LivePlatform

_SEED = 20_261_121


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short, for Unix sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="faults-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def live(folder: Path) -> Iterator[LivePlatform]:
    with LivePlatform(folder / "live") as platform:
        yield platform


@pytest.mark.parametrize(
    ("break_it", "rounds"),
    [
        (kills.kill_drains, 3),
        (kills.kill_log, 1),
        (kills.kill_database, 1),
        (kills.kill_web, 2),
        (replaced.log_emptied, 1),
        pytest.param(replaced.log_set_back, 1, marks=pytest.mark.slow),
        (replaced.database_set_back, 1),
        pytest.param(kills.kill_everything, 1, marks=pytest.mark.slow),
        pytest.param(terms.terminate, 1, marks=pytest.mark.slow),
        pytest.param(deadly.rubbish_tasks, 1, marks=pytest.mark.slow),
        pytest.param(poison.poison_entries, 1, marks=pytest.mark.slow),
    ],
)
def test_every_reading_answered_202_is_stored_once(
    live: LivePlatform, break_it: Callable[[LivePlatform, int, int], Outcome], rounds: int
) -> None:
    assert_right(break_it(live, rounds, _SEED))


@pytest.mark.parametrize(
    ("break_it", "seconds"),
    [(outages.database_away, 10), (outages.database_hangs, 8), (outages.log_hangs, 8)],
)
def test_an_outage_is_said_at_once_and_loses_nothing(
    live: LivePlatform, break_it: Callable[[LivePlatform, int, int], Outcome], seconds: int
) -> None:
    assert_right(break_it(live, seconds, _SEED))


@pytest.fixture(scope="module")
def clocked(folder: Path) -> Iterator[tuple[LivePlatform, FakedClock]]:
    with clock.platform_with_clock(folder / "clock") as given:
        yield given


@pytest.mark.slow
def test_a_clock_set_back_by_a_day_stops_nothing(clocked: tuple[LivePlatform, FakedClock]) -> None:
    assert_right(clock.clock_back_and_forth(*clocked, _SEED))


@pytest.mark.slow
def test_a_clock_that_jumps_by_an_hour_and_is_right_again_stops_nothing(
    clocked: tuple[LivePlatform, FakedClock],
) -> None:
    assert_right(clock.clock_jumps(*clocked, 1, _SEED))


@pytest.mark.slow
def test_readings_are_stored_while_the_logs_memory_is_full(folder: Path) -> None:
    with servers_full.platform_that_keeps_little(folder / "little") as platform:
        assert_right(servers_full.log_memory_full(platform, 1, _SEED))


@pytest.mark.slow
@pytest.mark.parametrize("fill", [servers_full.log_disk_full, servers_full.database_disk_full])
def test_a_full_disk_loses_nothing_and_with_room_all_goes_on(
    folder: Path, fill: Callable[[Path, int, int], Outcome]
) -> None:
    outcome = fill(folder / "full", 1, _SEED)
    if outcome.untried:
        pytest.skip(outcome.untried)  # only root may mount; CI is root
    assert_right(outcome)


@pytest.mark.slow
def test_stopped_or_killed_whole_under_load_the_platform_comes_back_with_the_data(folder: Path) -> None:
    assert_right(stops.stop_and_kill(folder / "stops", 2, _SEED))


def assert_right(outcome: Outcome) -> None:
    """Nothing that was promised is broken, and there was a load to break it under."""
    assert not outcome.violations, "\n".join([str(outcome), *outcome.violations])
    assert outcome.accepted > 1000, outcome
    assert outcome.looks > 0, outcome

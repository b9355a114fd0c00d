"""How a refresh gives way while readings wait, and that it keeps up all the same."""

from __future__ import annotations

import pytest

from telemetry.rollups.freshness import BEHIND_SECONDS
from telemetry.rollups.pace import Pace

USUAL, BUDGET = 150.0, 48.0


class Clock:
    """Time that passes by working and pausing alone; ``waits`` is how long the oldest reading waits in the log (s)."""

    def __init__(self, waits: float = 0.0) -> None:
        self.now = 1000.0
        self.waits = waits
        self.paused = 0.0
        self.looks = 0

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        self.paused += seconds

    def waiting(self) -> float:
        self.looks += 1
        return self.waits

    def pace(self, age: float = USUAL) -> Pace:
        return Pace(self.waiting, age, USUAL, BUDGET, lambda: self.now, self.sleep)


def pause_after(clock: Clock, work: float, age: float = USUAL) -> float:
    """How long it pauses after so many seconds of work."""
    pace = clock.pace(age)
    assert pace.go_on()
    before = clock.paused
    clock.now += work
    pace.pause()
    return clock.paused - before


def test_it_does_not_pause_while_nothing_waits() -> None:
    assert pause_after(Clock(), 0.1) == 0


def test_it_pauses_for_longer_than_it_worked_while_readings_wait() -> None:
    assert pause_after(Clock(waits=0.05), 0.1) == pytest.approx(0.4)
    assert pause_after(Clock(waits=0.5), 0.1) == pytest.approx(1.0), "drains are slow"
    assert pause_after(Clock(waits=0.05), 30) == 2, "and never for long at a time"


def test_short_work_is_not_followed_by_a_look() -> None:
    clock = Clock(waits=0.05)
    pace = clock.pace()
    pace.go_on()
    looks = clock.looks
    for _ in range(10):
        clock.now += 0.004
        pace.pause()
    assert clock.looks - looks == 2
    assert clock.paused == pytest.approx(4 * 0.04, abs=0.02)


def test_nothing_is_done_while_readings_wait_for_long() -> None:
    clock = Clock(waits=1.5)
    pace = clock.pace()
    assert not pace.go_on()
    assert pace.stopped == "readings wait"
    assert clock.paused == pytest.approx(BUDGET, abs=0.5)


def test_it_begins_as_soon_as_they_wait_no_more() -> None:
    clock = Clock(waits=1.5)
    pace = clock.pace()

    def sleep(seconds: float) -> None:
        Clock.sleep(clock, seconds)
        clock.waits = 1.5 if clock.paused < 3 else 0.0

    pace._sleep = sleep
    assert pace.go_on()
    assert clock.paused == pytest.approx(3, abs=0.3)


def test_the_further_behind_the_shorter_the_pauses() -> None:
    pauses = [pause_after(Clock(waits=0.05), 0.1, age) for age in (100, 150, 200, 250, BEHIND_SECONDS, 2000)]
    assert pauses[0] == pauses[1] > pauses[2] > pauses[3] > 0
    assert pauses[4:] == [0, 0]


def test_rollups_that_are_very_old_are_refreshed_whatever_waits() -> None:
    clock = Clock(waits=60)
    assert clock.pace(899 - BUDGET).go_on() is False
    before = clock.paused
    assert clock.pace(900).go_on()
    assert clock.paused == before


def test_its_time_ends() -> None:
    clock = Clock()
    pace = clock.pace()
    portions = 0
    while pace.go_on():
        clock.now += 0.1
        portions += 1
    assert pace.stopped == "budget"
    assert portions == pytest.approx(BUDGET / 0.1, abs=1)


@pytest.mark.parametrize(("work", "most"), [(5.0, 210), (20.0, BEHIND_SECONDS), (35.0, BEHIND_SECONDS + 60)])
def test_it_keeps_up_with_a_load_that_never_ends(work: float, most: float) -> None:
    """``work``: seconds a minute that the rollups of what is stored meanwhile take. Readings always wait in the log."""
    clock = Clock(waits=0.1)
    done = clock.now - 90  # rolled up so far
    ages = []
    for minute in range(120):
        clock.now = max(clock.now, 1000.0 + 60 * minute)
        pace = clock.pace(age=clock.now - done + 30)
        upto, left = clock.now - 90, (clock.now - 90 - done) / 60 * work
        while left > 0 and pace.go_on():
            clock.now += 0.1
            left -= 0.1
        done = upto - max(0.0, left) * 60 / work
        ages.append(clock.now - done)
    assert max(ages[60:]) < most

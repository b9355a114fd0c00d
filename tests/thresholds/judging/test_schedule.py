"""Schedules: the clock on the wall of their zone decides, summer time and all."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresholds.schedule import DAYS, ScheduleError, parse, problems

BERLIN = ZoneInfo("Europe/Berlin")


def us(*moment: int, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return round(datetime(*moment, tzinfo=zone, fold=fold).timestamp() * 1e6)  # type: ignore[misc]


def schedule(*windows: tuple[str, str, str], zone: str = "Europe/Berlin") -> Any:
    """Windows of (days, start, end)."""
    made = [{"days": days.split(), "start": start, "end": end} for days, start, end in windows]
    return parse({"zone": zone, "windows": made})


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ((2026, 11, 18, 8, 0), True),
        ((2026, 11, 18, 7, 59, 59, 999999), False),
        ((2026, 11, 18, 17, 59, 59, 999999), True),
        ((2026, 11, 18, 18, 0), False),
        ((2026, 11, 21, 12, 0), False),  # a Saturday
    ],
)
def test_a_window_begins_with_its_start_and_ends_before_its_end(moment: tuple[int, ...], inside: bool) -> None:
    assert schedule(("mon tue wed thu fri", "08:00", "18:00")).contains(us(*moment)) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ((2026, 11, 20, 21, 59), False),
        ((2026, 11, 20, 22, 0), True),
        ((2026, 11, 21, 5, 59), True),
        ((2026, 11, 21, 6, 0), False),
        ((2026, 11, 21, 22, 0), False),
        ((2026, 11, 20, 5, 0), False),
    ],
)
def test_a_window_past_midnight_belongs_to_the_day_it_begins_on(moment: tuple[int, ...], inside: bool) -> None:
    assert schedule(("fri", "22:00", "06:00")).contains(us(*moment)) is inside


def test_a_day_ends_at_24_and_a_window_that_ends_where_it_starts_is_a_whole_day() -> None:
    whole, round_ = schedule(("fri", "00:00", "24:00")), schedule(("fri", "12:00", "12:00"))
    assert whole.contains(us(2026, 11, 20, 23, 59, 59)) and not whole.contains(us(2026, 11, 21, 0, 0))
    assert round_.contains(us(2026, 11, 20, 12, 0)) and round_.contains(us(2026, 11, 21, 11, 59))
    assert not round_.contains(us(2026, 11, 20, 11, 59)) and not round_.contains(us(2026, 11, 21, 12, 0))


def test_the_hour_that_summer_time_repeats_comes_twice_and_the_one_it_skips_never() -> None:
    night = schedule(("sun", "02:00", "03:00"))
    # 25 October 2026: at 03:00 summer time the clocks go back to 02:00.
    assert [night.contains(us(2026, 10, 25, 2, 30, fold=fold)) for fold in (0, 1)] == [True, True]
    assert not night.contains(us(2026, 10, 25, 1, 59)) and not night.contains(us(2026, 10, 25, 3, 0))
    # 29 March 2026: 02:00 to 03:00 is left out.
    whole_day = [us(2026, 3, 29, 0, 0) + minute * 60_000_000 for minute in range(23 * 60)]
    assert not any(night.contains_all(np.array(whole_day, np.int64)))


def test_the_same_hours_lie_elsewhere_in_utc_in_winter_and_in_summer() -> None:
    office = schedule((" ".join(DAYS), "08:00", "09:00"))
    utc = ZoneInfo("UTC")
    assert office.contains(us(2026, 7, 1, 6, 30, zone=utc)) and not office.contains(us(2026, 7, 1, 7, 30, zone=utc))
    assert office.contains(us(2026, 12, 1, 7, 30, zone=utc)) and not office.contains(us(2026, 12, 1, 6, 30, zone=utc))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]
    ),
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.integers(0, 1439),
    st.integers(0, 1440),
    st.lists(st.integers(1_262_304_000, 1_893_456_000), min_size=1, max_size=20),
)
def test_it_says_what_the_clock_on_the_wall_says(
    zone: str, days: set[str], start: int, end: int, seconds: list[int]
) -> None:
    clock = "{:02d}:{:02d}".format
    made = schedule((" ".join(days), clock(*divmod(start, 60)), clock(*divmod(end, 60))), zone=zone)
    expected = []
    for second in seconds:
        local = datetime.fromtimestamp(second, ZoneInfo(zone))
        minute, today, yesterday = local.hour * 60 + local.minute, DAYS[local.weekday()], DAYS[local.weekday() - 1]
        if start < end:
            expected.append(today in days and start <= minute < end)
        else:
            expected.append((today in days and minute >= start) or (yesterday in days and minute < end))
    assert made.contains_all(np.array(seconds, np.int64) * 1_000_000).tolist() == expected


WINDOW = {"days": ["mon"], "start": "08:00", "end": "18:00"}


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ("always", [""]),
        ([], [""]),
        ({}, ["zone", "windows"]),
        ({"zone": "Mars/Olympus", "windows": [WINDOW]}, ["zone"]),
        ({"zone": "../etc/passwd", "windows": [WINDOW]}, ["zone"]),
        ({"zone": 5, "windows": [WINDOW]}, ["zone"]),
        ({"zone": "UTC", "windows": []}, ["windows"]),
        ({"zone": "UTC", "windows": "mon"}, ["windows"]),
        ({"zone": "UTC", "windows": ["mon"]}, ["windows.0"]),
        ({"zone": "UTC", "windows": [WINDOW], "until": 1}, ["until"]),
        ({"zone": "UTC", "windows": [WINDOW, WINDOW | {"days": []}]}, ["windows.1.days"]),
        ({"zone": "UTC", "windows": [WINDOW | {"days": ["monday"]}]}, ["windows.0.days"]),
        ({"zone": "UTC", "windows": [WINDOW | {"days": [1]}]}, ["windows.0.days"]),
        ({"zone": "UTC", "windows": [WINDOW | {"start": "8:00"}]}, ["windows.0.start"]),
        ({"zone": "UTC", "windows": [WINDOW | {"start": "24:00"}]}, ["windows.0.start"]),
        ({"zone": "UTC", "windows": [WINDOW | {"end": "24:01"}]}, ["windows.0.end"]),
        ({"zone": "UTC", "windows": [WINDOW | {"end": "18:00\n"}]}, ["windows.0.end"]),
        ({"zone": "UTC", "windows": [WINDOW | {"end": None, "at": 3}]}, ["windows.0.at", "windows.0.end"]),
    ],
)
def test_what_is_wrong_is_said_with_its_place(given: Any, where: list[str]) -> None:
    assert [place for place, _ in problems(given)] == where
    with pytest.raises(ScheduleError) as raised:
        parse(given)
    assert [place for place, _ in raised.value.problems] == where


def test_no_schedule_is_always() -> None:
    assert parse(None) is None
    assert problems(None) == []

"""When exports are due, in zones that change their clocks and in zones that leave out days."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.exports.schedule import Schedule, midnight, next_due, period_of

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo",
    "Africa/Casablanca", "America/Nuuk", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "Pacific/Chatham",
)  # fmt: skip
moments = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
schedules = st.builds(
    Schedule,
    at=st.times().map(lambda each: each.replace(second=0, microsecond=0)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    weekday=st.none() | st.integers(0, 6),
)


@given(schedules, moments)
def test_every_day_has_its_turn_once_and_in_order(schedule: Schedule, after: datetime) -> None:
    due, step = next_due(schedule, after), timedelta(days=7 if schedule.weekday is not None else 1)
    assert due.at > after
    for _ in range(12):
        following = next_due(schedule, due.at)
        # A day that a zone leaves out has no turn.
        assert following.on - due.on in (step, 2 * step if schedule.zone.key == "Pacific/Apia" else step)
        assert following.at > due.at
        assert schedule.weekday is None or following.on.weekday() == schedule.weekday
        due = following


@given(schedules, moments)
def test_it_is_due_when_the_clocks_of_its_zone_say_so_or_have_just_skipped_it(
    schedule: Schedule, after: datetime
) -> None:
    due = next_due(schedule, after)
    shown = due.at.astimezone(schedule.zone)
    if (shown.date(), shown.time()) != (due.on, schedule.at):
        meant = datetime.combine(due.on, schedule.at)
        assert timedelta(0) < shown.replace(tzinfo=None) - meant <= timedelta(hours=1)
        # The clocks never showed it.
        back = meant.replace(tzinfo=schedule.zone).astimezone(UTC).astimezone(schedule.zone)
        assert back.replace(tzinfo=None) != meant


@given(schedules, moments)
def test_nothing_is_due_between_now_and_the_next_time(schedule: Schedule, after: datetime) -> None:
    due = next_due(schedule, after)
    assert next_due(schedule, due.at - timedelta(seconds=1)) == due
    assert next_due(schedule, max(after, due.at - timedelta(hours=20))) == due


@given(st.sampled_from(ZONES).map(ZoneInfo), moments)
def test_the_days_of_a_daily_export_follow_each_other_without_gap_or_overlap(zone: ZoneInfo, after: datetime) -> None:
    schedule = Schedule(time(6), zone)
    due = next_due(schedule, after)
    for _ in range(10):
        following = next_due(schedule, due.at)
        assert period_of(schedule, due.on)[1] == period_of(schedule, following.on)[0]
        due = following


@pytest.mark.parametrize(
    ("zone", "at", "after", "due"),
    [
        (
            "Europe/Berlin",
            time(2, 30),
            "2026-03-29T00:00+00:00",
            "2026-03-29T03:30+02:00",
        ),  # skipped: half an hour past
        ("Europe/Berlin", time(2, 30), "2026-10-24T22:00+00:00", "2026-10-25T02:30+02:00"),  # twice: the first
        ("Europe/Berlin", time(2, 30), "2026-10-25T00:31+00:00", "2026-10-26T02:30+01:00"),  # and not the second
        (
            "Australia/Lord_Howe",
            time(2, 15),
            "2026-10-03T12:00+00:00",
            "2026-10-04T02:45+11:00",
        ),  # half an hour is skipped
        ("America/Nuuk", time(23, 30), "2024-03-30T12:00+00:00", "2024-03-31T00:30-01:00"),  # over midnight
        ("Asia/Kolkata", time(6), "2026-03-01T00:30+00:00", "2026-03-02T06:00+05:30"),  # not this very moment again
    ],
)
def test_clocks_that_change(zone: str, at: time, after: str, due: str) -> None:
    found = next_due(Schedule(at, ZoneInfo(zone)), datetime.fromisoformat(after))
    assert found.at == datetime.fromisoformat(due)


@pytest.mark.parametrize(
    ("schedule", "on", "start", "end"),
    [
        (
            ("Europe/Berlin", "yesterday", None),
            "2026-03-30",
            "2026-03-29T00:00+01:00",
            "2026-03-30T00:00+02:00",
        ),  # 23 hours
        (
            ("Europe/Berlin", "yesterday", None),
            "2026-10-26",
            "2026-10-25T00:00+02:00",
            "2026-10-26T00:00+01:00",
        ),  # 25 hours
        (("Europe/Berlin", "last_week", None), "2026-04-01", "2026-03-23T00:00+01:00", "2026-03-30T00:00+02:00"),
        (("Europe/Berlin", "last_week", None), "2026-03-30", "2026-03-23T00:00+01:00", "2026-03-30T00:00+02:00"),
        (("Asia/Kolkata", "last_days", 30), "2026-03-31", "2026-03-01T00:00+05:30", "2026-03-31T00:00+05:30"),
        (("Pacific/Apia", "yesterday", None), "2011-12-31", "2011-12-29T00:00-10:00", "2011-12-31T00:00+14:00"),
    ],
)
def test_periods_are_days_and_weeks_of_the_zone(schedule: tuple, on: str, start: str, end: str) -> None:
    zone, period, days = schedule
    found = period_of(Schedule(time(6), ZoneInfo(zone), period=period, days=days), date.fromisoformat(on))
    assert found == (datetime.fromisoformat(start), datetime.fromisoformat(end))


def test_midnight_that_is_skipped_is_the_moment_of_the_change() -> None:
    assert midnight(date(2018, 11, 4), ZoneInfo("America/Sao_Paulo")) == datetime(2018, 11, 4, 3, tzinfo=UTC)

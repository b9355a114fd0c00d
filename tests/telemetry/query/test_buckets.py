"""Where buckets begin: clocks that change, weeks from Monday, months of all lengths, zones with half hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.query.buckets import LADDER, InvalidBucket, bucket_for, edges, parse_bucket
from telemetry.timeseries.engine import as_microseconds, as_timestamp
from tests.telemetry.query.obvious import bucket_key

HOUR = 3_600_000_000


def local_edges(bucket: str, start: str, end: str, zone: str) -> list[str]:
    """Edges as a clock on the wall shows them."""
    known = ZoneInfo(zone)
    low, high = (as_microseconds(datetime.fromisoformat(text).replace(tzinfo=known)) for text in (start, end))
    return [
        f"{as_timestamp(int(edge)).astimezone(known):%Y-%m-%d %H:%M}"
        for edge in edges(parse_bucket(bucket), low, high, known)
    ]


@pytest.mark.parametrize(
    ("zone", "change", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Asia/Kolkata", "2026-03-29", 24),
        # Clocks go forward at midnight: the day begins at 01:00.
        ("Asia/Beirut", "2026-03-29", 23),
    ],
)
def test_a_day_is_as_long_as_its_clocks_say(zone: str, change: str, hours: float) -> None:
    noon = as_microseconds(datetime.fromisoformat(f"{change}T12:00").replace(tzinfo=ZoneInfo(zone)))
    found = edges(parse_bucket("1d"), noon, noon + 1, ZoneInfo(zone))
    assert (found[1] - found[0]) / HOUR == hours


def test_weeks_months_quarters_and_years() -> None:
    assert local_edges("1w", "2026-03-26", "2026-04-07", "Europe/Berlin") == [
        "2026-03-23 00:00", "2026-03-30 00:00", "2026-04-06 00:00", "2026-04-13 00:00",
    ]  # fmt: skip
    assert local_edges("1mo", "2026-02-10", "2026-04-01", "America/New_York") == [
        "2026-02-01 00:00", "2026-03-01 00:00", "2026-04-01 00:00",
    ]  # fmt: skip
    assert local_edges("1q", "2026-02-10", "2026-04-02", "UTC")[::2] == ["2026-01-01 00:00", "2026-07-01 00:00"]
    assert local_edges("1y", "2024-02-29", "2025-01-01", "Asia/Kolkata") == ["2024-01-01 00:00", "2025-01-01 00:00"]


def test_fixed_widths_are_counted_from_1970_in_every_zone() -> None:
    noon = as_microseconds(datetime(2026, 3, 29, 12, tzinfo=UTC))
    for zone in ("UTC", "Asia/Kolkata"):
        assert edges(parse_bucket("36h"), noon, noon + 1, ZoneInfo(zone)).tolist() == [
            noon // (36 * HOUR) * 36 * HOUR, noon // (36 * HOUR) * 36 * HOUR + 36 * HOUR,
        ]  # fmt: skip


def test_a_day_that_a_zone_left_out_is_no_bucket() -> None:
    # Samoa crossed the date line: there was no 30 December 2011.
    assert local_edges("1d", "2011-12-29", "2012-01-01", "Pacific/Apia") == [
        "2011-12-29 00:00", "2011-12-31 00:00", "2012-01-01 00:00",
    ]  # fmt: skip


@given(
    start=st.datetimes(datetime(1975, 1, 1), datetime(2035, 1, 1)),
    days=st.integers(1, 900),
    bucket=st.sampled_from(("7h", "1d", "3d", "1w", "2w", "1mo", "5mo", "1q", "1y", "2y")),
    zone=st.sampled_from(("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")),
)
@settings(max_examples=150, deadline=None)
def test_edges_cut_time_where_the_calendar_does(start: datetime, days: int, bucket: str, zone: str) -> None:
    low = as_microseconds(start.replace(tzinfo=UTC))
    high = low + days * 24 * HOUR
    known, width = ZoneInfo(zone), parse_bucket(bucket)
    found = edges(width, low, high, known)
    assert found[0] <= low < found[1] and found[-2] < high <= found[-1]
    assert (np.diff(found) > 0).all()
    for edge in found[1:-1].tolist():
        assert bucket_key(width, known, edge - 1) != bucket_key(width, known, edge)
    for begin, end in pairwise(found):
        assert bucket_key(width, known, int(begin)) == bucket_key(width, known, int(end) - 1)


@pytest.mark.parametrize("text", ["", "h", "0h", "-1h", "1.5h", "1 h", "1H", "1ms", "1d2h", "٣h", "1234567d"])
def test_what_is_no_width_is_refused(text: str) -> None:
    with pytest.raises(InvalidBucket, match="90s, 5m, 1h"):
        parse_bucket(text)


@given(st.integers(1, 5000), st.integers(2, 5000))
def test_a_chart_gets_the_narrowest_bucket_that_fits(hours: int, points: int) -> None:
    start = as_microseconds(datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC))
    end = start + hours * HOUR
    chosen = bucket_for(start, end, points)
    if chosen is not LADDER[-1]:
        assert len(edges(chosen, start, end, ZoneInfo("UTC"))) - 1 <= points
    if chosen is not LADDER[0] and chosen.fixed:
        narrower = LADDER[LADDER.index(chosen) - 1]
        assert timedelta(microseconds=(end - start) // narrower.about + 2) > timedelta(microseconds=points)

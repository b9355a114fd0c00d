"""Every form of a time means the moment that the standard library says it means, alone and in bulk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.intake.batch import NO_TIME
from telemetry.intake.times import EPOCH, HIGHEST, LOWEST, InvalidTime, iso, parse_time, parse_times

_SECOND = 1_000_000
_MOMENT = 1_763_719_200_250_000  # 2025-11-21T10:00:00.25Z
#: Fractions of a second that the bulk parser takes; it takes no other lengths.
_DIGITS = [0, 1, 2, 3, 6]


def expected(text: str) -> int | None:
    """What datetime.fromisoformat makes of it, in µs since 1970; None where it is no time, or has no offset."""
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else (moment - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


def assert_parsed_as_expected(texts: list[str]) -> None:
    times, faults = parse_times(texts)
    wanted = [expected(text) for text in texts]
    assert sorted(faults) == [place for place, time in enumerate(wanted) if time is None]
    assert times.tolist() == [NO_TIME if time is None else time for time in wanted]


@st.composite
def nearly_dates(draw: Any, digits: int) -> str:
    """YYYY-MM-DDThh:mm:ss[.fff]Z, often at an edge, sometimes just beyond it."""
    year = draw(
        st.sampled_from([0, 1, 4, 100, 400, 1600, 1900, 1969, 1970, 2000, 2024, 2100, 9999]) | st.integers(0, 9999)
    )
    month, day = draw(st.integers(0, 13)), draw(st.sampled_from([0, 1, 28, 29, 30, 31, 32]) | st.integers(1, 28))
    hour, minute, second = draw(st.integers(0, 24)), draw(st.integers(0, 60)), draw(st.integers(0, 60))
    text = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    return text + (f".{draw(st.integers(0, 10**digits - 1)):0{digits}}" if digits else "") + "Z"


@st.composite
def right_dates(draw: Any, digits: int) -> str:
    moment = draw(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59)))
    text = f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}"  # strftime leaves out a year's leading zeros
    return text + (f".{moment.microsecond:06}"[: digits + 1] if digits else "") + "Z"


@pytest.mark.parametrize("digits", _DIGITS)
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_many_right_times_are_what_the_standard_library_says(digits: int, data: st.DataObject) -> None:
    assert_parsed_as_expected(data.draw(st.lists(right_dates(digits), min_size=8, max_size=12)))


@pytest.mark.parametrize("digits", _DIGITS)
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_wrong_dates_among_many_are_found_and_the_others_kept(digits: int, data: st.DataObject) -> None:
    texts = data.draw(st.lists(right_dates(digits) | nearly_dates(digits), min_size=8, max_size=12))
    assert_parsed_as_expected(texts)


@given(st.lists(st.sampled_from(_DIGITS).flatmap(right_dates), min_size=8, max_size=12))
def test_texts_of_different_lengths_may_stand_side_by_side(texts: list[str]) -> None:
    assert_parsed_as_expected(texts)


@given(
    st.lists(st.sampled_from(_DIGITS).flatmap(right_dates), min_size=8, max_size=10),
    st.integers(0, 9),
    st.integers(0, 26),
    st.sampled_from("09/:;-+.TZtz \x00é٣²"),
)
@settings(max_examples=200, deadline=None)
def test_one_changed_character_changes_that_time_only(texts: list[str], which: int, where: int, char: str) -> None:
    which %= len(texts)
    texts = [text if place != which else text[:where] + char + text[where + 1 :] for place, text in enumerate(texts)]
    assert_parsed_as_expected(texts)


def test_every_day_of_leap_and_other_years() -> None:
    for year in (1, 4, 1900, 1970, 1999, 2000, 2024, 2100, 9999):
        assert_parsed_as_expected(
            [f"{year:04}-{month:02}-{day:02}T23:59:59Z" for month in range(1, 13) for day in range(1, 32)]
        )


@pytest.mark.parametrize("digits", _DIGITS)
def test_usual_times_take_the_fast_way(digits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(raw: Any) -> int:
        raise AssertionError(f"{raw!r} was parsed one by one")

    monkeypatch.setattr("telemetry.intake.times.parse_time", refuse)
    text = f"2024-02-29T12:34:56{'.123456'[: digits + 1] if digits else ''}Z"
    assert parse_times([text] * 8)[0].tolist() == [expected(text)] * 8


@pytest.mark.parametrize(
    "raw",
    [
        "2026-11-21T10:00:00.250Z", "2026-11-21T10:00:00+00:00", "2026-11-21T12:00:00+02:00", "2026-11-21 10:00Z",
        "20261121T100000Z", "2026-W47-6T10:00Z", "2026-11-21T10:00:00.123456789Z", "2026-11-21T10:00:00,5-03:30",
        "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2000-02-29T00:00:00-14:00",
    ],
)  # fmt: skip
def test_iso_8601_with_an_offset(raw: str) -> None:
    assert parse_time(raw) == expected(raw)


@pytest.mark.parametrize(
    "raw",
    [
        "", "now", "2026-11-21", "2026-11-21T10:00:00", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "T10:00Z",
        "2026-11-21T24:00:00Z", "2026-11-21T10:60:00Z", "2026-06-30T23:59:60Z", "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z", "２０26-11-21T10:00:00Z",
        "1763719200", "\x00", "\ud800", "2026-11-21T10:00:00Z" * 1000,
    ],
)  # fmt: skip
def test_texts_that_are_no_time(raw: str) -> None:
    with pytest.raises(InvalidTime, match=r".{10,300}"):
        parse_time(raw)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("low", "high", "microseconds"), [
    (0, 10**11 - 1, lambda n: n * _SECOND),
    (10**11, 10**14 - 1, lambda n: n * 1000),
    (10**14, 10**17 - 1, lambda n: n),
    (10**17, 10**20 - 1, lambda n: n // 1000),
])  # fmt: skip
def test_the_unit_of_a_number_is_told_by_its_magnitude(low: int, high: int, microseconds: Any, sign: int) -> None:
    for number in (low, low + 1, (low + high) // 2, high):
        wanted = microseconds(sign * number)
        if LOWEST <= wanted <= HIGHEST:
            assert parse_time(sign * number) == wanted
        else:
            with pytest.raises(InvalidTime, match="outside the years"):
                parse_time(sign * number)


@pytest.mark.parametrize("scale", [1, 1000, 1_000_000, 1_000_000_000])
def test_one_moment_in_every_unit(scale: int) -> None:
    assert abs(parse_time(_MOMENT // _SECOND * scale) - _MOMENT // _SECOND * _SECOND) == 0
    assert abs(parse_time(_MOMENT / _SECOND * scale) - _MOMENT) <= 1


@pytest.mark.parametrize(
    "raw",
    [
        True,
        False,
        None,
        [],
        {},
        b"1",
        10**20,
        -(10**20),
        10**4000,
        1e20,
        1e300,
        float("inf"),
        float("-inf"),
        float("nan"),
    ],
    ids=lambda raw: repr(raw)[:20],
)
def test_what_is_no_time_at_all(raw: Any) -> None:
    with pytest.raises(InvalidTime):
        parse_time(raw)


@pytest.mark.parametrize(("raw", "time"), [(0, 0), (-1, -_SECOND), (0.0, 0), (-0.5, -500_000), (1.5, 1_500_000)])
def test_small_numbers_are_seconds(raw: float, time: int) -> None:
    assert parse_time(raw) == time


@given(st.integers() | st.floats())
@settings(max_examples=200)
def test_any_number_is_a_time_in_range_or_refused(raw: float) -> None:
    try:
        time = parse_time(raw)
    except InvalidTime:
        return
    assert LOWEST <= time <= HIGHEST


@given(st.integers(LOWEST, HIGHEST))
@settings(max_examples=200)
def test_what_is_written_can_be_read_back(time: int) -> None:
    text = iso(time)
    assert text.endswith("Z")
    assert parse_time(text) == time
    assert parse_times([text] * 8)[0].tolist() == [time] * 8


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.000001Z"), (_MOMENT, "2025-11-21T10:00:00.250000Z"),
        (LOWEST, "0001-01-01T00:00:00Z"), (HIGHEST, "9999-12-31T23:59:59.999999Z"),
    ],
)  # fmt: skip
def test_times_are_written_in_utc(time: int, text: str) -> None:
    assert iso(time) == text
    assert datetime.fromisoformat(text).tzinfo == UTC


def test_left_out_times_stay_left_out() -> None:
    times, faults = parse_times([None, "2026-11-21T10:00:00Z", None, "x"])
    assert times.tolist() == [NO_TIME, expected("2026-11-21T10:00:00Z"), NO_TIME, NO_TIME]
    assert list(faults) == [3]

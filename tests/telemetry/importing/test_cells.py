"""Times in every form and zone, values in every spelling: right, or refused with a reason."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from telemetry.importing.cells import InvalidCell, Times, Values
from tests.telemetry.importing.reading_files import iso

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T10:00:00Z",
        "2026-11-21 10:00:00",
        " 2026-11-21 10:00 ",
        "2026-11-21T11:00:00.000+01:00",
        "2026-11-21 05:30:00-0430",
        "20261121T100000",
        "1795255200",
        "1795255200.0",
        "1795255200000",
        "1795255200000000",
        "1795255200000000000",
    ],
)
def test_one_moment_in_every_form(text: str) -> None:
    assert iso(Times(UTC).parse(text)) == "2026-11-21T10:00:00Z"


def test_microseconds_are_kept() -> None:
    assert Times(UTC).parse("2026-11-21 10:00:00.000001") == 1_795_255_200_000_001
    assert Times(UTC).parse("1795255200.000001") == 1_795_255_200_000_001


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "20261121",
        "2026-13-01",
        "2026-02-30 00:00",
        "10:00:00",
        "0001-01-01T00:00:00+01:00",
        "1e9",
        "9" * 30,
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidCell) as refusal:
        Times(UTC).parse(text)
    assert refusal.value.code == "invalid_time"


def test_the_first_and_the_last_moment_there_is() -> None:
    times = Times(UTC)
    assert times.parse("0001-01-01 00:00:00") == -62_135_596_800_000_000
    assert times.parse("9999-12-31 23:59:59.999999") == 253_402_300_799_999_999


def test_times_without_an_offset_are_local_to_the_zone() -> None:
    times = Times(BERLIN)
    assert iso(times.parse("2026-07-01 12:00")) == "2026-07-01T10:00:00Z"
    assert iso(times.parse("2026-12-01 12:00")) == "2026-12-01T11:00:00Z"
    assert iso(times.parse("2026-12-01 12:00Z")) == "2026-12-01T12:00:00Z"


def test_a_time_that_the_clocks_were_set_forward_over_is_refused() -> None:
    with pytest.raises(InvalidCell, match="never was in Europe/Berlin"):
        Times(BERLIN).parse("2026-03-29 02:30")


#: Local times around the hour that comes twice, and the UTC they mean, at several paces; one row stands there twice.
PACES = [
    (["01:50", "02:20", "02:50", "02:20", "02:50", "03:20"], ["23:50", "00:20", "00:50", "01:20", "01:50", "02:20"]),
    (["01:00", "02:00", "02:00", "03:00"], ["23:00", "00:00", "01:00", "02:00"]),
    (["01:10", "02:50", "02:55", "02:55", "02:00"], ["23:10", "00:50", "00:55", "00:55", "01:00"]),
]


@pytest.mark.parametrize(("texts", "moments"), PACES)
def test_an_hour_that_comes_twice_is_told_apart_by_the_pace_of_the_rows(texts: list[str], moments: list[str]) -> None:
    times = Times(BERLIN)
    pace = {"01:50": 30, "01:00": 60, "01:10": 5}[texts[0]]
    for steps in (3, 2, 1):
        times.parse(str(1_792_882_800 + int(texts[0][3:]) * 60 - steps * pace * 60))  # 23:00 UTC and so on
    assert [iso(times.parse(f"2026-10-25 {text}"))[11:16] for text in texts] == moments


@pytest.mark.parametrize(("texts", "moments"), PACES[:2])
def test_also_where_the_newest_row_comes_first(texts: list[str], moments: list[str]) -> None:
    times = Times(BERLIN)
    for text in ("04:00", "03:30") if texts[0] == "01:50" else ("05:00", "04:00"):
        times.parse(f"2026-10-25 {text}")
    assert [iso(times.parse(f"2026-10-25 {text}"))[11:16] for text in reversed(texts)] == moments[::-1]


def test_in_the_first_row_it_is_the_first_of_the_two() -> None:
    assert iso(Times(BERLIN).parse("2026-10-25 02:30")) == "2026-10-25T00:30:00Z"


@pytest.mark.parametrize(
    ("delimiter", "texts", "values"),
    [
        (",", ["21.5", " -3 ", "1e3", ".5", ""], [21.5, -3.0, 1000.0, 0.5, None]),
        (";", ["21,5", "-0,25", "7", "1.234,5", "1,5e3"], [21.5, -0.25, 7.0, 1234.5, 1500.0]),
        (";", ["21.5", "7"], [21.5, 7.0]),
        ("\t", ["1,5"], [1.5]),
        (",", ["true", "FALSE"], [True, False]),
    ],
)
def test_values_in_every_spelling(delimiter: str, texts: list[str], values: list[object]) -> None:
    reader = Values(delimiter)
    read = [reader.parse(text) for text in texts]
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("delimiter", "before", "text", "code"),
    [
        (",", "", "21,5", "invalid_value"),
        (";", "1,5", "1.234", "invalid_value"),
        (";", "1.5", "1,234", "invalid_value"),
        (";", "", "1,234,567", "invalid_value"),
        (",", "", "1_000", "invalid_value"),
        (",", "", "12 °C", "invalid_value"),
        (",", "", "yes", "invalid_value"),
        (",", "", "nan", "not_finite"),
        (",", "", "-inf", "not_finite"),
    ],
)
def test_what_could_mean_two_things_or_nothing_is_refused(delimiter: str, before: str, text: str, code: str) -> None:
    reader = Values(delimiter)
    reader.parse(before)
    with pytest.raises(InvalidCell) as refusal:
        reader.parse(text)
    assert refusal.value.code == code

"""What people type: durations and the windows of a schedule."""

from __future__ import annotations

import pytest

from thresholds.duration_text import read_duration
from thresholds.quantities import duration
from thresholds.schedule_text import BadWindows, read_windows, write_windows


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("300", 300),
        ("2.5", 2.5),
        ("5 min", 300),
        ("5m", 300),
        ("90 s", 90),
        ("1h30m", 5400),
        ("1 h 30 min", 5400),
        (" 2 Days ", 172_800),
        ("0,5 h", 1800),
        ("1 d 1 h 1 min 1 s", 90_061),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "-5", "1 h 30", "5 min later", "min 5", "1.2.3", "∞", "५"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="Write a duration"):
        read_duration(text)


@pytest.mark.parametrize("seconds", [0, 0.001, 1, 59.5, 60, 3599, 5400, 90_061, 31_557_600])
def test_what_is_shown_can_be_typed(seconds: float) -> None:
    assert read_duration(duration(seconds).replace(",", "")) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "days", "hours"),
    [
        ("mon 08:00-18:00", ["mon"], ("08:00", "18:00")),
        ("Monday 8:00 – 18:00", ["mon"], ("08:00", "18:00")),
        ("mon-fri 22:00-06:00", ["mon", "tue", "wed", "thu", "fri"], ("22:00", "06:00")),
        ("mon, wed fri 08:00-24:00", ["mon", "wed", "fri"], ("08:00", "24:00")),
        ("fri - mon 08:00-09:00", ["fri", "sat", "sun", "mon"], ("08:00", "09:00")),
        ("daily 08:00-09:00", ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ("08:00", "09:00")),
        ("weekend 08:00-09:00", ["sat", "sun"], ("08:00", "09:00")),
        ("mon,mon 08:00-09:00", ["mon"], ("08:00", "09:00")),
    ],
)
def test_windows(text: str, days: list[str], hours: tuple[str, str]) -> None:
    assert read_windows(text) == [{"days": days, "start": hours[0], "end": hours[1]}]


@pytest.mark.parametrize("text", ["mon-fri", "08:00-18:00", "foo 08:00-18:00", "mon 8-18", "mon-foo 08:00-09:00", "-"])
def test_no_windows(text: str) -> None:
    with pytest.raises(BadWindows, match="Line 2"):
        read_windows(f"mon 08:00-09:00\n{text}")


def test_windows_are_written_as_they_are_typed() -> None:
    text = "mon-fri 08:00-18:00\nsat, sun 10:00-14:00\ndaily 22:00-06:00\nmon, wed 01:00-02:00"
    assert write_windows(read_windows(text)) == text
    assert read_windows("\n \n") == []

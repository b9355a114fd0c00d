"""Thresholds in words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.thresholds.conftest import level
from thresholds.quantities import duration, number
from thresholds.sentence import sentence

PLAIN = {
    "scope": {"device": "pump-7"},
    "metric": "temperature",
    "condition": "above",
    "levels": [level(80, 75)],
    "for": 0,
    "consecutive": 1,
    "clear_for": 0,
    "max_gap": None,
    "gap_policy": "reset",
    "schedule": None,
    "overrides": None,
}


def said(unit: str = "°C", **fields: Any) -> str:
    """The sentence without its scope."""
    return sentence(PLAIN | fields, unit).removeprefix("On pump-7: ").removesuffix(".")


def test_the_example_reads_as_promised() -> None:
    assert said(**{"for": 300}) == "opens a major alert when temperature stays above 80 °C for 5 min; clears at 75 °C"


@pytest.mark.parametrize(
    ("condition", "trigger", "clear", "words"),
    [
        ("above", 80, None, "temperature is above 80 °C; clears at 80 °C"),
        ("at_or_above", 80, None, "temperature is at or above 80 °C; clears below 80 °C"),
        ("at_or_above", 80, 75, "temperature is at or above 80 °C; clears at 75 °C"),
        ("below", 5, 7, "temperature is below 5 °C; clears at 7 °C"),
        ("at_or_below", 5, None, "temperature is at or below 5 °C; clears above 5 °C"),
        ("equal", 1, None, "temperature is exactly 1 °C; clears at any other value"),
        ("not_equal", 1, None, "temperature is other than 1 °C; clears at 1 °C"),
        ("outside", [10, 20], [12, 18], "temperature is outside 10 to 20 °C; clears within 12 to 18 °C"),
        ("outside", [10, 20], None, "temperature is outside 10 to 20 °C; clears within 10 to 20 °C"),
        ("inside", [10, 20], [8, 22], "temperature is within 10 to 20 °C; clears outside 8 to 22 °C"),
        (
            "rate_above",
            0.5,
            0.2,
            "temperature changes faster than 0.5 °C per second; clears at 0.2 °C per second or slower",
        ),
        ("silent", 600, None, "no temperature arrives for 10 min; clears with the next reading"),
    ],
)
def test_every_condition(condition: str, trigger: Any, clear: Any, words: str) -> None:
    assert said(condition=condition, levels=[level(trigger, clear)]) == f"opens a major alert when {words}"


def test_several_levels_are_told_mildest_first() -> None:
    table = [level(90, 85, "critical"), level(70, 65, "info"), level(80, 75, "warning")]
    assert said(levels=table) == (
        "opens an info alert when temperature is above 70 °C, warning above 80 °C, critical above 90 °C; "
        "clears at 65 °C (info), at 75 °C (warning), at 85 °C (critical)"
    )
    assert said(condition="silent", levels=[level(60, None, "warning"), level(3600)]) == (
        "opens a warning alert when no temperature arrives for 1 min, major after 1 h; clears with the next reading"
    )
    assert said(condition="rate_above", levels=[level(1, None, "warning"), level(2)]).startswith(
        "opens a warning alert when temperature changes faster than 1 °C per second, major faster than 2 °C per second; "
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"for": 90}, "temperature stays above 80 °C for 1 min 30 s;"),
        ({"consecutive": 3}, "temperature is above 80 °C in 3 readings in a row;"),
        ({"for": 60, "consecutive": 3}, "temperature stays above 80 °C for 1 min and in 3 readings in a row;"),
        ({"clear_for": 120}, "; clears once it has stayed at 75 °C for 2 min"),
        ({"max_gap": 30}, "; a gap of more than 30 s starts its clock anew"),
        ({"gap_policy": "hold"}, "; its clock runs on across gaps in the data"),
        ({"condition": "rate_above", "for": 60}, "temperature keeps changing faster than 80 °C per second for 1 min;"),
    ],
)
def test_what_differs_from_the_defaults_is_told(fields: dict[str, Any], words: str) -> None:
    assert words in f"{said(**fields)}"


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ({"device": "pump-7"}, "On pump-7: "),
        ({"device_type": "pump"}, "On every device of type pump: "),
        ({"group": "plant/hall-1"}, "On every device in plant/hall-1 and below: "),
        ({"all": True}, "On every device: "),
    ],
)
def test_every_scope(scope: dict[str, Any], words: str) -> None:
    assert sentence(PLAIN | {"scope": scope}).startswith(words)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (["mon", "tue", "wed", "thu", "fri"], "Mon–Fri 08:00–18:00 (Europe/Berlin)"),
        (["sun", "sat"], "Sat, Sun 08:00–18:00 (Europe/Berlin)"),
        (["mon", "wed", "thu", "fri"], "Mon, Wed–Fri 08:00–18:00 (Europe/Berlin)"),
        (["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "daily 08:00–18:00 (Europe/Berlin)"),
    ],
)
def test_schedules(days: list[str], words: str) -> None:
    schedule = {"zone": "Europe/Berlin", "windows": [{"days": days, "start": "08:00", "end": "18:00"}]}
    assert said(schedule=schedule).endswith(f"; opens only {words}")


def test_several_windows() -> None:
    windows = [{"days": [day], "start": "08:00", "end": "12:00"} for day in ("mon", "wed", "fri")]
    assert said(schedule={"zone": "UTC", "windows": windows}).endswith(
        "opens only Mon 08:00–12:00, Wed 08:00–12:00 and Fri 08:00–12:00 (UTC)"
    )


def test_what_it_overrides_is_named() -> None:
    assert sentence(PLAIN | {"overrides": 3}, "", "General").endswith("; there it takes the place of “General”.")


def test_without_a_unit_there_is_no_gap() -> None:
    assert said(unit="") == "opens a major alert when temperature is above 80; clears at 75"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.5, "0.5 s"), (59, "59 s"), (60, "1 min"), (5400, "1 h 30 min"), (90061, "1 d 1 h 1 min 1 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(80.0, "80"), (0.1, "0.1"), (-5.25, "-5.25"), (12345.5, "12,345.5"), (1e15, "1e+15")]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text

"""What makes no sense in a threshold as a whole, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.thresholds.conftest import hot, level
from thresholds.definition import Known, faults, override_faults

INFINITE = float("inf")


def wrong(**fields: Any) -> set[tuple[str, str]]:
    """(path, code) of everything that is wrong."""
    found = faults(hot(**fields))
    assert all(fault.detail.endswith((".", "]")) for fault in found)
    return {(".".join(map(str, fault.path)), fault.code) for fault in found}


def levels(*triggers: Any) -> list[dict[str, Any]]:
    """Levels from info on, mildest first."""
    return [
        level(trigger, severity=severity)
        for trigger, severity in zip(triggers, ("info", "warning", "major", "critical"), strict=False)
    ]


@pytest.mark.parametrize(
    ("condition", "triggers"),
    [
        ("above", (70, 80, 90, 100)),
        ("at_or_above", (70, 80)),
        ("below", (30, 20, 10)),
        ("at_or_below", (30, 20)),
        ("equal", (1, 0, 5)),
        ("not_equal", (1,)),
        ("outside", ([10, 20], [10, 25], [0, 30])),
        ("inside", ([0, 30], [10, 20], [12, 20])),
        ("rate_above", (0, 0.5)),
        ("silent", (600, 3600)),
        ("above", (-1e300,)),
    ],
)
def test_sensible_levels_pass_in_any_order_of_the_table(condition: str, triggers: Any) -> None:
    table = levels(*triggers)
    assert wrong(condition=condition, levels=table) == set()
    assert wrong(condition=condition, levels=table[::-1]) == set()


@pytest.mark.parametrize(
    ("condition", "triggers", "place"),
    [
        ("above", (80, 70), 1),
        ("above", (80, 80), 1),
        ("at_or_above", (1, 2, 2), 2),
        ("below", (20, 30), 1),
        ("at_or_below", (20, 20), 1),
        ("equal", (1, 1), 1),
        ("outside", ([10, 20], [12, 18]), 1),
        ("outside", ([10, 20], [10, 20]), 1),
        ("outside", ([10, 20], [5, 18]), 1),
        ("inside", ([10, 20], [5, 25]), 1),
        ("inside", ([10, 20], [10, 20]), 1),
        ("rate_above", (2, 1), 1),
        ("silent", (600, 60), 1),
    ],
)
def test_a_worse_severity_needs_a_worse_value(condition: str, triggers: Any, place: int) -> None:
    assert wrong(condition=condition, levels=levels(*triggers)) == {(f"levels.{place}.trigger", "level_order")}


def test_the_fault_stands_at_the_worse_level_wherever_it_is_in_the_table() -> None:
    table = levels(80, 70)[::-1]
    (fault,) = faults(hot(levels=table))
    assert fault.path == ("levels", 0, "trigger")
    assert fault.detail == "warning is worse than info: its trigger must lie above 80."


@pytest.mark.parametrize(
    ("condition", "trigger", "clear"),
    [
        ("above", 80, 80),
        ("at_or_above", 80, 80),
        ("below", 10, 10),
        ("at_or_below", 10, 15),
        ("outside", [10, 20], [10, 20]),
        ("outside", [10, 20], [12, 18]),
        ("inside", [10, 20], [10, 20]),
        ("inside", [10, 20], [5, 20]),
        ("rate_above", 2, 0),
    ],
)
def test_a_clear_value_on_the_safe_side_passes(condition: str, trigger: Any, clear: Any) -> None:
    assert wrong(condition=condition, levels=[level(trigger, clear)]) == set()


@pytest.mark.parametrize(
    ("condition", "trigger", "clear", "says"),
    [
        ("above", 80, 80.1, "80 or less"),
        ("at_or_above", 80, 81, "80 or less"),
        ("rate_above", 2, 3, "2 or less"),
        ("below", 10, 9, "10 or more"),
        ("at_or_below", 10, 9, "10 or more"),
        ("outside", [10, 20], [9, 18], "within [10, 20]"),
        ("outside", [10, 20], [12, 21], "within [10, 20]"),
        ("inside", [10, 20], [11, 25], "encloses [10, 20]"),
        ("inside", [10, 20], [5, 19], "encloses [10, 20]"),
    ],
)
def test_a_clear_value_on_the_wrong_side_is_told_where_it_belongs(
    condition: str, trigger: Any, clear: Any, says: str
) -> None:
    (fault,) = faults(hot(condition=condition, levels=[level(trigger, clear)]))
    assert (fault.path, fault.code) == (("levels", 0, "clear"), "wrong_side")
    assert says in fault.detail


@pytest.mark.parametrize(
    ("condition", "trigger", "clear", "field", "code"),
    [
        ("above", [1, 2], None, "trigger", "number_needed"),
        ("above", 1, [1, 2], "clear", "number_needed"),
        ("outside", 1, None, "trigger", "range_needed"),
        ("outside", [1, 2], 1, "clear", "range_needed"),
        ("inside", [1, 2, 3], None, "trigger", "range_needed"),
        ("outside", [2, 1], None, "trigger", "empty_range"),
        ("inside", [1, 1], None, "trigger", "empty_range"),
        ("outside", [0, 9], [5, 4], "clear", "empty_range"),
        ("above", INFINITE, None, "trigger", "not_finite"),
        ("below", float("nan"), None, "trigger", "not_finite"),
        ("inside", [0, INFINITE], None, "trigger", "not_finite"),
        ("above", None, None, "trigger", "required"),
        ("rate_above", -1, None, "trigger", "min_value"),
        ("rate_above", 1, -1, "clear", "min_value"),
        ("silent", 0, None, "trigger", "out_of_range"),
        ("silent", 1e12, None, "trigger", "out_of_range"),
        ("silent", 60, 30, "clear", "no_clear_value"),
        ("equal", 1, 0, "clear", "no_clear_value"),
        ("not_equal", 1, 1, "clear", "no_clear_value"),
    ],
)
def test_values_that_do_not_fit_the_condition(condition: str, trigger: Any, clear: Any, field: str, code: str) -> None:
    assert wrong(condition=condition, levels=[level(trigger, clear)]) == {(f"levels.0.{field}", code)}


def test_levels_there_must_be_and_each_severity_once() -> None:
    assert wrong(levels=[]) == {("levels", "empty")}
    assert wrong(levels=[level(1), level(2)]) == {("levels.1.severity", "unique")}
    assert wrong(condition="not_equal", levels=levels(1, 2)) == {("levels.1", "one_level")}


@pytest.mark.parametrize(
    ("field", "value"), [("for", 1), ("consecutive", 2), ("clear_for", 1), ("max_gap", 5), ("gap_policy", "hold")]
)
def test_silence_has_no_readings_to_count(field: str, value: Any) -> None:
    assert wrong(condition="silent", levels=[level(60)], **{field: value}) == {(field, "not_with_silent")}
    assert wrong(condition="above", **{field: value}) == set()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("for", -1, "min_value"),
        ("for", INFINITE, "min_value"),
        ("for", 1e12, "max_value"),
        ("clear_for", float("nan"), "min_value"),
        ("max_gap", 0, "min_value"),
        ("consecutive", 0, "invalid"),
        ("consecutive", 10**9, "invalid"),
        ("metric", "a/b", "invalid_name"),
        ("metric", " a", "invalid_name"),
        ("metric", "a\n", "invalid_name"),
        ("scope", {}, "one_scope"),
        ("scope", {"device": "a", "all": True}, "one_scope"),
        ("scope", {"label": "a"}, "one_scope"),
        ("message", "x" * 2001, "max_length"),
    ],
)
def test_single_fields(field: str, value: Any, code: str) -> None:
    assert wrong(**{field: value}) == {(field, code)}


@pytest.mark.parametrize(
    "message",
    ["{value", "value}", "{colour}", "{}", "{0}", "{value:9999999}", "{value!r}", "{value.real}", "{device[0]}"],
)
def test_a_message_has_only_plain_known_fields(message: str) -> None:
    assert wrong(message=message) == {("message", "bad_template")}


def test_a_good_message_passes() -> None:
    everything = "{device} {metric} {value} {unit} {threshold} {severity} {{braces}}"
    assert wrong(message=everything) == set()


def window(start: str, end: str, *days: str) -> dict[str, Any]:
    return {"days": list(days or ("mon",)), "start": start, "end": end}


def scheduled(*windows: Any, zone: Any = "Europe/Berlin") -> set[tuple[str, str]]:
    return wrong(schedule={"zone": zone, "windows": list(windows)})


@pytest.mark.parametrize(
    "windows",
    [
        [window("08:00", "18:00")],
        [window("08:00", "12:00"), window("12:00", "18:00")],
        [window("22:00", "06:00", "mon", "tue"), window("06:00", "07:00", "tue")],
        [window("00:00", "24:00", "mon", "tue", "wed", "thu", "fri", "sat", "sun")],
        [window("22:00", "06:00", "sun"), window("06:00", "08:00", "mon")],
    ],
)
def test_good_schedules_pass(windows: list[Any]) -> None:
    assert scheduled(*windows) == set()


@pytest.mark.parametrize(
    ("windows", "path"),
    [
        ([window("08:00", "12:00"), window("11:59", "18:00")], "schedule.windows.1"),
        ([window("11:59", "18:00"), window("08:00", "12:00")], "schedule.windows.1"),
        ([window("22:00", "06:00", "mon"), window("05:00", "07:00", "tue")], "schedule.windows.1"),
        ([window("05:00", "07:00", "mon"), window("22:00", "06:00", "sun")], "schedule.windows.1"),
        ([window("08:00", "12:00"), window("08:00", "12:00")], "schedule.windows.1"),
        ([window("08:00", "09:00"), window("10:00", "11:00"), window("07:00", "23:00")], "schedule.windows.2"),
    ],
)
def test_overlapping_windows_are_told(windows: list[Any], path: str) -> None:
    assert (path, "overlap") in scheduled(*windows)


@pytest.mark.parametrize(
    ("windows", "zone", "path", "code"),
    [
        ([window("08:00", "18:00")], "Mars/Base", "schedule.zone", "unknown_zone"),
        ([window("08:00", "18:00")], None, "schedule.zone", "unknown_zone"),
        ([window("08:00", "18:00")], "../etc/passwd", "schedule.zone", "unknown_zone"),
        ([], "UTC", "schedule.windows", "invalid_schedule"),
        ([{"days": [], "start": "08:00", "end": "09:00"}], "UTC", "schedule.windows.0.days", "invalid_schedule"),
        ([window("08:00", "25:00")], "UTC", "schedule.windows.0.end", "invalid_schedule"),
        ([window("8", "9")], "UTC", "schedule.windows.0.start", "invalid_schedule"),
        ([window("08:00", "09:00", "monday")], "UTC", "schedule.windows.0.days", "invalid_schedule"),
        ([window("08:00", "08:00")], "UTC", "schedule.windows.0.end", "empty_window"),
    ],
)
def test_bad_schedules_are_told_by_place(windows: list[Any], zone: Any, path: str, code: str) -> None:
    assert (path, code) in scheduled(*windows, zone=zone)


@pytest.mark.parametrize("schedule", [[], "always", 3, {}])
def test_what_is_no_schedule_is_told(schedule: Any) -> None:
    assert {path.split(".")[0] for path, _ in wrong(schedule=schedule)} == {"schedule"}


KNOWN = {1: Known("a", "t", None), 2: Known("b", "t", 1), 3: Known("c", "t", 2), 4: Known("d", "p", None)}


def overriding(own: int | None, target: int | None, metric: str = "t", by: dict[int, str] | None = None) -> list[Any]:
    return override_faults(own, {"metric": metric, "overrides": target}, KNOWN.get, by or {})


def test_what_may_be_overridden() -> None:
    assert overriding(None, None) == overriding(None, 3) == overriding(9, 3) == overriding(3, 1) == []
    assert [fault.code for fault in overriding(None, 77)] == ["does_not_exist"]
    assert [fault.code for fault in overriding(None, 4)] == ["other_metric"]
    assert [fault.code for fault in overriding(1, 1)] == ["cycle"]


@pytest.mark.parametrize("target", [2, 3])
def test_a_circle_is_named_with_its_members(target: int) -> None:
    (fault,) = overriding(1, target)
    assert (fault.path, fault.code) == (("overrides",), "cycle")
    assert ("this one → b → this one" if target == 2 else "this one → c → b → this one") in fault.detail


def test_a_circle_that_is_there_already_does_not_hang_the_check() -> None:
    known = {1: Known("a", "t", 2), 2: Known("b", "t", 1)}
    assert override_faults(9, {"metric": "t", "overrides": 1}, known.get, {}) == []


def test_an_overridden_one_keeps_its_metric() -> None:
    assert overriding(1, None, "t", {2: "t"}) == []
    (fault,) = overriding(1, None, "p", {2: "t"})
    assert (fault.path, fault.code) == (("metric",), "overridden")

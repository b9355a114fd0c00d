"""Preview over REST: what a threshold would have done over what is stored."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection

from telemetry.groups import make_group
from telemetry.models import Device, DeviceType, MetricDefinition, Series
from tests.telemetry.api.conftest import Answer, Api, api_of
from tests.telemetry.query.stored import store
from tests.thresholds.conftest import hot, level, person
from thresholds import preview
from thresholds.models import Threshold

START = datetime(2026, 3, 1, tzinfo=UTC)
RANGE = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}


def minutes(*values: float, begin: int = 0) -> list[tuple[datetime, float]]:
    """A reading a minute."""
    return [(START + timedelta(minutes=begin + number), value) for number, value in enumerate(values)]


def at(minute: float) -> str:
    return (START + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")


def device(name: str, values: Iterable[float], **fields: Any) -> Series:
    return store(Device.objects.create(name=name, **fields), "temperature", minutes(*values))


def ask(api: Api, threshold: Any, **fields: Any) -> Answer:
    return api.post("thresholds/preview", {"threshold": threshold, **RANGE, **fields})


def test_it_says_when_for_how_long_and_how_far(api: Api) -> None:
    device("pump-7", [70, 81, 85, 79, 75, 70, 82, 82])
    found = ask(api, hot())
    assert found.status == 200, found.body
    assert found.body == {
        "openings": 2,
        "notifications": 3,
        "alerts": [
            {
                "device": "pump-7",
                "metric": "temperature",
                "severity": "major",
                "opened_at": at(1),
                "ended_at": at(4),
                "extreme": 85.0,
                "flapping": False,
            },
            {
                "device": "pump-7",
                "metric": "temperature",
                "severity": "major",
                "opened_at": at(6),
                "ended_at": None,
                "extreme": 82.0,
                "flapping": False,
            },
        ],
        "start": at(0),
        "end": at(24 * 60),
        "readings": 8,
        "series": {"matching": 1, "judged": 1},
        "truncated": False,
    }


def test_a_saved_one_is_run_by_its_id_disabled_or_not(api: Api) -> None:
    device("pump-7", [70, 81, 70])
    made = api.post("thresholds", hot(enabled=False)).body
    assert ask(api, made["id"]).body == ask(api, made).body == ask(api, hot()).body
    assert ask(api, made["id"]).body["openings"] == 1


def test_nothing_is_saved_and_a_draft_needs_no_name(api: Api) -> None:
    draft = hot()
    del draft["name"]
    assert ask(api, draft).status == 200
    assert not Threshold.objects.exists()


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ({"device": "a"}, {"a"}),
        ({"device_type": "pump"}, {"b"}),
        ({"group": "plant"}, {"c"}),
        ({"all": True}, {"a", "b", "c"}),
    ],
)
def test_it_judges_what_the_scope_holds_and_is_enabled(api: Api, scope: dict[str, Any], names: set[str]) -> None:
    device("a", [90])
    device("b", [90], type=DeviceType.objects.create(name="pump"))
    device("c", [90], group=make_group("plant/hall-1"))
    device("off", [90], enabled=False)
    make_group("plant/hall-1")
    store(Device.objects.get(name="a"), "pressure", minutes(90))
    assert {alert["device"] for alert in ask(api, hot(scope=scope)).body["alerts"]} == names


def test_series_where_another_one_overrides_it_are_left_out(api: Api) -> None:
    device("a", [90])
    device("b", [90])
    general = api.post("thresholds", hot()).body["id"]
    special = api.post("thresholds", hot(scope={"device": "a"}, overrides=general)).body["id"]
    assert [alert["device"] for alert in ask(api, general).body["alerts"]] == ["b"]
    api.patch(f"thresholds/{special}", {"enabled": False})
    assert len(ask(api, general).body["alerts"]) == 2


def test_the_range_is_half_open_and_ends_now_by_default(api: Api) -> None:
    now = datetime.now(UTC)
    pump = Device.objects.create(name="pump-7")
    store(pump, "temperature", [(now - timedelta(days=40), 90.0), (now - timedelta(days=39), 0.0)])
    store(pump, "temperature", [(now - timedelta(days=29), 91.0), (now - timedelta(hours=1), 0.0)])
    found = api.post("thresholds/preview", {"threshold": hot()}).body
    assert [alert["extreme"] for alert in found["alerts"]] == [91.0]
    assert ask(api, hot(), start=at(0), end=at(0)).faults() == {("end", "empty_range")}
    device("b", [70, 90])
    assert ask(api, hot(), end=at(1)).body["openings"] == 0
    assert ask(api, hot(), start=at(1)).body["openings"] == 1


def test_the_expected_interval_of_the_type_decides_what_a_gap_is(api: Api) -> None:
    kind = DeviceType.objects.create(name="pump")
    metric = MetricDefinition.objects.create(device_type=kind, name="temperature", expected_interval=60)
    pump = Device.objects.create(name="pump-7", type=kind)
    store(pump, "temperature", [*minutes(90, 90), *minutes(90, begin=9)])
    assert ask(api, hot(**{"for": 300})).body["openings"] == 0
    assert ask(api, hot(**{"for": 300}, gap_policy="hold")).body["openings"] == 1
    metric.expected_interval = 300
    metric.save()
    assert ask(api, hot(**{"for": 300})).body["openings"] == 1


@pytest.mark.parametrize(
    ("condition", "levels", "values", "extreme"),
    [
        ("below", [level(10)], [20, 9, 3, 5], 3),
        ("outside", [level([10, 20], [12, 18])], [15, 21, 5, 11], 5),
        ("inside", [level([10, 20])], [25, 12, 18], 18),
        ("equal", [level(1)], [0, 1, 1], 1),
        ("not_equal", [level(1)], [1, 2, 7], 7),
        ("rate_above", [level(0.1)], [0, 12, 36, 36.1], 24 / 60),
    ],
)
def test_the_extreme_of_one_that_stays_open_is_the_furthest_of_all(
    api: Api, condition: str, levels: list[Any], values: list[float], extreme: float
) -> None:
    device("pump-7", values)
    (alert,) = ask(api, hot(condition=condition, levels=[*levels])).body["alerts"]
    expected_end = at(3) if condition == "rate_above" else None
    assert (alert["ended_at"], alert["extreme"]) == (expected_end, pytest.approx(extreme))


def test_silence_is_found_between_readings_and_after_the_last(api: Api) -> None:
    store(Device.objects.create(name="pump-7"), "temperature", [*minutes(1, 1), *minutes(1, begin=31)])
    found = ask(api, hot(condition="silent", levels=[level(600)]), end=at(60)).body
    assert [(alert["opened_at"], alert["ended_at"]) for alert in found["alerts"]] == [(at(11), at(31)), (at(41), None)]
    assert [alert["extreme"] for alert in found["alerts"]] == [1800, 29 * 60]


def test_openings_at_one_time_are_one_message(api: Api) -> None:
    for number in range(7):
        device(f"pump-{number}", [70, 90, 70])
    found = ask(api, hot()).body
    assert (found["openings"], found["notifications"]) == (7, 2)


def test_flapping_is_told_once(api: Api) -> None:
    device("pump-7", [90, 70] * 8 + [70] * 30)
    found = ask(api, hot()).body
    assert found["openings"] == 6
    assert [alert["flapping"] for alert in found["alerts"]] == [False] * 5 + [True]
    assert found["notifications"] == 5 + 5 + 1 + 1


def test_beyond_the_bound_of_series_it_says_so(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "MAX_SERIES", 2)
    for name in "cab":
        device(name, [90])
    found = ask(api, hot()).body
    assert (found["series"], found["truncated"]) == ({"matching": 3, "judged": 2}, True)
    assert [alert["device"] for alert in found["alerts"]] == ["a", "b"]


def test_beyond_the_bound_of_alerts_all_are_counted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "MAX_ALERTS", 2)
    for name in "abc":
        device(name, [90])
    found = ask(api, hot()).body
    assert (found["openings"], len(found["alerts"]), found["truncated"]) == (3, 2, True)


def test_too_much_to_read_is_told_with_what_to_narrow(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    device("pump-7", range(10))
    monkeypatch.setattr(preview, "MAX_READINGS", 9)
    answer = ask(api, hot())
    assert answer.faults() == {("start", "too_expensive")}
    assert "shorter range" in answer.body["detail"]
    monkeypatch.setattr(preview, "MAX_READINGS", 10)
    assert ask(api, hot()).status == 200


def test_what_takes_too_long_is_cut_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    device("pump-7", range(10))

    def slow(*_: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(10)")

    monkeypatch.setattr(preview, "columns_of", slow)
    monkeypatch.setattr(preview, "_SECONDS", 0.2)
    assert ask(api, hot()).faults() == {("start", "too_expensive")}


def test_a_database_that_is_away_is_no_fault_of_the_preview(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    device("pump-7", [1])

    def away(*_: Any) -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(preview, "columns_of", away)
    assert ask(api, hot()).status == 503


def test_one_at_a_time_in_a_process(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "_turn", threading.Semaphore(0))
    monkeypatch.setattr(preview, "_PATIENCE", 0.01)
    answer = ask(api, hot())
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "threshold", "required"),
        ({"threshold": None}, "threshold", "null"),
        ({"threshold": 17}, "threshold", "does_not_exist"),
        ({"threshold": -1}, "threshold", "does_not_exist"),
        ({"threshold": 10**40}, "threshold", "does_not_exist"),
        ({"threshold": True}, "threshold", "invalid"),
        ({"threshold": "hot"}, "threshold", "invalid"),
        ({"threshold": {}}, "threshold.levels", "required"),
        ({"threshold": hot(levels=[level(80, 90)])}, "threshold.levels.0.clear", "wrong_side"),
        ({"threshold": hot(), "start": "yesterday"}, "start", "invalid"),
        ({"threshold": hot(), "end": "2026-03-01T00:00:00"}, "end", "no_offset"),
        ({"threshold": hot(), "start": "2999-01-01T00:00:00Z"}, "start", "empty_range"),
        ([], None, "invalid"),
    ],
)
def test_bad_input_is_told_by_field(api: Api, body: Any, field: str | None, code: str) -> None:
    answer = api.post("thresholds/preview", body)
    assert answer.status == 400
    assert (field, code) in answer.faults()


def test_who_may_look_at_thresholds_may_try_one(db: None) -> None:
    assert ask(api_of(None), hot()).status == 401
    assert ask(api_of(person("without")), hot()).status == 403
    assert ask(api_of(person("with", "view_threshold")), hot()).status == 200


def test_odd_times_do_not_break_it(api: Api) -> None:
    device("pump-7", [90])
    for start in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"):
        assert ask(api, hot(), start=start).status == 200
    assert ask(api, hot(), end="9999-12-31T23:59:59.999999Z").status == 200
    assert not math.isnan(ask(api, hot()).body["alerts"][0]["extreme"])

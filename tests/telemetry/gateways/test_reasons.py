"""Every reason for which a value is refused: what the sender is told, what is kept of it, and that it can be mended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from telemetry.models import DeviceGroup, DeviceType, MetricDefinition, QuarantinedReading
from tests.builders import make_device, make_key, post_readings

pytestmark = pytest.mark.usefixtures("platform_db")


def ago(**delta: float) -> str:
    return (datetime.now(UTC) - timedelta(**delta)).isoformat()


@pytest.fixture
def world(settings: Any) -> dict[str, str]:
    """A pump of a strict type in a hall, another hall's device, a disabled one, one that has all its metrics; a key."""
    settings.PLATFORM = replace(settings.PLATFORM, max_series_per_device=3)
    pump = DeviceType.objects.create(name="pump", strict=True)
    MetricDefinition.objects.create(device_type=pump, name="temperature", low=-40, high=125)
    MetricDefinition.objects.create(device_type=pump, name="running", kind="boolean")
    hall, yard = DeviceGroup.objects.create(name="hall"), DeviceGroup.objects.create(name="yard")
    make_device("pump-7", type=pump, group=hall)
    make_device("open", group=hall)
    make_device("stranger", group=yard)
    make_device("off", group=hall, enabled=False)
    make_device("full", group=hall)
    key = make_key(group=hall)
    assert post_readings(key, {"device": "full", "metrics": {"a": 1, "b": 1, "c": 1}}).status_code == 202
    return {"key": key}


#: code: (reading, field, the reading mended, so that it is accepted when it is replayed)
_MENDED = {"device": "open", "metrics": {"a": 5}}
_MENDED_PUMP = {"device": "pump-7", "metrics": {"temperature": 5}}
REASONS: dict[str, tuple[Any, str | None, Any]] = {
    "malformed": ({"device": "open", "when": 1, "metrics": {"a": 5}}, "when", _MENDED),
    "malformed (no device)": ({"metrics": {"a": 5}}, "device", _MENDED),
    "malformed (metric's name)": ({"device": "open", "metrics": {" a": 5}}, "metrics", _MENDED),
    "malformed (no reading)": ("hello", None, _MENDED),
    "malformed (twice)": (b'{"device": "open", "metrics": {"a": 1, "a": 2}}', "metrics.a", _MENDED),
    "unknown_device": ({"device": "nobody", "metrics": {"a": 5}}, "device", _MENDED),
    "forbidden_device": ({"device": "stranger", "metrics": {"a": 5}}, "device", None),
    "device_disabled": ({"device": "off", "metrics": {"a": 5}}, "device", _MENDED),
    "unknown_metric": (
        {"device": "pump-7", "metrics": {"pressure": 5}}, "metrics.pressure", _MENDED_PUMP,
    ),
    "too_many_metrics": ({"device": "full", "metrics": {"d": 5}}, "metrics.d", {"device": "full", "metrics": {"a": 5}}),
    "invalid_time": ({"device": "open", "time": "noon", "metrics": {"a": 5}}, "time", _MENDED),
    "too_far_in_future": ({"device": "open", "time": ago(days=-1), "metrics": {"a": 5}}, "time", _MENDED),
    "too_old": ({"device": "open", "time": ago(days=31), "metrics": {"a": 5}}, "time", None),
    "invalid_value": ({"device": "open", "metrics": {"a": "5"}}, "metrics.a", _MENDED),
    "invalid_value (too large)": ({"device": "open", "metrics": {"a": -1e101}}, "metrics.a", _MENDED),
    "out_of_range": (
        {"device": "pump-7", "metrics": {"temperature": 126}}, "metrics.temperature", _MENDED_PUMP,
    ),
    "not_finite": ({"device": "open", "metrics": {"a": float("nan")}}, "metrics.a", _MENDED),
}  # fmt: skip
_CASES = list(REASONS.items())
_IDS = [name for name, _ in _CASES]


def raw(reading: Any) -> bytes:
    return reading if isinstance(reading, bytes) else json.dumps(reading).encode()


@pytest.mark.parametrize(("name", "case"), _CASES, ids=_IDS)
def test_alone_it_is_refused_with_its_reason_kept_and_can_be_mended(
    world: dict[str, str], drain: Callable[[], int], name: str, case: tuple[Any, str | None, Any]
) -> None:
    reading, field, mended = case
    code = name.partition(" ")[0]
    answer = post_readings(world["key"], b"[" + raw(reading) + b"]")
    assert answer.status_code == (403 if code == "forbidden_device" else 400), answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() >= {"type", "title", "status", "detail", "errors"}
    assert problem["status"] == answer.status_code
    (error,) = problem["errors"]
    assert (error["index"], error["field"], error["code"]) == (0, field, code)
    assert error["detail"]
    drain()
    kept = QuarantinedReading.objects.get()
    assert (kept.code, kept.field, kept.state, kept.detail) == (code, field or "", "waiting", error["detail"])
    assert kept.key_prefix
    assert kept.key_prefix in world["key"]
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    # Where the reading itself was right (its key or its age was not), it is replayed as it was sent.
    body = {"payload": mended} if mended else {}
    answer = client.post(f"/api/v1/quarantine/{kept.pk}/replay", body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 0)
    assert drain() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM telemetry_reading WHERE value = 5")
        assert cursor.fetchone() == (1,)
    kept.refresh_from_db()
    assert kept.state == "replayed"


@pytest.mark.parametrize(("name", "case"), _CASES, ids=_IDS)
def test_among_others_it_costs_only_itself(
    world: dict[str, str], drain: Callable[[], int], name: str, case: tuple[Any, str | None, Any]
) -> None:
    reading, field, _ = case
    good = b'{"device": "open", "metrics": {"good": 1}}'
    answer = post_readings(world["key"], b"[" + b", ".join([good, raw(reading), good]) + b"]")
    assert answer.status_code == 202, answer.content
    told = answer.json()
    assert (told["accepted"], told["rejected"], len(told["errors"])) == (2, 1, 1)
    (error,) = told["errors"]
    assert (error["index"], error["field"], error["code"]) == (1, field, name.partition(" ")[0])
    assert drain() == 2 + 3
    assert QuarantinedReading.objects.count() == 1


def test_all_reasons_of_the_contract_are_here() -> None:
    assert {name.partition(" ")[0] for name in REASONS} == {
        "malformed", "unknown_device", "forbidden_device", "device_disabled", "unknown_metric", "too_many_metrics",
        "invalid_time", "too_far_in_future", "too_old", "invalid_value", "out_of_range", "not_finite",
    }  # fmt: skip


def test_all_reasons_in_one_request(world: dict[str, str], drain: Callable[[], int]) -> None:
    readings = [raw(reading) for reading, _, _ in REASONS.values()]
    answer = post_readings(
        world["key"], b"[" + b",".join([*readings, b'{"device": "open", "metrics": {"good": 1}}']) + b"]"
    )
    told = answer.json()
    assert (answer.status_code, told["accepted"]) == (202, 1)
    assert sorted(error["index"] for error in told["errors"]) == list(range(len(REASONS)))
    by_index = {error["index"]: error["code"] for error in told["errors"]}
    assert [by_index[index] for index in range(len(REASONS))] == [name.partition(" ")[0] for name in REASONS]
    drain()
    assert QuarantinedReading.objects.count() == len(REASONS)


@pytest.mark.parametrize("form", [lambda r: r, lambda r: [r], lambda r: {"readings": [r]}])
def test_a_time_that_is_wrong_costs_all_values_of_its_reading(
    world: dict[str, str], form: Callable[[Any], Any]
) -> None:
    answer = post_readings(world["key"], form({"device": "open", "time": "x", "metrics": {"a": 1, "b": 2}}))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "time"


def test_compact_values_are_refused_one_by_one(world: dict[str, str], drain: Callable[[], int]) -> None:
    times = [ago(minutes=5), ago(days=40), ago(minutes=3), ago(minutes=2)]
    body = {"device": "pump-7", "times": times, "metrics": {"temperature": [20, 21, 999, None]}}
    told = post_readings(world["key"], body).json()
    assert (told["accepted"], told["rejected"]) == (1, 2)
    assert sorted(error["code"] for error in told["errors"]) == ["out_of_range", "too_old"]
    drain()
    payloads = [
        json.loads(kept.payload)["metrics"]["temperature"] for kept in QuarantinedReading.objects.order_by("code")
    ]
    assert payloads == [999.0, 21.0]


@pytest.mark.parametrize(
    "name", ["\x00" * 200, "a\x00b", "\\ud800", "x" * 10_000, "‮abc", "e\u0301", "👩‍🔬", "'; DROP TABLE", "../.."]
)
def test_no_name_spoils_what_stands_beside_it(world: dict[str, str], drain: Callable[[], int], name: str) -> None:
    text = json.dumps(name) if name != "\\ud800" else '"\\ud800"'
    body = f'[{{"device": {text}, "metrics": {{"a": 1}}}}, {{"device": "open", "metrics": {{"good": 1, {text}: "x"}}}}]'
    answer = post_readings(world["key"], body.encode())
    assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (202, 1, 2)
    drain()
    assert sorted(QuarantinedReading.objects.values_list("code", flat=True)) == ["invalid_value", "unknown_device"]


@pytest.mark.parametrize("name", ["👩‍🔬", "Pumpe Süd", "泵-7", "‮abc", "e\u0301", "x" * 200, "a.b c"])
def test_every_name_a_device_can_have_can_be_sent(drain: Callable[[], int], name: str) -> None:
    device = make_device(name)
    device.full_clean(exclude=["type", "group"])
    assert post_readings(make_key(), {"device": name, "metrics": {name[:100]: 1}}).status_code == 202
    assert drain() == 1


def test_a_flood_of_refusals_is_bounded_and_what_is_not_kept_is_counted(
    settings: Any, drain: Callable[[], int]
) -> None:
    from telemetry.models.quarantine import QuarantineDropped

    settings.PLATFORM = replace(settings.PLATFORM, quarantine_per_device_per_minute=10)
    make_device("open")
    key = make_key()
    readings = [{"device": f"invented-{n}", "metrics": {"a": 1}} for n in range(100)]
    assert post_readings(key, readings).status_code == 400
    assert post_readings(key, [{"device": "open", "metrics": {"a": "x"}}] * 100).status_code == 400
    drain()
    assert QuarantinedReading.objects.count() == 20
    assert dict(QuarantineDropped.objects.values_list("device", "dropped")) == {"": 90, "open": 90}

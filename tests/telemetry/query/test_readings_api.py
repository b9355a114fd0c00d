"""GET /api/v1/readings and /api/v1/devices/{name}/latest: what clients see."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from telemetry.models import Device, DeviceKey
from tests.telemetry.query.stored import store

MORNING = datetime(2026, 3, 1, 10, tzinfo=UTC)
READINGS = "/api/v1/readings"


@pytest.fixture
def pump(db) -> Device:
    device = Device.objects.create(name="pump-7")
    store(device, "temperature", [(MORNING + timedelta(seconds=n), 20.0 + n / 2) for n in range(10)])
    store(device, "running", [(MORNING + timedelta(milliseconds=1500), True), (MORNING + timedelta(seconds=4), False)])
    return device


def values(answer) -> list:
    assert answer.status_code == 200, answer.content
    return [result["value"] for result in answer.json()["results"]]


def test_a_reading_carries_device_metric_time_and_value(reader, pump):
    found = reader.get(READINGS, {"device": "pump-7", "end": "2026-03-01T10:00:02Z"}).json()["results"]
    assert found == [
        {"device": "pump-7", "metric": "temperature", "time": "2026-03-01T10:00:00Z", "value": 20.0},
        {"device": "pump-7", "metric": "temperature", "time": "2026-03-01T10:00:01Z", "value": 20.5},
        {"device": "pump-7", "metric": "running", "time": "2026-03-01T10:00:01.500000Z", "value": True},
    ]


def test_one_metric_newest_first(reader, pump):
    answer = reader.get(READINGS, {"device": "pump-7", "metric": "temperature", "order": "desc", "limit": 3})
    assert values(answer) == [24.5, 24.0, 23.5]
    assert values(reader.get(READINGS, {"device": "pump-7", "metric": "pressure"})) == []


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-01T10:00:02Z", "2026-03-01T10:00:04Z"),
        ("2026-03-01T11:00:02+01:00", "2026-03-01T05:00:04-05:00"),
        ("1772359202", "1772359204"),
        ("1772359202.0", "1772359204000"),
        ("1772359202000000", "1772359204000000000"),
    ],
)
def test_times_in_every_form(reader, pump, start, end):
    query = {"device": "pump-7", "metric": "temperature", "start": start, "end": end}
    assert values(reader.get(READINGS, query)) == [21.0, 21.5]


def test_an_offset_whose_plus_was_not_escaped_is_understood(reader, pump):
    url = f"{READINGS}?device=pump-7&metric=temperature&start=2026-03-01T11:00:08+01:00"
    assert values(reader.get(url)) == [24.0, 24.5]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_lead_to_the_end_and_back(reader, pump, order):
    query = {"device": "pump-7", "order": order}
    everything = reader.get(READINGS, query).json()["results"]
    assert len(everything) == 12

    forward, url = [], f"{READINGS}?device=pump-7&order={order}&limit=5"
    while url:
        page = reader.get(url).json()
        forward += page["results"]
        last, url = page, page["next"]
        assert url is None or url.startswith("http://testserver/api/v1/readings?")
    assert forward == everything

    backward, url = list(last["results"]), last["previous"]
    while url:
        page = reader.get(url).json()
        backward, url = page["results"] + backward, page["previous"]
    assert backward == everything


def test_a_first_page_has_no_previous_and_a_last_one_no_next(reader, pump):
    page = reader.get(READINGS, {"device": "pump-7", "limit": 12}).json()
    assert (page["next"], page["previous"]) == (None, None)


def test_the_limit_is_clamped(reader, db):
    device = Device.objects.create(name="fast")
    store(device, "a", [(MORNING + timedelta(milliseconds=n), n) for n in range(10_001)])
    assert len(values(reader.get(READINGS, {"device": "fast"}))) == 1000
    assert len(values(reader.get(READINGS, {"device": "fast", "limit": 99_999_999}))) == 10_000
    assert len(values(reader.get(READINGS, {"device": "fast", "limit": -3}))) == 1


BAD = [
    ("device", None),
    ("device", "x" * 201),
    ("device", "pump\x00"),
    ("metric", "m" * 101),
    ("metric", "\x00"),
    ("start", "yesterday"),
    ("start", "2026-03-01T10:00:00"),
    ("start", "2026-03-01T10:00:00\x00Z"),
    ("end", "9" * 900),
    ("end", "nan"),
    ("end", "1" * 5000),
    ("end", "2020-01-01T00:00:00Z"),
    ("order", "sideways"),
    ("limit", "many"),
    ("limit", "9" * 5000),
    ("cursor", "!"),
    ("cursor", "é"),
    ("cursor", "bnVsbA"),
    ("cursor", "W3RydWUsMWU5OTksMV0"),
    ("cursor", "W3RydWUsOTk5OTk5OTk5OTk5OTk5OTk5OTk5LDFd"),
]


@pytest.mark.parametrize(("parameter", "value"), BAD)
def test_a_bad_parameter_is_named(reader, pump, parameter, value):
    query = {"device": "pump-7", "start": "2026-01-01T00:00:00Z", parameter: value}
    answer = reader.get(READINGS, {name: text for name, text in query.items() if text is not None})
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert parameter in [error["field"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00Z", "-62135596800", "1970-01-01T00:00:00Z"])
@pytest.mark.parametrize("end", ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+14:00"])
def test_the_ends_of_time_are_times(reader, pump, start, end):
    assert len(values(reader.get(READINGS, {"device": "pump-7", "start": start, "end": end}))) == 12
    assert len(values(reader.get(READINGS, {"device": "pump-7", "start": start, "end": end, "order": "desc"}))) == 12


def test_an_unknown_device_is_not_found(reader, pump):
    for url in (
        f"{READINGS}?device=pump-8",
        "/api/v1/devices/pump-8/latest",
        f"/api/v1/devices/{quote(chr(0))}/latest",
    ):
        answer = reader.get(url)
        assert answer.status_code == 404
        assert answer["Content-Type"] == "application/problem+json"


def test_latest(reader, pump):
    assert reader.get("/api/v1/devices/pump-7/latest").json() == {
        "device": "pump-7",
        "metrics": {
            "running": {"time": "2026-03-01T10:00:04Z", "value": False},
            "temperature": {"time": "2026-03-01T10:00:09Z", "value": 24.5},
        },
    }


@pytest.mark.parametrize("url", [f"{READINGS}?device=pump-7", "/api/v1/devices/pump-7/latest"])
def test_only_who_may_see_devices_may_read(pump, url):
    assert APIClient().get(url).status_code == 401
    stranger = APIClient()
    stranger.force_login(User.objects.create_user("stranger"))
    assert stranger.get(url).status_code == 403
    key = DeviceKey(device=pump).issue()
    assert APIClient().get(url, headers={"Authorization": f"Bearer {key}"}).status_code in (401, 403)

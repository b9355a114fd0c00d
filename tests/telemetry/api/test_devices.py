"""GET|POST /api/v1/devices, GET|PATCH|PUT|DELETE /api/v1/devices/{name}."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone

from telemetry.groups import make_group
from telemetry.models import Device, DeviceKey, DeviceLastSeen, DeviceType, MetricDefinition, PurgedSeries, Series
from tests.telemetry.api.conftest import Api

FULL = {
    "name": "Pumpe 7.b – Süd",
    "type": "pump",
    "group": "plant/hall-1",
    "parent": "gateway",
    "labels": {"site": "north", "größe": "klein"},
    "enabled": False,
    "description": "feed water",
    "location": "bay 4",
    "latitude": 48.1,
    "longitude": 11.5,
}


@pytest.fixture
def plant(db: None) -> None:
    DeviceType.objects.create(name="pump")
    make_group("plant/hall-1")
    Device.objects.create(name="gateway")


def names(answer: Any) -> list[str]:
    assert answer.status == 200, answer.body
    return [device["name"] for device in answer.body["results"]]


def test_a_device_is_registered_with_everything_and_read_back(api: Api, plant: None) -> None:
    made = api.post("devices", FULL)
    assert made.status == 201
    assert {name: made.body[name] for name in FULL} == FULL
    assert made.body["state"] == "disabled"
    assert made.body["last_seen"] is None
    assert made.body["created_at"].endswith("Z")
    assert api.get(f"devices/{quote(FULL['name'])}").body == made.body


def test_a_name_is_all_that_a_device_needs(api: Api) -> None:
    made = api.post("devices", {"name": "pump-7"})
    assert made.status == 201
    assert (made.body["type"], made.body["group"], made.body["parent"], made.body["labels"]) == (None, None, None, {})
    assert made.body["enabled"] is True
    assert made.body["state"] == "never_seen"


def test_patch_changes_what_it_names_and_nothing_else(api: Api, plant: None) -> None:
    before = api.post("devices", FULL).body
    changed = api.patch(f"devices/{quote(FULL['name'])}", {"enabled": True, "group": None})
    assert changed.status == 200
    assert changed.body == before | {"enabled": True, "group": None, "state": "never_seen"}


def test_a_device_is_renamed(api: Api) -> None:
    api.post("devices", {"name": "old"})
    assert api.patch("devices/old", {"name": "new"}).body["name"] == "new"
    assert api.get("devices/old").status == 404
    assert api.get("devices/new").status == 200


def test_what_was_read_can_be_put_back(api: Api, plant: None) -> None:
    before = api.post("devices", FULL).body
    assert api.put(f"devices/{quote(FULL['name'])}", before).body == before


def test_put_needs_what_post_needs(api: Api) -> None:
    api.post("devices", {"name": "pump-7"})
    assert api.put("devices/pump-7", {"enabled": False}).faults() == {("name", "required")}


def test_deleting_takes_keys_along_and_leaves_series_to_be_purged(api: Api, shards: None) -> None:
    device = Device.objects.create(name="pump-7")
    DeviceKey(device=device).issue()
    series = Series.objects.create(device=device, metric="temperature")
    assert api.delete("devices/pump-7").status == 204
    assert not Device.objects.exists()
    assert not DeviceKey.objects.exists()
    assert list(PurgedSeries.objects.values_list("series_id", flat=True)) == [series.pk]
    assert api.delete("devices/pump-7").status == 404


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "name", "required"),
        ({"name": None}, "name", "null"),
        ({"name": ""}, "name", "blank"),
        ({"name": "a/b"}, "name", "invalid_name"),
        ({"name": "a\nb"}, "name", "invalid_name"),
        ({"name": "a\x00b"}, "name", "null_characters_not_allowed"),
        ({"name": "\ud800"}, "name", "surrogate_characters_not_allowed"),
        ({"name": "x" * 201}, "name", "max_length"),
        ({"name": ["pump"]}, "name", "invalid"),
        ({"name": "gateway"}, "name", "unique"),
        ({"name": "p", "type": "no such"}, "type", "does_not_exist"),
        ({"name": "p", "type": 7}, "type", "invalid"),
        ({"name": "p", "type": "a\x00b"}, "type", "does_not_exist"),
        ({"name": "p", "type": "\ud800"}, "type", "does_not_exist"),
        ({"name": "p", "group": {"path": "plant"}}, "group", "invalid"),
        ({"name": "p", "group": "hall-1"}, "group", "does_not_exist"),
        ({"name": "p", "parent": "nobody"}, "parent", "does_not_exist"),
        ({"name": "p", "labels": ["a"]}, "labels", "not_a_dict"),
        ({"name": "p", "labels": {"a": {}}}, "labels.a", "invalid"),
        ({"name": "p", "labels": {"a": None}}, "labels.a", "null"),
        ({"name": "p", "labels": {"a:b": "c"}}, "labels", "bad_key"),
        ({"name": "p", "labels": {"a\x00": "c"}}, "labels", "bad_key"),
        ({"name": "p", "labels": {"\ud800": "c"}}, "labels", "bad_key"),
        ({"name": "p", "labels": {"a": "\x00"}}, "labels.a", "null_characters_not_allowed"),
        ({"name": "p", "labels": {str(n): "" for n in range(65)}}, "labels", "too_many"),
        ({"name": "p", "enabled": "perhaps"}, "enabled", "invalid"),
        ({"name": "p", "enabled": None}, "enabled", "null"),
        ({"name": "p", "latitude": 90.1}, "latitude", "max_value"),
        ({"name": "p", "longitude": -181}, "longitude", "min_value"),
        ({"name": "p", "latitude": "nan"}, "latitude", "invalid"),
        ({"name": "p", "latitude": True}, "latitude", "invalid"),
        ({"name": "p", "latitude": 10**400}, "latitude", "overflow"),
        ({"name": "p", "location": "x" * 201}, "location", "max_length"),
        ({"name": "p", "lable": {}}, "lable", "unknown_field"),
        ([{"name": "p"}], None, "invalid"),
        ("pump", None, "invalid"),
    ],
)
def test_bad_input_is_refused_with_its_field_and_reason(
    api: Api, plant: None, body: Any, field: str | None, code: str
) -> None:
    answer = api.post("devices", body)
    assert answer.status == 400
    assert (field, code) in answer.faults()
    assert {name for name, _ in answer.faults()} == {field}
    assert Device.objects.count() == 1


def test_every_wrong_field_is_told_at_once(api: Api) -> None:
    answer = api.post("devices", {"name": "a/b", "latitude": 91, "type": "x"})
    assert answer.faults() == {("name", "invalid_name"), ("latitude", "max_value"), ("type", "does_not_exist")}
    assert answer.body["detail"].startswith("3 things are wrong")


def test_messages_say_what_to_do(api: Api) -> None:
    [fault] = api.post("devices", {"name": "p", "type": "x"}).body["errors"]
    assert fault["detail"] == "There is no device type 'x'; make it first with POST /api/v1/device-types."


def test_a_device_is_not_its_own_gateway(api: Api) -> None:
    api.post("devices", {"name": "pump-7"})
    assert api.patch("devices/pump-7", {"parent": "pump-7"}).faults() == {("parent", "invalid")}


@pytest.mark.parametrize("name", ["nobody", "a%00b", "%F0%9F%92%A9", "x" * 5000])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_unknown_device_is_404(api: Api, method: str, name: str) -> None:
    answer = api.send(method, f"devices/{name}", {})
    assert answer.status == 404
    assert answer.body["detail"].startswith("There is no device")


def test_lists_are_filtered_by_what_a_device_is(api: Api) -> None:
    pump, meter = (DeviceType.objects.create(name=name) for name in ("pump", "meter"))
    hall, line = make_group("plant/hall-1"), make_group("plant/hall-1/line-2")
    make_group("plant/hall-10")
    Device.objects.create(name="a", type=pump, group=hall, labels={"site": "north", "row": "1"})
    Device.objects.create(name="b", type=pump, group=line, labels={"site": "north"}, description="Feed water")
    Device.objects.create(
        name="c", type=meter, group=make_group("plant/hall-10"), enabled=False, labels={"site": "south"}
    )
    assert names(api.get("devices")) == ["a", "b", "c"]
    assert names(api.get("devices", type="pump")) == ["a", "b"]
    assert names(api.get("devices", group="plant/hall-1")) == ["a", "b"]
    assert names(api.get("devices", group="plant")) == ["a", "b", "c"]
    assert names(api.get("devices", label="site:north")) == ["a", "b"]
    assert names(api.get("devices", label=["site:north", "row:1"])) == ["a"]
    assert names(api.get("devices", enabled="false")) == ["c"]
    assert names(api.get("devices", q="FEED")) == ["b"]
    assert names(api.get("devices", q="%")) == []
    assert names(api.get("devices", type="pump", enabled="false")) == []


def test_lists_are_filtered_by_state(api: Api) -> None:
    pump = DeviceType.objects.create(name="pump")
    MetricDefinition.objects.create(device_type=pump, name="t", expected_interval=100)
    MetricDefinition.objects.create(device_type=pump, name="u", expected_interval=5000)
    for name, age in (("online", 60), ("late", 200), ("silent", 400)):
        DeviceLastSeen.objects.create(
            device=Device.objects.create(name=name, type=pump), at=timezone.now() - timedelta(seconds=age)
        )
    Device.objects.create(name="never_seen", type=pump)
    Device.objects.create(name="disabled", type=pump, enabled=False)
    for state in ("online", "late", "silent", "never_seen", "disabled"):
        answer = api.get("devices", state=state)
        assert names(answer) == [state]
        assert answer.body["results"][0]["state"] == state


@pytest.mark.parametrize(
    ("parameter", "value", "code"),
    [
        ("type", "no such", "does_not_exist"),
        ("group", "no such", "does_not_exist"),
        ("enabled", "maybe", "invalid_choice"),
        ("state", "fine", "invalid_choice"),
        ("label", "site", "invalid"),
        ("q", "a\x00", "invalid"),
        ("q", "a" * 1001, "max_length"),
        ("limit", "many", "invalid"),
    ],
)
def test_a_wrong_filter_is_told(api: Api, parameter: str, value: str, code: str) -> None:
    answer = api.get("devices", **{parameter: value})
    assert answer.status == 400
    assert answer.faults() == {(parameter, code)}

"""Whose devices a person sees, and what belongs to them."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import cache

from telemetry import sight
from telemetry.groups import make_group
from telemetry.models import Device, DeviceKey, DeviceSight, DeviceType, QuarantinedReading
from telemetry.receipts import Receipt
from tests.telemetry.api.conftest import Api, api_of
from tests.telemetry.api.conftest import shards as shards

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def world() -> None:
    cache.clear()
    for name, path in (("near", "plant/hall"), ("far", "mill"), ("beside", "plant-2")):
        device = Device.objects.create(name=name, group=make_group(path))
        DeviceKey(device=device, name=name).issue()
        QuarantinedReading.objects.create(device=name, code="malformed", received_at="2026-11-21T10:00:00Z")
    DeviceKey(all_devices=True, name="wide").issue()
    QuarantinedReading.objects.create(device="", code="malformed", received_at="2026-11-21T10:00:00Z")


@pytest.fixture
def hers() -> Api:
    """Everything may be done, with what lies in the plant."""
    return api_of(restricted("plant"))


def restricted(*paths: str) -> User:
    from django.contrib.auth.models import Permission

    user = User.objects.create_user(f"user-{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    DeviceSight.objects.create(user=user).groups.set([make_group(path) for path in paths])
    return user


def names(user: object) -> set[str]:
    return set(sight.visible_devices(user).values_list("name", flat=True))


def test_a_group_is_seen_with_what_lies_below_and_not_with_what_only_begins_alike() -> None:
    assert names(restricted("plant")) == {"near"}
    assert names(restricted("plant", "mill")) == {"near", "far"}
    assert names(restricted("plant/hall")) == {"near"}


def test_without_a_row_all_is_seen_and_with_an_empty_one_nothing() -> None:
    assert names(User.objects.create_user("free")) == {"near", "far", "beside"}
    assert names(restricted()) == set()
    assert names(AnonymousUser()) == set()
    assert names(None) == {"near", "far", "beside"}, "the platform itself"


def test_lists_hold_only_what_is_seen(hers: Api) -> None:
    assert [row["name"] for row in hers.get("devices").body["results"]] == ["near"]
    assert [row["name"] for row in hers.get("keys").body["results"]] == ["near"]
    assert [row["device"] for row in hers.get("quarantine").body["results"]] == ["near"]
    assert [row["path"] for row in hers.get("groups").body["results"]] == ["plant", "plant/hall"]
    assert hers.get("devices", group="mill").faults() == {("group", "does_not_exist")}


def test_a_corrected_reading_goes_to_no_device_of_others(hers: Api, shards: None) -> None:
    row = QuarantinedReading.objects.get(device="near")
    answer = hers.post(f"quarantine/{row.pk}/replay", {"payload": {"device": "far", "metrics": {"t": 1}}})
    assert answer.status == 400
    assert answer.faults() == {("device", "unknown_device")}
    row.refresh_from_db()
    assert row.state == "waiting"


def test_types_belong_to_everybody_so_only_who_sees_everything_changes_them(hers: Api) -> None:
    DeviceType.objects.create(name="pump")
    assert hers.get("device-types/pump").status == 200
    assert hers.patch("device-types/pump", {"strict": True}).status == 403
    assert hers.post("device-types", {"name": "valve"}).status == 403


def test_groups_are_made_below_ones_own_and_the_given_ones_stay(hers: Api) -> None:
    assert hers.post("groups", {"path": "plant/hall-2"}).status == 201
    assert hers.post("groups", {"path": "mill/hall"}).faults() == {("path", "out_of_sight")}
    assert hers.post("groups", {"path": "tower"}).faults() == {("path", "out_of_sight")}
    assert hers.patch("groups/plant/hall-2", {"path": "mill/hall-2"}).faults() == {("path", "out_of_sight")}
    assert hers.patch("groups/plant", {"path": "mill-2"}).status == 403
    assert hers.delete("groups/plant/hall-2").status == 204


def test_a_receipt_is_shown_to_who_sees_the_device_of_its_key(hers: Api) -> None:
    keys = {key.name: key.pk for key in DeviceKey.objects.all()}
    found = {
        name: hers.get(f"receipts/{Receipt(number, 0, 0, 0, 'x', ()).token()}").status for name, number in keys.items()
    }
    assert found == {"near": 200, "far": 404, "beside": 404, "wide": 404}


def test_a_new_device_lies_in_a_group_that_one_sees(hers: Api) -> None:
    assert hers.post("devices", {"name": "new"}).faults() == {("group", "required")}
    assert hers.post("devices", {"name": "new", "group": "mill"}).faults() == {("group", "does_not_exist")}
    assert hers.post("devices", {"name": "new", "group": "plant", "parent": "far"}).faults() == {
        ("parent", "does_not_exist")
    }
    assert hers.post("devices", {"name": "new", "group": "plant"}).status == 201


def test_the_admin_takes_no_device_that_one_does_not_see() -> None:
    api = api_of(restricted("plant"))
    far = Device.objects.get(name="far")
    form = {"device": far.pk, "name": "stolen"}
    answer = api.client.post("/admin/telemetry/devicekey/add/", form)
    assert answer.status_code == 200
    assert "valid choice" in answer.content.decode()
    api.client.post("/admin/telemetry/devicekey/add/", {"all_devices": "on", "name": "stolen"})
    assert not DeviceKey.objects.filter(name="stolen").exists()
    found = api.client.get(
        "/admin/autocomplete/",
        {"app_label": "telemetry", "model_name": "devicekey", "field_name": "device", "term": ""},
    )
    assert [row["text"] for row in json.loads(found.content)["results"]] == ["near"]

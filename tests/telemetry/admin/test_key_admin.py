"""Keys in the admin: handed out once, revoked, never shown again."""

from __future__ import annotations

import hashlib
import html
import json
import re
import shlex
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from telemetry.groups import make_group
from telemetry.models import Device, DeviceKey, DeviceType, MetricDefinition
from tests.telemetry.admin.conftest import Admin

EMPTY = {"expires_at_0": "", "expires_at_1": ""}


def page_of(admin: Admin, **fields: object) -> str:
    response = admin.post("telemetry_devicekey_add", **EMPTY | fields)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return html.unescape(response.content.decode())


def test_a_key_is_handed_out_from_the_page_of_its_device(admin: Admin) -> None:
    device = Device.objects.create(name="pump 7")
    opened = admin.client.get(f"/admin/telemetry/device/{device.pk}/hand-out-key/")
    assert opened["Location"] == f"/admin/telemetry/devicekey/add/?device={device.pk}"
    page = page_of(admin, device=device.pk, name="lab")
    token = re.search(r"iot_[0-9a-f]{12}_[\w-]{43}", page)
    assert token is not None
    key = DeviceKey.objects.get()
    assert bytes(key.digest) == hashlib.sha256(token[0].encode()).digest()
    assert (key.device, key.name, str(key.created_by)) == (device, "lab", "boss")
    for view, *args in (("changelist",), ("change", key.pk), ("history", key.pk)):
        response = admin.get(f"telemetry_devicekey_{view}", *args)
        assert token[0] not in response
        assert key.prefix in response or view == "history"
    assert token[0] not in str(list(LogEntry.objects.values()))


def test_the_page_holds_a_command_that_sends_a_reading_that_the_type_takes(admin: Admin) -> None:
    kind = DeviceType.objects.create(name="pump", strict=True)
    MetricDefinition.objects.create(device_type=kind, name="a switch", kind="boolean")
    MetricDefinition.objects.create(device_type=kind, name="it's hot", low=100, high=200)
    page = page_of(admin, device=Device.objects.create(name="pump 7", type=kind).pk)
    command = re.search(r"<pre x-ref=\"curl\"[^>]*>(.*?)</pre>", page, re.S)
    assert command is not None
    words = shlex.split(command[1].replace("\\\n", " "))
    assert words[:2] == ["curl", "http://testserver/api/v1/readings"]
    assert f"Authorization: Bearer iot_{DeviceKey.objects.get().prefix}" in words[3]
    assert json.loads(words[-1]) == {"metrics": {"it's hot": 150}}


def test_a_wide_key_names_the_device_in_its_command(admin: Admin) -> None:
    page = page_of(admin, group=make_group("plant/hall-1").pk)
    assert "The key of group plant/hall-1" in page
    assert '{"device": "NAME", "metrics": {"temperature": 21.5}}' in page
    assert "The key of all devices" in page_of(admin, all_devices="on")


@pytest.mark.parametrize("scopes", [[], ["device", "all_devices"], ["device", "group"]])
def test_a_key_has_exactly_one_scope(admin: Admin, scopes: list[str]) -> None:
    known = {
        "device": Device.objects.create(name="a").pk,
        "group": make_group("plant").pk,
        "all_devices": "on",
    }
    response = admin.post("telemetry_devicekey_add", **EMPTY, **{scope: known[scope] for scope in scopes})
    assert b"exactly one of" in response.content
    assert not DeviceKey.objects.exists()


def test_keys_are_revoked_from_the_list_and_stay_in_it(admin: Admin) -> None:
    device = Device.objects.create(name="a")
    keys = [DeviceKey(device=device, name=name) for name in ("one", "two", "three")]
    for key in keys:
        key.issue()
    assert admin.act("devicekey", "revoke_selected", *keys[:2]) == ["2 keys revoked. They stop working within seconds."]
    first = DeviceKey.objects.get(name="one").revoked_at
    assert admin.act("devicekey", "revoke_selected", *keys) == ["1 keys revoked. They stop working within seconds."]
    assert DeviceKey.objects.get(name="one").revoked_at == first is not None
    assert admin.get("telemetry_devicekey_changelist").count(" revoked ") >= 3
    admin.get("telemetry_devicekey_delete", keys[0].pk, status=403)


def test_a_key_is_revoked_on_its_own_page(admin: Admin) -> None:
    key = DeviceKey(device=Device.objects.create(name="a"), name="one")
    key.issue()
    admin.post("telemetry_devicekey_change", key.pk, **EMPTY, name="renamed", telemetry_devicekey_revoke="1")
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert key.name == "renamed"


def test_changing_a_key_leaves_its_secret_and_scope(admin: Admin) -> None:
    key = DeviceKey(device=Device.objects.create(name="a"), name="one")
    token = key.issue()
    fields = EMPTY | {"name": "two", "rate_limit": 7, "all_devices": "on", "digest": "x"}
    assert admin.post("telemetry_devicekey_change", key.pk, **fields).status_code == 302
    key.refresh_from_db()
    assert (key.name, key.rate_limit, key.all_devices) == ("two", 7, False)
    assert bytes(key.digest) == hashlib.sha256(token.encode()).digest()


@pytest.mark.parametrize("state", ["valid", "expired", "revoked"])
def test_the_list_is_filtered_by_state(admin: Admin, state: str) -> None:
    now = timezone.now()
    times = {
        "valid": {"expires_at": now + timedelta(1)},
        "expired": {"expires_at": now - timedelta(1)},
        "revoked": {"revoked_at": now, "expires_at": now - timedelta(1)},
    }
    for name, fields in times.items():
        DeviceKey(all_devices=True, name=f"the {name} one", **fields).issue()
    text = admin.get("telemetry_devicekey_changelist", state=state)
    assert [name for name in times if f"the {name} one" in text] == [state]

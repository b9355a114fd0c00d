"""Keys: shown once, stored as a hash, revoked but not forgotten."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from telemetry.groups import make_group
from telemetry.models import Device, DeviceKey
from tests.telemetry.api.conftest import Api, api_of, person


@pytest.fixture
def pump(db: None) -> Device:
    return Device.objects.create(name="pump 7")


KEYS = "devices/pump%207/keys"


def test_the_key_shows_in_the_answer_that_makes_it_and_never_again(api: Api, pump: Device) -> None:
    made = api.post(KEYS, {"name": "lab"})
    assert made.status == 201
    assert made.headers["Cache-Control"] == "no-store"
    secret = made.body["key"]
    stored = DeviceKey.objects.get()
    assert bytes(stored.digest) == hashlib.sha256(secret.encode()).digest()
    assert secret.startswith(f"iot_{made.body['prefix']}_")
    assert made.body["scope"] == {"device": "pump 7"}
    assert (made.body["created_by"], made.body["state"], made.body["last_used_at"]) == ("boss", "valid", None)
    [listed] = api.get(KEYS).body["results"]
    assert listed == {name: value for name, value in made.body.items() if name != "key"}
    assert api.get(f"{KEYS}/{made.body['id']}").body == listed
    assert api.get(f"keys/{made.body['id']}").body == listed


def test_a_key_takes_its_options(api: Api, pump: Device) -> None:
    options = {"backfill": True, "rate_limit": 500, "expires_at": "2999-01-01T01:00:00+01:00"}
    made = api.post(KEYS, options)
    assert {name: made.body[name] for name in options} == options | {"expires_at": "2999-01-01T00:00:00Z"}


def test_a_revoked_key_stays_listed_with_the_time_of_its_first_revocation(api: Api, pump: Device) -> None:
    number = api.post(KEYS).body["id"]
    assert api.delete(f"{KEYS}/{number}").status == 204
    revoked = api.get(f"{KEYS}/{number}").body
    assert revoked["state"] == "revoked"
    assert revoked["revoked_at"] is not None
    assert api.delete(f"keys/{number}").status == 204
    assert api.get(f"keys/{number}").body == revoked


def test_a_key_of_another_device_is_not_found_here(api: Api, pump: Device) -> None:
    key = DeviceKey(device=Device.objects.create(name="other"))
    key.issue()
    assert api.get(f"{KEYS}/{key.pk}").status == 404
    assert api.delete(f"{KEYS}/{key.pk}").status == 404
    key.refresh_from_db()
    assert key.revoked_at is None


@pytest.mark.parametrize("path", ["devices/nobody/keys", "devices/nobody/keys/1", "keys/1", f"keys/{10**30}"])
def test_what_is_not_there_is_404(api: Api, path: str) -> None:
    assert api.get(path).status == 404


@pytest.mark.parametrize(
    ("scope", "columns"),
    [
        ({"device": "pump 7"}, ("pump 7", None, False)),
        ({"group": "plant/hall-1"}, (None, "plant/hall-1", False)),
        ({"all": True}, (None, None, True)),
    ],
)
def test_staff_hand_out_keys_of_every_scope(
    api: Api, pump: Device, scope: dict[str, Any], columns: tuple[Any, ...]
) -> None:
    make_group("plant/hall-1")
    made = api.post("keys", {"scope": scope, "name": "wide"})
    assert made.status == 201
    assert made.body["scope"] == scope
    assert made.body["key"].startswith("iot_")
    assert DeviceKey.objects.values_list("device__name", "group__path", "all_devices").get() == columns


def test_who_is_not_staff_hands_out_keys_of_single_devices_only(pump: Device) -> None:
    clerk = api_of(person("clerk", "view_devicekey", "add_devicekey", "view_device"))
    assert clerk.post(KEYS).status == 201
    refused = clerk.post("keys", {"scope": {"all": True}})
    assert refused.status == 403
    assert "staff" in refused.body["detail"]
    User.objects.filter(username="clerk").update(is_staff=True)
    assert clerk.post("keys", {"scope": {"all": True}}).status == 201


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "scope", "required"),
        ({"scope": None}, "scope", "null"),
        ({"scope": {}}, "scope", "invalid"),
        ({"scope": "all"}, "scope", "invalid"),
        ({"scope": {"all": False}}, "scope", "invalid"),
        ({"scope": {"all": True, "device": "pump 7"}}, "scope", "invalid"),
        ({"scope": {"device_type": "pump"}}, "scope", "invalid"),
        ({"scope": {"device": "nobody"}}, "scope", "does_not_exist"),
        ({"scope": {"group": 7}}, "scope", "invalid"),
        ({"scope": {"all": True}, "rate_limit": 0}, "rate_limit", "min_value"),
        ({"scope": {"all": True}, "rate_limit": 2**31}, "rate_limit", "max_value"),
        ({"scope": {"all": True}, "rate_limit": "fast"}, "rate_limit", "invalid"),
        ({"scope": {"all": True}, "expires_at": "2001-01-01T00:00:00Z"}, "expires_at", "past"),
        ({"scope": {"all": True}, "expires_at": "2999-01-01T00:00:00"}, "expires_at", "no_offset"),
        ({"scope": {"all": True}, "expires_at": "tomorrow"}, "expires_at", "invalid"),
        ({"scope": {"all": True}, "expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at", "overflow"),
        ({"scope": {"all": True}, "name": "x" * 101}, "name", "max_length"),
        ({"scope": {"all": True}, "secret": "mine"}, "secret", "unknown_field"),
    ],
)
def test_bad_input_is_refused_with_its_field_and_reason(
    api: Api, pump: Device, body: Any, field: str, code: str
) -> None:
    answer = api.post("keys", body)
    assert answer.status == 400
    assert answer.faults() == {(field, code)}
    assert not DeviceKey.objects.exists()


def test_states_are_told(api: Api, pump: Device) -> None:
    now = timezone.now()
    for name, expires, revoked in (
        ("valid", None, None),
        ("expired", now - timedelta(1), None),
        ("revoked", None, now),
    ):
        DeviceKey(device=pump, name=name, expires_at=expires, revoked_at=revoked).issue()
    listed = api.get(KEYS).body["results"]
    assert [key["state"] for key in listed] == [key["name"] for key in listed] == ["revoked", "expired", "valid"]

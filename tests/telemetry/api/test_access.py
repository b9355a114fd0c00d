"""Who may do what: sessions, tokens, device keys, permissions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import URLPattern
from django.utils import timezone

from telemetry.api import urls
from telemetry.models import Device, DeviceKey
from tests.telemetry.api.conftest import Api, api_of, person

OPEN = {"schema", "docs", "token", "token-refresh"}
PASSWORD = "a long passphrase"


def path_of(route: URLPattern) -> str:
    text = str(route.pattern)
    examples = {"<str:name>": "pump-7", "<int:id>": "1", "<int:run>": "1", "<path:path>": "plant", "<str:receipt>": "x"}
    for part, example in examples.items():
        text = text.replace(part, example)
    return text


CLOSED = [path_of(route) for route in urls.urlpatterns if route.name not in OPEN]
#: Sending readings is the gateway's own matter, and tested with it.
REQUESTS = [
    (method, path)
    for path in CLOSED
    for method in ("GET", "POST", "PATCH", "DELETE")
    if (method, path) != ("POST", "readings")
]


@pytest.fixture
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_every_route_needs_to_know_who_asks(stranger: Api, method: str, path: str) -> None:
    answer = stranger.send(method, path, {})
    assert answer.status in (401, 405)
    assert answer.headers["Content-Type"] == "application/problem+json"
    if answer.status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", [path for path in CLOSED if not path.startswith("receipts")])
def test_without_permissions_nothing_is_shown(db: None, path: str) -> None:
    answer = api_of(person("nobody")).get(path)
    assert answer.status in (403, 405)


@pytest.mark.parametrize(
    ("method", "path", "permission", "success"),
    [
        ("GET", "devices", "view_device", 200),
        ("GET", "devices/pump-7", "view_device", 200),
        ("POST", "devices", "add_device", 201),
        ("PATCH", "devices/pump-7", "change_device", 200),
        ("DELETE", "devices/pump-7", "delete_device", 204),
        ("GET", "device-types", "view_devicetype", 200),
        ("GET", "groups", "view_devicegroup", 200),
        ("GET", "devices/pump-7/keys", "view_devicekey", 200),
        ("POST", "devices/pump-7/keys", "add_devicekey", 201),
        ("DELETE", "devices/pump-7/keys/{key}", "delete_devicekey", 204),
        ("GET", "quarantine", "view_quarantinedreading", 200),
    ],
)
def test_one_permission_opens_one_way(shards: None, method: str, path: str, permission: str, success: int) -> None:
    key = DeviceKey(device=Device.objects.create(name="pump-7"))
    key.issue()
    body = {"name": "pump-8"} if path == "devices" else {}
    path = path.format(key=key.pk)
    assert api_of(person("without")).send(method, path, body).status == 403
    assert api_of(person("with", permission)).send(method, path, body).status == success


def test_a_device_key_has_no_rights_on_peoples_routes(stranger: Api) -> None:
    token = DeviceKey(all_devices=True).issue()
    stranger.headers["Authorization"] = f"Bearer {token}"
    for path in ("devices", "quarantine", "keys", "groups"):
        assert stranger.get(path).status == 403
    assert stranger.post("devices", {"name": "p"}).status == 403


@pytest.mark.parametrize(
    "fields", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now() - timedelta(seconds=1)}, None]
)
def test_a_key_that_is_no_longer_good_is_told_so(stranger: Api, fields: dict[str, Any] | None) -> None:
    token = "iot_000_made-up" if fields is None else DeviceKey(all_devices=True, **fields).issue()
    stranger.headers["Authorization"] = f"Bearer {token}"
    answer = stranger.get("devices")
    assert answer.status == 401
    assert "key" in answer.body["detail"]
    assert "WWW-Authenticate" in answer.headers


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer a b", "Bearer x.y.z", "Bearer ö", "Basic YTpi", "Bearer iot_ö", ""]
)
def test_garbage_in_the_header_is_401(stranger: Api, header: str) -> None:
    stranger.headers["Authorization"] = header
    assert stranger.get("devices").status == 401


def test_a_token_opens_what_its_user_may(quick_hashes: None, stranger: Api) -> None:
    user = person("ada", "view_device")
    user.set_password(PASSWORD)
    user.save()
    pair = stranger.post("auth/token", {"username": "ada", "password": PASSWORD})
    assert pair.status == 200
    assert set(pair.body) == {"access", "refresh"}
    renewed = stranger.post("auth/token/refresh", {"refresh": pair.body["refresh"]})
    for access in (pair.body["access"], renewed.body["access"]):
        stranger.headers["Authorization"] = f"Bearer {access}"
        assert stranger.get("devices").status == 200
        assert stranger.post("devices", {"name": "p"}).status == 403


def test_a_changed_password_or_a_blocked_user_ends_tokens(quick_hashes: None, stranger: Api) -> None:
    user = User.objects.create_superuser("boss", password=PASSWORD)
    pair = stranger.post("auth/token", {"username": "boss", "password": PASSWORD}).body
    stranger.headers["Authorization"] = f"Bearer {pair['access']}"
    assert stranger.get("devices").status == 200
    user.set_password("another")
    user.save()
    assert stranger.get("devices").status == 401
    user.is_active = False
    user.save()
    assert Api(stranger.client).post("auth/token/refresh", {"refresh": pair["refresh"]}).status == 401


def test_a_wrong_password_is_401_without_saying_what_was_wrong(quick_hashes: None, stranger: Api) -> None:
    User.objects.create_superuser("boss", password=PASSWORD)
    wrong = stranger.post("auth/token", {"username": "boss", "password": "guess"})
    unknown = stranger.post("auth/token", {"username": "nobody", "password": "guess"})
    assert wrong.status == unknown.status == 401
    assert wrong.body["detail"] == unknown.body["detail"]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "password", "required"),
        ({"username": "boss", "password": ""}, "password", "blank"),
        ({"username": "a\x00", "password": "b"}, "username", "null_characters_not_allowed"),
        ({"username": {}, "password": "b"}, "username", "invalid"),
        ([], None, "invalid"),
    ],
)
def test_a_malformed_login_is_told(stranger: Api, body: Any, field: str | None, code: str) -> None:
    answer = stranger.post("auth/token", body)
    assert answer.status == 400
    assert (field, code) in answer.faults()


def test_guessing_passwords_is_slowed_down_whatever_the_client_claims_to_be(quick_hashes: None, stranger: Api) -> None:
    for attempt in range(10):
        stranger.headers["X-Forwarded-For"] = f"10.0.0.{attempt}"
        assert stranger.post("auth/token", {"username": "boss", "password": "guess"}).status == 401
    slowed = stranger.post("auth/token", {"username": "boss", "password": "guess"})
    assert slowed.status == 429
    assert 1 <= int(slowed.headers["Retry-After"]) <= 60

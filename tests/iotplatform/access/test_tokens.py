"""Tokens: their scopes, their families, what ends them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from iotplatform.access import tokens
from iotplatform.access.roles import Role, ensure_roles
from iotplatform.access.upkeep import prune_access
from iotplatform.models import TokenFamily
from telemetry.models import AuditEntry
from telemetry.scopes import SCOPES
from tests.telemetry.api.conftest import Answer, Api, api_of

PASSWORD = "a long passphrase"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


def somebody(role: Role, name: str = "ada") -> User:
    ensure_roles()
    user = User.objects.create_user(name, password=PASSWORD)
    user.groups.add(Group.objects.get(name=role.value))
    return user


def login(**fields: Any) -> Answer:
    return api_of(None).post("auth/token", {"username": "ada", "password": PASSWORD} | fields)


def with_token(access: str) -> Api:
    return Api(Client(), {"Authorization": f"Bearer {access}"})


def scopes_of(access: str) -> list[str]:
    return list(jwt.decode(access, options={"verify_signature": False})["scopes"])


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (Role.VIEWER, ["read:stats", "read:readings"]),
        (Role.OPERATOR, ["read:stats", "read:readings", "write:readings", "manage:thresholds", "manage:devices"]),
        (Role.ADMINISTRATOR, list(SCOPES)),
    ],
)
def test_without_a_wish_a_token_has_the_scopes_that_are_of_use_to_its_owner(role: Role, scopes: list[str]) -> None:
    somebody(role)
    assert scopes_of(login().body["access"]) == scopes


@pytest.mark.parametrize("wish", [["read:stats"], "read:stats"])
def test_a_token_opens_no_more_than_its_scopes(wish: Any) -> None:
    somebody(Role.ADMINISTRATOR)
    api = with_token(login(scopes=wish).body["access"])
    assert api.get("devices").status == 200
    refused = api.post("devices", {"name": "p"})
    assert refused.status == 403
    assert "manage:devices" in refused.body["detail"]


def test_nor_more_than_its_owner_may_now() -> None:
    user = somebody(Role.ADMINISTRATOR)
    api = with_token(login().body["access"])
    assert api.get("channels").status == 200
    user.groups.set([Group.objects.get(name="viewer")])
    assert api.get("channels").status == 403
    assert api.get("devices").status == 200


@pytest.mark.parametrize(
    ("wish", "code"),
    [(["admin"], "not_allowed"), (["fly"], "unknown"), ([], "empty"), ("", "empty"), (7, "invalid"), ([7], "invalid")],
)
def test_a_wish_that_cannot_be_granted_is_told(wish: Any, code: str) -> None:
    somebody(Role.VIEWER)
    assert login(scopes=wish).faults() == {("scopes", code)}


def test_a_refresh_token_is_good_once_and_keeps_the_scopes() -> None:
    somebody(Role.VIEWER)
    first = login(scopes="read:stats").body
    second = api_of(None).post("auth/token/refresh", {"refresh": first["refresh"]}).body
    assert scopes_of(second["access"]) == ["read:stats"]
    third = api_of(None).post("auth/token/refresh", {"refresh": second["refresh"]})
    assert third.status == 200


def test_a_refresh_token_that_comes_again_ends_all_tokens_of_its_login() -> None:
    somebody(Role.VIEWER)
    first = login().body
    second = api_of(None).post("auth/token/refresh", {"refresh": first["refresh"]}).body
    again = api_of(None).post("auth/token/refresh", {"refresh": first["refresh"]})
    assert again.status == 401
    assert "revoked" in again.body["detail"]
    assert with_token(second["access"]).get("devices").status == 401
    assert api_of(None).post("auth/token/refresh", {"refresh": second["refresh"]}).status == 401
    assert AuditEntry.objects.filter(kind="token", action="reused", object_name="ada").exists()
    assert login().status == 200


def test_logging_out_ends_the_tokens_of_that_login_only() -> None:
    somebody(Role.VIEWER)
    here, there = login().body, login().body
    assert api_of(None).post("auth/token/revoke", {"refresh": here["refresh"]}).status == 204
    assert with_token(here["access"]).get("devices").status == 401
    assert with_token(there["access"]).get("devices").status == 200
    assert api_of(None).post("auth/token/revoke", {"refresh": here["refresh"]}).status == 204
    assert api_of(None).post("auth/token/revoke", {"refresh": "garbage"}).status == 401


def forged(user: User, **changed: Any) -> list[str]:
    claims = jwt.decode(tokens.issue(user, ["admin"]).access, options={"verify_signature": False}) | changed
    public = "-----BEGIN PUBLIC KEY-----"
    return [
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, public * 3, algorithm="HS256"),
        jwt.encode(claims, settings.SECRET_KEY, algorithm="HS512"),
    ]


def test_other_algorithms_and_other_keys_are_401() -> None:
    for token in forged(somebody(Role.ADMINISTRATOR)):
        answer = with_token(token).get("devices")
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_is_over_or_of_another_type_is_401() -> None:
    user = somebody(Role.ADMINISTRATOR)
    pair = tokens.issue(user, SCOPES)
    assert with_token(pair.refresh).get("devices").status == 401
    old = tokens.Access(pair.access)  # type: ignore[arg-type]
    old.set_exp(lifetime=-timedelta(seconds=1))
    assert with_token(str(old)).get("devices").status == 401
    TokenFamily.objects.update(ends_at=timezone.now())
    assert with_token(pair.access).get("devices").status == 401
    assert api_of(None).post("auth/token/refresh", {"refresh": pair.refresh}).status == 401


def test_tokens_live_as_long_as_the_contract_says() -> None:
    pair = tokens.issue(somebody(Role.VIEWER), ["read:stats"])
    claims = jwt.decode(pair.access, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 900


def test_what_is_over_is_forgotten() -> None:
    user = somebody(Role.VIEWER)
    tokens.issue(user, ["read:stats"])
    kept = tokens.issue(user, ["read:stats"]).family
    TokenFamily.objects.exclude(pk=kept.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    prune_access(0)
    assert list(TokenFamily.objects.values_list("pk", flat=True)) == [kept.pk]


def test_the_audit_says_that_it_was_a_token() -> None:
    user = somebody(Role.ADMINISTRATOR)
    assert with_token(login().body["access"]).post("groups", {"path": "plant"}).status == 201
    assert api_of(user).post("groups", {"path": "mill"}).status == 201
    made = (
        AuditEntry.objects.filter(kind="group").order_by("id").values_list("object_name", "who_name", "via", "address")
    )
    assert list(made) == [("plant", "ada", "token", "127.0.0.1"), ("mill", "ada", "session", "127.0.0.1")]
    assert list(AuditEntry.objects.filter(kind="token").values_list("action", "who_name")) == [("issued", "ada")]

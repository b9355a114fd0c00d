"""Guessing passwords has to wait, on every way in."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from iotplatform.models import LoginFailures
from telemetry.models import AuditEntry
from tests.telemetry.api.conftest import api_of

PASSWORD = "a long passphrase"
pytestmark = pytest.mark.django_db
WAYS = ["/admin/login/", "/login/", "/api/v1/auth/token"]


@pytest.fixture(autouse=True)
def boss(settings: Any) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.PLATFORM = dataclasses.replace(settings.PLATFORM, login_attempts=4, login_address_attempts=8)
    cache.clear()
    return User.objects.create_superuser("boss", password=PASSWORD)


def attempt(way: str, name: str, password: str, address: str = "192.0.2.1") -> Any:
    client = Client(REMOTE_ADDR=address)
    body = {"username": name, "password": password}
    if way.startswith("/api"):
        return client.post(way, body, content_type="application/json")
    return client.post(way, body)


def fail(name: str, times: int = 4, address: str = "192.0.2.1") -> None:
    for _ in range(times):
        attempt(WAYS[2], name, "guess", address)


@pytest.mark.parametrize("way", WAYS)
def test_so_many_failures_make_every_way_in_wait_even_with_the_right_password(way: str) -> None:
    fail("boss")
    answer = attempt(way, "boss", PASSWORD, "198.51.100.7")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 31
    assert "Too many failed logins" in answer.content.decode()


@pytest.mark.parametrize("way", WAYS)
def test_one_failure_less_does_not_and_a_success_begins_anew(way: str) -> None:
    fail("boss", 3)
    assert attempt(way, "boss", PASSWORD).status_code in (200, 302)
    fail("boss", 3)
    assert attempt(way, "boss", PASSWORD).status_code in (200, 302)


@pytest.mark.parametrize("way", WAYS)
def test_nobody_learns_which_users_there_are(way: str) -> None:
    known, unknown = attempt(way, "boss", "guess"), attempt(way, "ghost", "guess")
    assert known.status_code == unknown.status_code
    fail("boss", address="192.0.2.2")
    fail("ghost", address="192.0.2.3")
    known, unknown = attempt(way, "boss", "guess"), attempt(way, "ghost", "guess")
    assert known.status_code == unknown.status_code == 429


def test_another_case_is_no_other_chance() -> None:
    fail("boss", 2)
    fail("BOSS", 2)
    assert attempt(WAYS[2], "boss", PASSWORD).status_code == 429


def test_each_failure_after_that_waits_twice_as_long_up_to_a_bound() -> None:
    fail("boss")
    waits = []
    for _ in range(7):
        LoginFailures.objects.update(locked_until=timezone.now())
        before = timezone.now()
        assert attempt(WAYS[2], "boss", "guess").status_code == 401
        until = LoginFailures.objects.get(kind="name", value="boss").locked_until
        assert until is not None
        waits.append(round((until - before).total_seconds()))
    assert waits == [60, 120, 240, 480, 900, 900, 900]


def test_after_the_wait_the_right_password_is_right() -> None:
    fail("boss")
    LoginFailures.objects.update(locked_until=timezone.now() - timedelta(seconds=1))
    assert attempt(WAYS[2], "boss", PASSWORD).status_code == 200


def test_an_address_that_tries_many_names_waits_too() -> None:
    for number in range(8):
        attempt(WAYS[2], f"name-{number}", "guess", "2001:db8::1")
    assert attempt(WAYS[2], "boss", PASSWORD, "2001:db8::2").status_code == 429, "the same network"
    assert attempt(WAYS[2], "boss", PASSWORD, "2001:db8:1::1").status_code == 200


def test_an_administrator_lets_a_name_try_again(boss: User) -> None:
    locked = User.objects.create_user("ada", password=PASSWORD)
    fail("Ada")
    api = api_of(boss)
    assert api.get(f"users/{locked.pk}").body["locked_until"] is not None
    assert api.post(f"users/{locked.pk}/unlock").body["locked_until"] is None
    assert attempt(WAYS[2], "ada", PASSWORD).status_code == 200
    assert AuditEntry.objects.get(action="unlocked").who_name == "boss"


def test_the_audit_tells_of_it_without_growing_with_each_guess() -> None:
    fail("boss", 12)
    attempt(WAYS[0], "ghost", "guess")
    counts = {
        action: AuditEntry.objects.filter(action=action).count() for action in ("login_failed", "locked_out", "login")
    }
    assert counts == {"login_failed": 2, "locked_out": 1, "login": 0}
    failed = AuditEntry.objects.filter(action="login_failed").earliest("id")
    assert (failed.who_name, failed.who, failed.address) == ("boss", None, "192.0.2.1")


def test_a_login_is_in_the_audit(boss: User) -> None:
    attempt(WAYS[1], "boss", PASSWORD)
    entry = AuditEntry.objects.get(action="login")
    assert (entry.who, entry.address) == (boss, "192.0.2.1")

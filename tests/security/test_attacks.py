"""What an attacker would try at the doors that people use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client

from tests.iotplatform.access import closed
from tests.iotplatform.access.closed import World, all_routes, make_world
from tests.iotplatform.access.routes import ROUTES

SCRIPT = "\"'><svg onload=alert(1)>"
PASSWORD = "a long passphrase"


@pytest.fixture(scope="module")
def poisoned(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Every device, group, threshold, silence, query and message is named like a script."""
    patch = pytest.MonkeyPatch()
    with django_db_blocker.unblock():
        cache.clear()
        with transaction.atomic():
            patch.setattr(closed, "SECRET", SCRIPT)
            yield make_world()
            transaction.set_rollback(True)
        patch.undo()
        connection.close()


@pytest.mark.slow
def test_a_name_that_is_a_script_is_shown_and_not_run(poisoned: World, db: Any) -> None:
    shown = 0
    for route, _ in all_routes():
        path = poisoned.path(route, ROUTES[route])
        cache.clear()
        answer = poisoned.ask(poisoned.people["administrator"], "GET", path)
        if answer.get("Content-Type", "").startswith("text/html"):
            assert "<svg onload" not in answer.said, path
            shown += "&lt;svg onload" in answer.said
    assert shown >= 8, "the names are on the pages"


@pytest.fixture
def person(db: Any) -> User:
    cache.clear()
    return User.objects.create_user("ann", password=PASSWORD)


def sign_in(client: Client, query: str = "", **headers: str) -> Any:
    return client.post(f"/login/{query}", {"username": "ann", "password": PASSWORD}, headers=headers)


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "https:evil.example", "\t//evil.example"],
)  # fmt: skip
def test_a_login_sends_nobody_to_another_site(person: User, target: str) -> None:
    from urllib.parse import quote

    answer = sign_in(Client(), f"?next={quote(target)}")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert sign_in(Client(), "?next=/devices/")["Location"] == "/devices/"


def test_a_session_that_was_put_under_somebody_is_not_the_one_he_signs_in_with(person: User) -> None:
    client = Client()

    session = client.session
    session["planted"] = "yes"
    session.save()
    before, token = session.session_key, client.get("/login/").cookies["csrftoken"].value
    sign_in(client)
    assert client.cookies["sessionid"].value != before
    assert client.cookies["csrftoken"].value != token
    client.post("/logout/")
    stolen = Client()
    stolen.cookies["sessionid"] = before
    assert stolen.get("/").status_code == 302


def test_signing_out_ends_the_session_on_the_server_and_a_new_password_ends_the_others(person: User) -> None:
    here, there = Client(), Client()
    for client in (here, there):
        sign_in(client)
        assert client.get("/").status_code == 403, "signed in, and no role yet"
    copied = Client()
    copied.cookies["sessionid"] = here.cookies["sessionid"].value
    here.post("/logout/")
    assert copied.get("/").status_code == 302
    person.set_password("another long passphrase")
    person.save()
    assert there.get("/").status_code == 302


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(person: User, settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    client = Client()
    page = client.get("/login/", secure=True)
    cookie = client.post(
        "/login/", {"username": "ann", "password": PASSWORD}, secure=True
    ).cookies["sessionid"]  # fmt: skip
    assert cookie["httponly"] is True
    assert cookie["secure"] is True
    assert page.cookies["csrftoken"]["secure"] is True
    assert cookie["samesite"] == page.cookies["csrftoken"]["samesite"] == "Lax"


def test_passwords_are_kept_as_slow_salted_hashes(person: User) -> None:
    algorithm, rounds, salt, _ = person.password.split("$")
    assert algorithm == "pbkdf2_sha256"
    assert int(rounds) >= 600_000
    assert len(salt) >= 16
    assert User.objects.create_user("bob", password=PASSWORD).password != person.password


def test_a_host_that_is_not_ours_is_refused_before_anything_is_made_of_it(person: User) -> None:
    for host in ("evil.example", "localhost.evil.example", "localhost@evil.example", "testserver:80@evil.example"):
        assert Client().get("/login/", headers={"Host": host}).status_code == 400, host
    # What a proxy would say of another host does not count.
    answer = Client().get("/login/", headers={"X-Forwarded-Host": "evil.example"})
    assert b"evil.example" not in answer.content

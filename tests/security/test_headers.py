"""What every answer carries, whoever gives it and however it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client

from iotplatform import web
from telemetry.api.readings import ReadingsView
from tests.builders import make_device, make_key
from tests.gateway import request
from tests.iotplatform.access.closed import World, all_routes, make_world
from tests.iotplatform.access.routes import ROUTES
from tests.live import LivePlatform

#: Pages of libraries that start scripts inline; all others are ours.
INLINE = ("/admin/", "/api/v1/docs")


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    with django_db_blocker.unblock():
        cache.clear()
        with transaction.atomic():
            yield make_world()
            transaction.set_rollback(True)
        connection.close()


def policy(answer: Any) -> dict[str, list[str]]:
    """Content-Security-Policy by directive."""
    parts = [part.split() for part in answer["Content-Security-Policy"].split(";") if part.strip()]
    return {name: sources for name, *sources in parts}


def check(answer: Any, path: str) -> None:
    found = policy(answer)
    assert found["frame-ancestors"] == ["'none'"], path
    assert answer["X-Content-Type-Options"] == "nosniff", path
    assert answer["X-Frame-Options"] == "DENY", path
    assert answer["Referrer-Policy"] == "same-origin", path
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin", path
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin", path
    assert "camera=()" in answer["Permissions-Policy"], path
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer["X-Request-ID"]), path
    for leak in ("Server", "X-Powered-By", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"):
        assert leak not in answer, f"{path}: {leak}"
    if answer.get("Content-Type", "").startswith("text/html"):
        assert found["default-src"] == ["'self'"], path
        assert found["object-src"] == ["'none'"], path
        assert found["base-uri"] == found["form-action"] == ["'self'"], path
        if not path.startswith(INLINE):
            assert "unsafe" not in answer["Content-Security-Policy"], path
    else:
        assert found["default-src"] == ["'none'"], path


@pytest.mark.slow
def test_every_route_answers_with_them_and_our_pages_have_nothing_inline(world: World, db: Any) -> None:
    seen = set()
    for route, _ in all_routes():
        entry = ROUTES[route]
        path = world.path(route, entry)
        for who in ("anonymous", "administrator"):
            cache.clear()
            answer = world.ask(world.people[who], "GET", path)
            check(answer, path)
            seen.add(answer.status_code)
            page = answer.get("Content-Type", "").startswith("text/html")
            if page and answer.status_code == 200 and not path.startswith(INLINE):
                assert not re.search(r"<script(?![^>]*\b(?:src|type=.application/json.|type=.text/))", answer.said), (
                    path
                )
                assert not re.search(r"<[^>]+\son\w+\s*=", answer.said), path
                assert not re.search(r"""(?:src|href)=["']?javascript:""", answer.said), path
    assert {200, 302, 401, 403, 404} <= seen


def test_errors_carry_them_too(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)

    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(ReadingsView, "initial", crash)
    for path, headers, status in (
        ("/nowhere", {}, 404),
        ("/api/v1/nowhere", {}, 404),
        ("/", {"Host": "evil.example"}, 400),
        ("/api/v1/readings", {}, 500),
        ("/static/nothing.css", {}, 404),
        ("/static/dashboard/css/tokens.css", {}, None),
    ):
        answer = client.get(path, headers=headers)
        assert status in (None, answer.status_code), path
        check(answer, path)
    forged = Client(enforce_csrf_checks=True).post("/login/", {"username": "a", "password": "b"})
    assert forged.status_code == 403
    check(forged, "/login/")


def test_what_is_answered_before_django_carries_them_too(platform_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    key = make_key(make_device("pump-7"))
    sent = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    one = b'{"metrics": {"temperature": 21.5}}'
    for body, headers, status in (
        (one, sent, 202),
        (one, {}, 401),
        (b"{", sent, 400),
        (one, {**sent, "content-type": "text/plain"}, 415),
        ([one, b" " * (9 << 20)], sent, 413),
    ):
        answer = request("POST", "/api/v1/readings", body, headers)
        assert answer.status_code == status
        check(answer, f"readings, {status}")
    monkeypatch.setattr(web._room, "_most", 0)
    for path in ("/api/v1/readings", "/login/"):
        answer = request("POST", path, one, sent)
        assert (answer.status_code, answer["Retry-After"]) == (503, "1")
        check(answer, f"{path}, 503")


@pytest.mark.slow
def test_with_https_outside_every_answer_insists_on_it_whoever_gives_it(tmp_path: Path) -> None:
    settings = {"PUBLIC_URL": "https://iot.example.org", "TRUSTED_PROXIES": "127.0.0.1/32"}
    with LivePlatform(tmp_path, run=("web",), **settings) as platform:
        key = platform.provision("pump-7")
        forwarded = {"Host": "iot.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
        sent = {**forwarded, "Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        body = b'{"metrics": {"temperature": 21.5}}'

        def ask(method: str, path: str, headers: dict[str, str], status: int) -> dict[str, str]:
            answer = platform.request(method, path, body if method == "POST" else None, headers)
            assert answer.status == status, (path, answer.body)
            found = answer.headers["strict-transport-security"]
            assert int(re.findall(r"max-age=(\d+)", found)[0]) >= 31_536_000, path
            assert answer.headers["cross-origin-resource-policy"] == "same-origin", path
            assert answer.headers["x-content-type-options"] == "nosniff", path
            return dict(answer.headers)

        ask("GET", "/healthz", forwarded, 200)
        ask("GET", "/login/", forwarded, 200)
        ask("GET", "/api/v1/devices", forwarded, 401)
        ask("GET", "/readyz", forwarded, 503)  # no worker runs
        ask("POST", "/api/v1/readings", forwarded, 401)
        ask("POST", "/api/v1/readings", sent, 202)
        platform.stop("log")
        assert "retry-after" in ask("POST", "/api/v1/readings", sent, 503)
        ask("GET", "/readyz?for=intake", forwarded, 503)


def test_nobody_elses_page_may_read_an_answer(db: Any) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for path in ("/api/v1/devices", "/", "/metrics"):
        for answer in (Client().options(path, headers=asked), Client().get(path, headers=asked)):
            assert not [name for name in answer.headers if name.lower().startswith("access-control")], path

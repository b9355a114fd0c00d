"""No route is open by mistake: every one of the URL configuration, for everybody who might ask.

The routes come from the site itself, what is right from `tests.iotplatform.access.routes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction

from telemetry.scopes import SCOPES, needed
from tests.iotplatform.access.closed import SECRET, World, all_routes, make_world
from tests.iotplatform.access.routes import ROUTES, Entry

pytestmark = pytest.mark.django_db
_RANKS = ["anybody", "viewer", "operator", "administrator", "nobody"]
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SITE = dict(all_routes())
CLOSED = [route for route, entry in ROUTES.items() if entry.kind != "open"]
OPEN = [route for route, entry in ROUTES.items() if entry.kind == "open"]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Made once; every request is undone, and all of it at the end."""
    with django_db_blocker.unblock():
        cache.clear()
        with transaction.atomic():
            yield make_world()
            transaction.set_rollback(True)
        connection.close()


@pytest.fixture(autouse=True)
def nobody_is_slowed_down(world: World) -> None:
    cache.clear()


def test_every_route_has_an_entry_and_every_entry_a_route() -> None:
    missing, gone = sorted(SITE.keys() - ROUTES.keys()), sorted(ROUTES.keys() - SITE.keys())
    assert not missing, f"say in tests/iotplatform/access/routes.py who may use: {missing}"
    assert not gone, f"there is no such route any more: {gone}"


def test_every_method_of_the_api_has_an_entry() -> None:
    for route, entry, view in _api_views():
        taken = {method for method in _METHODS if hasattr(view, method.lower())}
        assert taken == set(entry.methods), route


def test_every_view_of_the_api_says_its_scopes() -> None:
    for route, entry, view in _api_views():
        for method, (_, scopes) in entry.methods.items():
            assert set(needed(view, method)) == set(scopes.split()), f"{method} {route}"


def _api_views() -> Iterator[tuple[str, Entry, Any]]:
    for route, view in SITE.items():
        if route in ROUTES and ROUTES[route].kind == "api":
            yield route, ROUTES[route], view.cls


@pytest.mark.parametrize("route", OPEN)
def test_what_is_open_is_open(world: World, route: str) -> None:
    for method in ROUTES[route].methods:
        answer = world.ask(world.people["anonymous"], method, world.path(route, ROUTES[route]))
        assert answer.status_code not in (401, 403), f"{method} {route} → {answer.status_code}"


@pytest.mark.parametrize("route", CLOSED)
def test_whoever_lacks_the_right_is_refused_and_whoever_has_it_is_not(world: World, route: str) -> None:
    entry = ROUTES[route]
    path = world.path(route, entry)
    for method, (role, scopes) in entry.methods.items():
        for who, client in world.people.items():
            if who == "stranger":
                continue
            answer = world.ask(client, method, path)
            expected = _expected(entry, who, role)
            told = f"{who}: {method} {path} → {answer.status_code}\n{answer.said[:300]}"
            assert _verdict(answer) in expected, told
        if entry.kind == "api":
            _check_tokens(world, method, path, scopes.split(), entry.own)


def _check_tokens(world: World, method: str, path: str, scopes: list[str], own: bool) -> None:
    if others := [scope for scope in SCOPES if scope not in scopes]:
        assert world.ask(world.token(*others), method, path).status_code == 403, f"any scope opens {method} {path}"
    right = {"allowed", "404"} if own else {"allowed"}
    for scope in scopes:
        answer = world.ask(world.token(scope), method, path)
        told = f"{scope}: {method} {path} → {answer.status_code} {answer.said[:300]}"
        assert _verdict(answer) in right, told


@pytest.mark.parametrize("route", CLOSED)
def test_who_sees_another_group_learns_nothing(world: World, route: str) -> None:
    entry = ROUTES[route]
    path = world.path(route, entry)
    for method, (role, _) in entry.methods.items():
        answer = world.ask(world.people["stranger"], method, path)
        told = f"{method} {path} → {answer.status_code} {answer.said[:300]}"
        if entry.of and not entry.shared:
            gone = {302, 404} if entry.kind == "admin" else {404}
            assert answer.status_code in gone | ({403} if role == "nobody" else set()), told
        elif not route.startswith("admin/auth") and "audit" not in route:
            assert SECRET not in answer.said, f"{method} {path} tells of another group"


def _expected(entry: Entry, who: str, role: str) -> set[str]:
    unknown = {"login"} if entry.kind != "api" else {"401"}
    if who in ("anonymous", "expired"):
        return unknown
    if who == "device key":
        return ({"allowed", "403"} if entry.keys else {"403"}) if entry.kind == "api" else unknown
    if entry.own:
        return {"allowed", "404"} if who == "administrator" else {"403", "404"}
    if _RANKS.index(who) >= _RANKS.index(role):
        return {"404"} if entry.of == "nothing" else {"allowed"}
    if entry.kind == "admin" and who == "viewer":
        return {"login"}  # the admin is for staff
    return {"403"}


def _verdict(answer: Any) -> str:
    """allowed, login (sent to one), or the status that refuses."""
    status = answer.status_code
    if status in (301, 302) and "/login/" in answer.headers["Location"]:
        return "login"
    if status in (401, 403, 404, 405, 429) or status >= 500:
        return str(status)
    return "allowed"

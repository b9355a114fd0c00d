"""People over REST: roles, device groups, passwords; the last administrator."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache

from iotplatform.access import tokens
from iotplatform.access.roles import Role, ensure_roles, permissions_of
from telemetry.groups import make_group
from telemetry.models import AuditEntry, Device
from tests.telemetry.api.conftest import Api, api_of

PASSWORD = "correct horse battery"
pytestmark = pytest.mark.django_db
NEW = {"username": "ada", "password": PASSWORD, "role": "operator", "device_groups": ["plant"]}


@pytest.fixture(autouse=True)
def roles(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    ensure_roles()
    make_group("plant/hall")


def member(name: str, role: Role) -> User:
    user = User.objects.create_user(name, password=PASSWORD)
    user.groups.add(Group.objects.get(name=role.value))
    return user


@pytest.fixture
def boss() -> User:
    return member("boss", Role.ADMINISTRATOR)


@pytest.fixture
def api(boss: User) -> Api:
    return api_of(boss)


def test_a_new_person_has_role_and_groups_and_can_log_in(api: Api) -> None:
    made = api.post("users", NEW)
    assert made.status == 201
    assert (made.body["role"], made.body["device_groups"], made.body["active"]) == ("operator", ["plant"], True)
    assert PASSWORD not in str(made.body)
    assert "password" not in made.body
    assert api_of(None).post("auth/token", {"username": "ada", "password": PASSWORD}).status == 200
    assert User.objects.get(username="ada").is_staff, "operators get into the admin"


def test_she_sees_the_devices_of_her_groups_only(api: Api) -> None:
    for name, path in (("near", "plant/hall"), ("far", "mill")):
        Device.objects.create(name=name, group=make_group(path))
    Device.objects.create(name="nowhere")
    hers = api_of(User.objects.get(pk=api.post("users", NEW).body["id"]))
    assert [row["name"] for row in hers.get("devices").body["results"]] == ["near"]
    assert hers.get("devices/far").status == hers.get("devices/no-such").status == 404
    assert [row["path"] for row in hers.get("groups").body["results"]] == ["plant", "plant/hall"]
    patch = {"group": "mill"}
    assert hers.patch("devices/near", patch).faults() == {("group", "does_not_exist")}
    assert hers.patch("devices/near", {"group": None}).faults() == {("group", "required")}


def test_her_thresholds_and_silences_stay_within_her_groups(api: Api) -> None:
    Device.objects.create(name="far", group=make_group("mill"))
    hers = api_of(User.objects.get(pk=api.post("users", NEW).body["id"]))
    rule = {"name": "Hot", "metric": "t", "condition": "above", "levels": [{"severity": "major", "trigger": 80}]}
    everybodys = api.post("thresholds", rule | {"scope": {"all": True}}).body["id"]
    others = api.post("thresholds", rule | {"scope": {"device": "far"}}).body["id"]
    assert hers.post("thresholds", rule | {"scope": {"group": "plant/hall"}}).status == 201
    assert hers.post("thresholds", rule | {"scope": {"all": True}}).faults() == {("scope.all", "out_of_sight")}
    assert hers.post("thresholds", rule | {"scope": {"device": "far"}}).faults() == {("scope.device", "does_not_exist")}
    assert hers.get(f"thresholds/{everybodys}").status == 200
    assert hers.delete(f"thresholds/{everybodys}").status == 403
    assert hers.get(f"thresholds/{others}").status == hers.delete(f"thresholds/{others}").status == 404
    exported = hers.get("thresholds/export").body["thresholds"]
    assert {"device": "far"} not in [each["scope"] for each in exported]
    taken = hers.post("thresholds/import", {"thresholds": [rule | {"scope": {"all": True}}]})
    assert taken.status == 400
    works = {"reason": "works", "ends_at": "2099-01-01T00:00:00Z"}
    assert hers.post("silences", works).faults() == {("group", "out_of_sight")}
    assert hers.post("silences", works | {"group": "plant"}).status == 201


def test_only_who_sees_everything_hands_out_wide_keys(boss: User) -> None:
    patched = api_of(boss).patch(f"users/{boss.pk}", {"device_groups": ["plant"]})
    assert patched.status == 200
    User.objects.filter(pk=boss.pk).update(is_staff=True)
    Device.objects.create(name="near", group=make_group("plant"))
    api = api_of(boss)
    for scope in ({"all": True}, {"group": "plant"}):
        assert api.post("keys", {"scope": scope}).faults() == {("scope", "wide")}
    assert api.post("keys", {"scope": {"device": "near"}}).status == 201


@pytest.mark.parametrize("change", [{"active": False}, {"role": "operator"}, {"role": None}])
def test_the_last_administrator_stays_one(api: Api, boss: User, change: dict[str, Any]) -> None:
    assert api.patch(f"users/{boss.pk}", change).status == 409
    assert api.delete(f"users/{boss.pk}").status == 409
    assert api.get("users/me").body["role"] == "administrator"
    other = member("other", Role.ADMINISTRATOR)
    assert api.patch(f"users/{other.pk}", change).status == 200


def test_nobody_but_administrators_gives_rights(boss: User) -> None:
    clerk = member("clerk", Role.OPERATOR)
    clerk.user_permissions.set(permissions_of(Role.ADMINISTRATOR))
    api = api_of(clerk)
    assert api.get("users").status == api.patch(f"users/{clerk.pk}", {"role": "administrator"}).status == 403


def test_an_administrator_is_no_way_up_to_a_superuser(api: Api) -> None:
    root = User.objects.create_superuser("root")
    assert api.patch(f"users/{root.pk}", {"password": PASSWORD}).status == 403
    assert api.delete(f"users/{root.pk}").status == 403
    assert api.post("users", NEW | {"superuser": True}).body.get("superuser") is False


def test_everybody_changes_ones_own_password_with_the_old_one(boss: User) -> None:
    api = api_of(member("ada", Role.VIEWER))
    pair = tokens.issue(User.objects.get(username="ada"), ["read:stats"])
    new = "another long passphrase"
    assert api.post("users/me/password", {"current": "guess", "new": new}).faults() == {("current", "wrong")}
    assert api.post("users/me/password", {"current": PASSWORD, "new": "short"}).status == 400
    assert api.post("users/me/password", {"current": PASSWORD, "new": new}).status == 204
    assert api.get("users/me").status == 200, "the session goes on"
    assert api_of(None).post("auth/token/refresh", {"refresh": pair.refresh}).status == 401
    assert api_of(None).post("auth/token", {"username": "ada", "password": new}).status == 200


def test_the_audit_tells_of_rights_and_of_no_password(api: Api) -> None:
    number = api.post("users", NEW).body["id"]
    api.patch(f"users/{number}", {"role": "viewer", "device_groups": None, "password": "something else long"})
    api.delete(f"users/{number}")
    created, changed, deleted = AuditEntry.objects.filter(kind="user").order_by("id")
    assert (created.action, created.after["roles"], created.after["device_groups"]) == (
        "created",
        ["operator"],
        ["plant"],
    )
    assert (changed.after["roles"], changed.after["device_groups"], changed.after["password"]) == (
        ["viewer"],
        None,
        "new",
    )
    assert deleted.action == "deleted"
    assert {entry.who_name for entry in (created, changed, deleted)} == {"boss"}


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"username": "ada"}, ("password", "required")),
        ({"username": "ada", "password": "12345"}, ("password", "weak")),
        ({"username": "boss", "password": PASSWORD}, ("username", "unique")),
        (NEW | {"role": "king"}, ("role", "invalid_choice")),
        (NEW | {"device_groups": ["nowhere"]}, ("device_groups.0", "does_not_exist")),
        (NEW | {"is_superuser": True}, ("is_superuser", "unknown_field")),
    ],
)
def test_what_is_wrong_with_a_person_is_told(api: Api, body: dict[str, Any], fault: tuple[str, str]) -> None:
    assert fault in api.post("users", body).faults()


def test_users_are_found_and_roles_explained(api: Api) -> None:
    member("ada", Role.VIEWER)
    names = [row["username"] for row in api.get("users", role="viewer").body["results"]]
    assert names == ["ada"]
    assert [row["username"] for row in api.get("users", q="BOS").body["results"]] == ["boss"]
    viewer, operator, administrator = api.get("roles").body
    assert "telemetry.view_device" in viewer["permissions"]
    assert not [name for name in viewer["permissions"] if "key" in name or "user" in name or "audit" in name]
    assert {"alerts.change_alert", "alerts.add_silence", "telemetry.change_device"} <= set(operator["permissions"])
    assert (administrator["name"], administrator["users"]) == ("administrator", 1)


def test_roles_are_what_they_are_after_every_migrate() -> None:
    group = Group.objects.get(name="viewer")
    group.permissions.clear()
    Group.objects.get(name="operator").delete()
    ensure_roles()
    assert set(group.permissions.all()) == set(permissions_of(Role.VIEWER))
    assert Group.objects.filter(name="operator").exists()

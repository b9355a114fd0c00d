"""The audit trail: what is written, who may read it, how it is asked."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User

from telemetry.audit import audit
from telemetry.audit_changes import changes
from telemetry.models import AuditEntry
from tests.telemetry.admin.conftest import Admin, operator
from tests.telemetry.api.conftest import Api, api_of, person

BEFORE = {"name": "Hot", "for": 0, "levels": [{"severity": "major", "trigger": 80.0}]}
AFTER = {"name": "Hot", "for": 300, "levels": [{"severity": "major", "trigger": 85.0}]}


@pytest.fixture
def admin(db: None) -> Admin:
    return operator("view_auditentry")


@pytest.fixture
def api(db: None) -> Api:
    return api_of(person("ada", "view_auditentry", is_staff=True))


def test_a_change_says_who_what_before_and_after(db: None) -> None:
    user = User.objects.create_user("olga")
    audit("threshold", 7, "Hot", "changed", user, BEFORE, AFTER)
    entry = AuditEntry.objects.get()
    assert (entry.kind, entry.object_id, entry.object_name, entry.action) == ("threshold", 7, "Hot", "changed")
    assert (entry.who, entry.who_name, entry.before, entry.after) == (user, "olga", BEFORE, AFTER)


def test_what_was_saved_as_it_was_is_no_change(db: None) -> None:
    assert audit("threshold", 7, "Hot", "changed", None, BEFORE, dict(BEFORE)) is None
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("user", [None, AnonymousUser()])
def test_what_nobody_did_was_the_system(db: None, user: Any) -> None:
    entry = audit("threshold", 7, "Hot", "created", user, None, AFTER)
    assert entry is not None
    assert (entry.who, entry.who_name, entry.before) == (None, "system", None)


def test_it_stays_known_who_it_was_when_the_user_is_gone(db: None) -> None:
    user = User.objects.create_user("olga")
    audit("threshold", 7, "Hot", "deleted", user, BEFORE, None)
    user.delete()
    assert AuditEntry.objects.values_list("who", "who_name").get() == (None, "olga")


def test_an_unknown_action_is_a_mistake_of_ours(db: None) -> None:
    with pytest.raises(ValueError, match="mended"):
        audit("threshold", 7, "Hot", "mended", None, BEFORE, AFTER)


def test_changes_are_told_field_by_field() -> None:
    assert [change.field for change in changes(BEFORE, AFTER)] == ["for", "levels"]
    assert [tuple(change) for change in changes(None, {"name": "Hot"})] == [("name", None, "Hot")]
    assert changes(BEFORE, BEFORE) == []


def test_the_api_answers_newest_first(api: Api) -> None:
    audit("threshold", 7, "Hot", "created", None, None, BEFORE)
    audit("threshold", 7, "Hot", "changed", User.objects.get(username="ada"), BEFORE, AFTER)
    newest, oldest = api.get("audit").body["results"]
    assert oldest["action"] == "created"
    at = newest.pop("at")
    assert at.endswith("Z")
    assert newest == {
        "id": oldest["id"] + 1,
        "kind": "threshold",
        "object_id": 7,
        "object_name": "Hot",
        "action": "changed",
        "who": "ada",
        "via": "",
        "address": "",
        "before": BEFORE,
        "after": AFTER,
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"kind": "route"}, {"Night"}),
        ({"kind": "threshold", "object_id": "7"}, {"Hot"}),
        ({"action": "deleted"}, {"Cold"}),
        ({"who": "ada"}, {"Night"}),
        ({"start": "2100-01-01T00:00:00Z"}, set()),
        ({"end": "2100-01-01T00:00:00Z"}, {"Hot", "Cold", "Night"}),
    ],
)
def test_it_is_filtered(api: Api, query: dict[str, str], found: set[str]) -> None:
    audit("threshold", 7, "Hot", "created", None, None, BEFORE)
    audit("threshold", 8, "Cold", "deleted", None, BEFORE, None)
    audit("route", 7, "Night", "created", User.objects.get(username="ada"), None, {})
    assert {row["object_name"] for row in api.get("audit", **query).body["results"]} == found


def test_a_wrong_filter_is_told(api: Api) -> None:
    assert api.get("audit", action="mended").faults() == {("action", "invalid_choice")}
    assert api.get("audit", object_id="seven").faults() == {("object_id", "invalid")}


def test_only_staff_with_the_permission_reads_it(db: None) -> None:
    assert api_of(None).get("audit").status == 401
    assert api_of(person("clerk", "view_auditentry")).get("audit").status == 403
    assert api_of(person("staff", is_staff=True)).get("audit").status == 403
    assert api_of(person("auditor", "view_auditentry", is_staff=True)).get("audit").status == 200


def test_nobody_changes_it(api: Api, admin: Admin) -> None:
    entry = audit("threshold", 7, "Hot", "created", None, None, BEFORE)
    assert entry is not None
    assert api.post("audit", {}).status in (403, 405)
    boss = operator("view_auditentry", "add_auditentry", "change_auditentry", "delete_auditentry")
    boss.get("telemetry_auditentry_add", status=403)
    boss.get("telemetry_auditentry_delete", entry.pk, status=403)
    assert boss.post("telemetry_auditentry_change", entry.pk, kind="x").status_code == 403


def test_the_admin_tells_what_changed(admin: Admin) -> None:
    entry = audit("threshold", 7, "Bearing <hot>", "changed", None, BEFORE, AFTER)
    assert entry is not None
    listed = admin.get("telemetry_auditentry_changelist")
    assert "system changed threshold Bearing <hot> for, levels" in listed
    page = admin.get("telemetry_auditentry_change", entry.pk)
    assert "for 0 300" in page

"""The audit trail only grows: what the database refuses, what pruning may, what it says of devices and their keys."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import ProgrammingError, connection, transaction
from django.test import Client
from django.utils import timezone

from iotplatform.access.upkeep import prune_audit
from telemetry.audit import audit
from telemetry.groups import make_group
from telemetry.models import AuditEntry, Device, DeviceKey
from tests.telemetry.admin.conftest import Admin, admin, shards
from tests.telemetry.api.conftest import Api, api, api_of, person

__all__ = ["admin", "api", "shards"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh() -> None:
    cache.clear()


@pytest.fixture
def entry() -> AuditEntry:
    made = audit("threshold", 7, "=Hot", "created", None, None, {"name": "Hot"})
    assert made is not None
    return made


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE telemetry_auditentry SET who_name = 'nobody'",
        "UPDATE telemetry_auditentry SET who_id = NULL, after = '{}'",
        "DELETE FROM telemetry_auditentry",
    ],
)
def test_the_database_refuses_to_change_it(entry: AuditEntry, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)
    assert AuditEntry.objects.get().after == {"name": "Hot"}


def test_nor_to_empty_it() -> None:
    with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic():
        # Tests are allowed to, everybody else is not.
        connection.cursor().execute("SET LOCAL iotplatform.audit = ''; TRUNCATE telemetry_auditentry")


def test_pruning_takes_what_is_older_than_its_days_and_nothing_else(entry: AuditEntry) -> None:
    old = AuditEntry.objects.create(kind="x", object_id=1, object_name="x", action="created", at=_days_ago(31))
    AuditEntry.objects.create(kind="y", object_id=1, object_name="y", action="created", at=_days_ago(29))
    assert prune_audit(0) == 0
    assert prune_audit(30) == 1
    assert not AuditEntry.objects.filter(pk=old.pk).exists()
    assert AuditEntry.objects.count() == 2


def _days_ago(days: int) -> Any:
    return timezone.now() - timedelta(days=days)


def told(kind: str) -> list[tuple[str, Any, Any]]:
    return list(AuditEntry.objects.filter(kind=kind).order_by("id").values_list("action", "before", "after"))


def test_every_change_of_a_device_is_told(api: Api, shards: None) -> None:
    make_group("plant")
    api.post("devices", {"name": "pump-7"})
    api.patch("devices/pump-7", {"group": "plant", "labels": {"site": "north"}})
    api.patch("devices/pump-7", {"group": "plant"})
    api.delete("devices/pump-7")
    created, changed, deleted = told("device")
    assert (created[0], created[2]["group"]) == ("created", None)
    assert (changed[0], changed[1]["group"], changed[2]["group"], changed[2]["labels"]) == (
        *("changed", None, "plant"),
        {"site": "north"},
    )
    assert (deleted[0], deleted[1]["name"], deleted[2]) == ("deleted", "pump-7", None)


def test_and_of_types_groups_and_keys_none_of_them_with_a_secret(api: Api) -> None:
    api.post("device-types", {"name": "pump", "metrics": [{"name": "t", "unit": "°C"}]})
    api.patch("device-types/pump", {"strict": True})
    api.delete("device-types/pump")
    api.post("groups", {"path": "plant"})
    api.patch("groups/plant", {"path": "mill"})
    api.delete("groups/mill")
    api.post("devices", {"name": "pump-7"})
    key = api.post("devices/pump-7/keys", {"name": "first"}).body
    api.delete(f"devices/pump-7/keys/{key['id']}")
    api.delete(f"devices/pump-7/keys/{key['id']}")
    assert [action for action, _, _ in told("device_type")] == ["created", "changed", "deleted"]
    assert [action for action, _, _ in told("group")] == ["created", "changed", "deleted"]
    assert [action for action, _, _ in told("key")] == ["created", "changed"], "revoked once"
    assert told("key")[0][2]["scope"] == {"device": "pump-7"}
    secret = key["key"].rpartition("_")[2]
    assert secret not in json.dumps(list(AuditEntry.objects.values("before", "after")))


def test_the_admin_tells_as_well(admin: Admin) -> None:
    first, second = (Device.objects.create(name=name) for name in ("a", "b"))
    DeviceKey(device=first).issue()
    admin.act("device", "disable", first, second)
    admin.act("devicekey", "revoke_selected", DeviceKey.objects.get())
    admin.post("telemetry_devicegroup_add", name="plant")
    assert [(action, before["enabled"], after["enabled"]) for action, before, after in told("device")] == [
        ("changed", True, False)
    ] * 2
    assert [action for action, _, _ in told("key")] == ["changed"]
    assert [(action, after) for action, _, after in told("group")] == [("created", {"path": "plant"})]


def test_refusals_are_told_once_a_minute_with_who_and_what() -> None:
    api = api_of(person("eve", "view_device"))
    for _ in range(5):
        assert api.post("devices", {"name": "p"}).status == 403
    assert api.get("quarantine").status == 403
    found = AuditEntry.objects.filter(action="denied").order_by("id").values_list("object_name", "who_name", "address")
    assert list(found) == [
        ("POST api/v1/devices", "eve", "127.0.0.1"),
        ("GET api/v1/quarantine", "eve", "127.0.0.1"),
    ]


def test_a_refused_device_key_is_told_by_its_prefix() -> None:
    key = DeviceKey(all_devices=True)
    assert Api(Client(), {"Authorization": f"Bearer {key.issue()}"}).get("devices").status == 403
    assert AuditEntry.objects.get(action="denied").who_name == f"key {key.prefix}"


def test_a_flood_of_refusals_cannot_fill_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iotplatform.access.flood.MOST_A_MINUTE", 3)
    for number in range(10):
        api_of(person(f"eve-{number}")).get("devices")
    assert AuditEntry.objects.filter(action="denied").count() == 3


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_it_is_exported_as_a_file(entry: AuditEntry, form: str) -> None:
    audit("route", 8, "Night", "deleted", None, {"name": "Night"}, None)
    client = Client()
    client.force_login(person("auditor", "view_auditentry", is_staff=True))
    answer = client.get(f"/api/v1/audit/export?format={form}&kind=threshold")
    text = b"".join(answer).decode()
    if form == "csv":
        (row,) = csv.DictReader(io.StringIO(text))
        assert (row["object_name"], json.loads(row["after"])) == ("'=Hot", {"name": "Hot"})
    else:
        (line,) = text.splitlines()
        assert (json.loads(line)["object_name"], json.loads(line)["after"]) == ("=Hot", {"name": "Hot"})
    assert f"audit.{form}" in answer.headers["Content-Disposition"]


def test_only_who_may_read_it_gets_the_file() -> None:
    assert api_of(person("clerk", is_staff=True)).get("audit/export").status == 403

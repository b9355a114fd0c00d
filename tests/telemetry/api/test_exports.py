"""Saved queries and exports over the REST API."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework.test import APIRequestFactory, force_authenticate

from telemetry.api import exports as views
from telemetry.exports import worker
from telemetry.models import AuditEntry, DeviceGroup, DeviceSight, ExportRun, SavedQuery
from tests.telemetry.api.conftest import Api, api_of, person
from tests.telemetry.exports.conftest import (
    HOURLY,
    MAY_EXPORT,
    ann,
    exports_folder,
    made,
    make_export,
    plant,
)

__all__ = ["ann", "exports_folder", "plant"]  # fixtures

QUERY = {"name": "Hourly", "route": "aggregates", "query": HOURLY}
DAILY = {"name": "Hourly", "every": "daily", "at": "06:00", "zone": "Europe/Berlin", "period": "yesterday",
         "format": "csv", "destination": "folder", "recipients": ["bob@example.org"]}  # fmt: skip


@pytest.fixture
def hers(request: Any) -> Api:
    return api_of(request.getfixturevalue("ann"))


def test_from_a_query_to_its_file(hers: Api) -> None:
    query = hers.post("saved-queries", QUERY).body
    assert (query["owner"], query["query"]) == ("ann", HOURLY)
    export = hers.post("exports", DAILY | {"query": query["id"]}).body
    assert (export["at"], export["weekday"], export["days"], export["enabled"]) == ("06:00", None, None, True)
    assert export["next_at"].endswith(("T05:00:00Z", "T04:00:00Z"))
    path = f"exports/{export['id']}"
    period = {"start": "2026-03-01T00:00:00+01:00", "end": "2026-03-02T00:00:00+01:00"}
    run = hers.post(f"{path}/run", period)
    assert (run.status, run.body["state"], run.body["requested_by"]) == (202, "waiting", "ann")
    assert hers.get(f"{path}/runs/{run.body['id']}/file").status == 404
    worker.work()
    done = hers.get(f"{path}/runs/{run.body['id']}").body
    assert (done["state"], done["start"], done["rows"]) == ("done", "2026-02-28T23:00:00Z", 46)
    assert [each["id"] for each in hers.get(f"{path}/runs").body["results"]] == [done["id"]]
    assert hers.get(f"{path}/runs", state="failed").body["results"] == []
    changed = hers.patch(path, {"every": "weekly", "weekday": "sunday", "enabled": False}).body
    assert (changed["weekday"], changed["next_at"]) == ("sunday", None)
    assert hers.patch(path, {"every": "daily"}).body["weekday"] is None
    assert hers.delete(path).status == 204
    assert hers.delete(f"saved-queries/{query['id']}").status == 204
    trail = AuditEntry.objects.order_by("id").values_list("kind", "action", "who_name")
    assert list(trail) == [
        ("saved_query", "created", "ann"), ("export", "created", "ann"), ("export", "changed", "ann"),
        ("export", "changed", "ann"), ("export", "deleted", "ann"), ("saved_query", "deleted", "ann"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"query": "device=pump-7&start=1&bucket=1h"}, {("query", "invalid")}),
        ({"query": "device=pump-7"}, {("query", "invalid")}),
        ({"query": "device=nobody&bucket=1h"}, {("query", "invalid")}),
        ({"query": "device=pump-7&bucket=1h&shape=columns"}, {("query", "invalid")}),
        ({"query": "device=pump-7&bucket=1h&functions=best"}, {("query", "invalid")}),
        ({"query": "&".join(f"device=p{number}" for number in range(1001))}, {("query", "invalid")}),
        ({"query": "device=%00&bucket=1h"}, {("query", "invalid")}),
        ({"query": "device=pump-7&bucket=1h", "route": "readings"}, {("query", "invalid")}),
        ({"route": "devices"}, {("route", "invalid_choice")}),
        ({"owner": "eve", "nmae": "x"}, {("nmae", "unknown_field")}),
        ({"name": ""}, {("name", "blank")}),
    ],
)
def test_wrong_queries_say_what_is_wrong(hers: Api, change: dict[str, Any], faults: Any) -> None:
    answer = hers.post("saved-queries", QUERY | change)
    assert (answer.status, answer.faults()) == (400, faults)


def test_names_of_queries_are_told_apart_by_person(hers: Api) -> None:
    assert hers.post("saved-queries", QUERY).status == 201
    assert hers.post("saved-queries", QUERY).faults() == {("name", "unique")}
    assert api_of(person("eve", *MAY_EXPORT)).post("saved-queries", QUERY).status == 201


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"every": "weekly"}, {("weekday", "invalid")}),
        ({"every": "weekly", "weekday": "noday"}, {("weekday", "invalid_choice")}),
        ({"period": "last_days"}, {("days", "invalid")}),
        ({"period": "last_days", "days": 400}, {("days", "max_value")}),
        ({"period": "last_week"}, {("every", "invalid")}),
        ({"zone": "Mars/Olympus"}, {("zone", "invalid_choice")}),
        ({"at": "6 o'clock"}, {("at", "invalid")}),
        ({"recipients": ["nobody"]}, {("recipients.0", "invalid")}),
        ({"destination": "s3"}, {("destination", "not_configured")}),
        ({"query": 10**30}, {("query", "does_not_exist")}),
    ],
)
def test_wrong_exports_say_what_is_wrong(hers: Api, change: dict[str, Any], faults: Any) -> None:
    query = hers.post("saved-queries", QUERY).body
    answer = hers.post("exports", DAILY | {"query": query["id"]} | change)
    assert (answer.status, answer.faults()) == (400, faults)


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"start": "2026-03-01T00:00:00Z"}, {("end", "required")}),
        ({"start": "2026-03-02T00:00:00Z", "end": "2026-03-01T00:00:00Z"}, {("end", "invalid")}),
        ({"start": "2026-03-02", "end": "2026-03-01T00:00:00Z"}, {("start", "no_offset")}),
        ({"start": "0001-01-01T00:00:00Z", "end": "2026-03-01T00:00:00Z"}, {("start", "invalid_time")}),
    ],
)
def test_wrong_periods_say_what_is_wrong(hers: Api, ann: Any, body: dict[str, Any], faults: Any) -> None:
    answer = hers.post(f"exports/{make_export(ann).pk}/run", body)
    assert (answer.status, answer.faults()) == (400, faults)


def test_no_more_runs_than_may_wait(hers: Api, ann: Any) -> None:
    path = f"exports/{make_export(ann).pk}/run"
    assert {hers.post(path).status for _ in range(20)} == {202}
    assert hers.post(path).status == 409


def test_others_have_none_of_it_but_those_who_manage_exports(hers: Api, ann: Any) -> None:
    export = make_export(ann)
    run = made(export)
    paths = [f"saved-queries/{export.query_id}", f"exports/{export.pk}", f"exports/{export.pk}/runs",
             f"exports/{export.pk}/runs/{run.pk}", f"exports/{export.pk}/runs/{run.pk}/file"]  # fmt: skip
    eve = api_of(person("eve", *MAY_EXPORT))
    assert {eve.client.get(f"/api/v1/{path}").status_code for path in paths} == {404}
    assert eve.get("exports").body["results"] == eve.get("saved-queries").body["results"] == []
    assert eve.post(f"exports/{export.pk}/run").status == 404
    assert eve.post("exports", DAILY | {"query": export.query_id}).faults() == {("query", "does_not_exist")}
    boss = person("boss2", *MAY_EXPORT, "manage_other_exports")
    assert {api_of(boss).client.get(f"/api/v1/{path}").status_code for path in paths} == {200}
    # Who sees some groups only learns nothing of what others ask for.
    DeviceSight.objects.create(user=boss).groups.add(DeviceGroup.objects.get(path="plant/hall-1"))
    assert {api_of(boss).client.get(f"/api/v1/{path}").status_code for path in paths} == {404}


def test_the_owner_gets_no_file_of_a_device_that_is_hidden_from_him_now(hers: Api, ann: Any) -> None:
    run = made(make_export(ann))
    DeviceSight.objects.create(user=ann).groups.add(DeviceGroup.objects.get(path="plant/hall-1"))
    path = f"/api/v1/exports/{run.export_id}/runs/{run.pk}"
    assert api_of(ann).client.get(path).status_code == 200
    assert api_of(ann).client.get(f"{path}/file").status_code == 404


def test_viewers_look_and_strangers_do_not(hers: Api, stranger: Api) -> None:
    viewer = api_of(person("viv", "view_device", "view_savedquery", "view_scheduledexport"))
    assert viewer.get("exports").status == 200
    assert viewer.post("saved-queries", QUERY).status == 403
    assert stranger.get("exports").status == 401


@pytest.mark.parametrize(
    ("scopes", "seen"),
    [({"read:stats"}, {"aggregates"}), ({"read:readings"}, {"raw", "readings"}), ({"write:readings"}, None),
     ({"read:stats", "read:readings"}, {"aggregates", "raw", "readings"}), ({"admin"}, set())],
)  # fmt: skip
def test_a_token_sees_what_its_scopes_allow_to_ask(ann: Any, scopes: set[str], seen: set[str] | None) -> None:
    for name, query, route in (
        ("aggregates", HOURLY, "aggregates"), ("raw", "device=pump-7&bucket=raw", "aggregates"),
        ("readings", "device=pump-7", "readings"),
    ):  # fmt: skip
        make_export(ann, query, route=route, name=name)
    request = APIRequestFactory().get("/api/v1/exports")
    force_authenticate(request, ann, SimpleNamespace(scopes=scopes))
    answer = views.ExportList.as_view()(request)
    assert answer.status_code == (403 if seen is None else 200)
    assert seen is None or {each["name"] for each in answer.data["results"]} == seen


def test_a_token_saves_only_what_it_may_ask(ann: Any) -> None:
    def save(query: str, scopes: set[str]) -> int:
        request = APIRequestFactory().post("/api/v1/saved-queries", QUERY | {"query": query}, format="json")
        force_authenticate(request, ann, SimpleNamespace(scopes=scopes))
        return int(views.SavedQueryList.as_view()(request).status_code)

    assert save("device=pump-7&bucket=raw", {"read:stats"}) == 403
    assert save(HOURLY, {"read:readings"}) == 403
    assert not SavedQuery.objects.exists()
    assert not ExportRun.objects.exists()
    assert save(HOURLY, {"read:stats"}) == 201


def test_a_query_is_kept_at_any_hour(hers: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    half_past_midnight = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)
    monkeypatch.setattr("telemetry.exports.question.timezone.now", lambda: half_past_midnight)
    assert hers.post("saved-queries", QUERY).status == 201

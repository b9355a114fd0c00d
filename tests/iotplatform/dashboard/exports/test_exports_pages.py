"""The pages of exports, without a browser: who sees what, and what a form makes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.test import Client

from iotplatform.dashboard.exports_explore import query_of_address
from telemetry.exports.links import link_to, sign
from telemetry.models import AuditEntry, DeviceGroup, DeviceSight, ExportRun, SavedQuery, ScheduledExport
from tests.telemetry.api.conftest import person
from tests.telemetry.exports.conftest import HOURLY, MAY_EXPORT, body_of, made, make_export

FORM = {"name": "Hourly", "route": "aggregates", "query": HOURLY, "every": "weekly", "weekday": "monday", "at": "06:30",
        "zone": "Europe/Berlin", "period": "last_week", "days": "7", "format": "parquet", "destination": "folder",
        "recipients": "bob@example.org, eve@example.org", "enabled": "on"}  # fmt: skip


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_without_an_export_the_page_says_what_one_is(ann: Any) -> None:
    page = browser(ann).get("/exports/").content.decode()
    assert "No export yet" in page
    assert 'href="/exports/new"' in page
    viewer = browser(person("viv", "view_device", "view_scheduledexport")).get("/exports/").content.decode()
    assert "You may look at exports, not make them" in viewer
    assert "/exports/new" not in viewer


def test_a_form_makes_a_query_and_an_export_and_changes_them(ann: Any) -> None:
    client = browser(ann)
    answer = client.post("/exports/new", FORM)
    export = ScheduledExport.objects.get()
    assert answer.headers["Location"] == f"/exports/{export.pk}/"
    assert (export.query.owner, export.query.query, export.weekday, export.days) == (ann, HOURLY, 0, None)
    assert export.recipients == ["bob@example.org", "eve@example.org"]
    page = client.get(f"/exports/{export.pk}/").content.decode()
    assert (
        "Every Monday at 06:30 (Europe/Berlin): last week, from Monday, as Parquet, into the folder; 2 people are told."
        in page
    )
    assert "No run yet" in page
    form = client.get(f"/exports/{export.pk}/edit").content.decode()
    assert 'value="06:30"' in form
    client.post(f"/exports/{export.pk}/edit", FORM | {"every": "daily", "period": "yesterday", "enabled": ""})
    export.refresh_from_db()
    assert (export.every, export.weekday) == ("daily", None)
    assert set(AuditEntry.objects.values_list("kind", "action")) == {
        ("saved_query", "created"), ("export", "created"), ("export", "changed")}  # fmt: skip


def test_what_is_wrong_stands_at_its_field_and_nothing_is_made(ann: Any) -> None:
    wrong = {
        "query": "device=nobody&bucket=1h",
        "at": "25:00",
        "zone": "Mars/Olympus",
        "recipients": "nobody",
    }
    answer = browser(ann).post("/exports/new", FORM | wrong)
    page = answer.content.decode()
    assert answer.status_code == 400
    for name in wrong:
        assert f'id="e-{name}"' in page
    assert "There is no device &#x27;nobody&#x27;" in page
    assert 'value="Mars/Olympus"' in page
    assert not SavedQuery.objects.exists()
    assert not ScheduledExport.objects.exists()


def test_run_now_shows_in_the_history_and_gives_the_file(ann: Any) -> None:
    export = make_export(ann, recipients=["bob@example.org"])
    client = browser(ann)
    assert client.post(f"/exports/{export.pk}/run").headers["Location"] == f"/exports/{export.pk}/"
    run = ExportRun.objects.get()
    assert run.requested_by == ann
    again = {"start": "2026-03-01T00:00:00+00:00", "end": "2026-03-02T00:00:00+00:00"}
    client.post(f"/exports/{export.pk}/run", again)
    assert [
        each.isoformat() for each in ExportRun.objects.values_list("period_start", "period_end").latest("pk")
    ] == list(again.values())
    done = made(export)
    part = client.get(f"/exports/{export.pk}/", headers={"X-Live": "runs"}).content.decode()
    assert "<html" not in part
    assert f"/exports/runs/{done.pk}/file" in part
    assert b"pump-7,temperature" in body_of(client.get(f"/exports/runs/{done.pk}/file"))
    assert f"/exports/runs/{ExportRun.objects.latest('pk').pk}/file" in client.get("/exports/").content.decode()


def test_exports_of_others_do_not_exist(ann: Any) -> None:
    export = make_export(ann)
    run = made(export)
    eve = browser(person("eve", *MAY_EXPORT))
    assert "Hourly" not in eve.get("/exports/").content.decode()
    for path in (f"/exports/{export.pk}/", f"/exports/{export.pk}/edit", f"/exports/runs/{run.pk}/file"):
        assert eve.get(path).status_code == 404
    for path in (
        f"/exports/{export.pk}/run",
        f"/exports/{export.pk}/delete",
        f"/exports/queries/{export.query_id}/delete",
    ):
        assert eve.post(path).status_code == 404
    admin = browser(person("root", *MAY_EXPORT, "manage_other_exports"))
    assert admin.get(f"/exports/{export.pk}/").status_code == 200
    assert admin.get(f"/exports/runs/{run.pk}/file").status_code == 200


def test_a_link_opens_for_whoever_sees_what_is_in_the_file(ann: Any, settings: Any) -> None:
    run = made(make_export(ann, "device=pump-7&metric=temperature&bucket=1h"))
    path = link_to(run).removeprefix("http://127.0.0.1:8000")
    assert Client().get(path).headers["Location"].startswith("/login/?next=/exports/runs/")
    bob = person("bob", "view_device", "view_scheduledexport")
    assert browser(bob).get(path).status_code == 200
    for number, group in ((1, "plant/hall-1"), (2, "plant/hall-2")):
        hall = person(f"hall{number}", "view_device", "view_scheduledexport")
        DeviceSight.objects.create(user=hall).groups.add(DeviceGroup.objects.get(path=group))
        assert browser(hall).get(path).status_code == (200 if number == 1 else 404)
    assert browser(person("other")).get(path).status_code == 403
    assert browser(bob).get(f"/exports/runs/{run.pk}/file?link={run.pk}:forged:signature").status_code == 404
    other = made(run.export)
    assert browser(bob).get(f"/exports/runs/{other.pk}/file?link={sign(run)}").status_code == 404


def test_a_link_expires(ann: Any, monkeypatch: Any, settings: Any) -> None:
    run = made(make_export(ann))
    link = sign(run)
    later = signing.time.time() + timedelta(days=8).total_seconds()
    settings.PLATFORM = replace(settings.PLATFORM, export_link_days=7)
    monkeypatch.setattr(signing.time, "time", lambda: later)
    bob = browser(person("bob", "view_device", "view_scheduledexport"))
    answer = bob.get(f"/exports/runs/{run.pk}/file?link={link}")
    assert answer.status_code == 410
    assert "This link is good no more" in answer.content.decode()
    assert browser(ann).get(f"/exports/runs/{run.pk}/file?link={link}").status_code == 200


@pytest.mark.parametrize(
    ("address", "query"),
    [
        ("?s=d/pump-7/temperature&s=d/pump-8/temperature&f=avg&b=1h&range=24h&compare=previous",
         "device=pump-7&device=pump-8&metric=temperature&functions=avg&bucket=1h"),
        ("s=g/plant/hall-1/temperature", "group=plant/hall-1&metric=temperature&bucket=1h"),
        ("device=a+b&metric=t&start=1&end=2&points=300&tz=Asia/Kolkata", "device=a%20b&metric=t&tz=Asia/Kolkata&bucket=1h"),
        ("s=x/y/z&s=nothing", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_address_of_explore_becomes_a_query(address: str, query: str) -> None:
    assert query_of_address(address) == query


def test_the_form_is_filled_in_from_explore(ann: Any) -> None:
    page = browser(ann).get("/exports/new?s=d/pump-7/temperature&f=max").content.decode()
    assert re.search(r"<textarea[^>]*>device=pump-7&amp;metric=temperature&amp;functions=max&amp;bucket=1h<", page)


def test_deleting_takes_history_and_files_along(
    ann: Any,
    exports_folder: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    export = make_export(ann)
    made(export)
    assert len(list(exports_folder.rglob("*.csv"))) == 1
    with django_capture_on_commit_callbacks(execute=True):
        assert browser(ann).post(f"/exports/{export.pk}/delete").headers["Location"] == "/exports/"
    assert not ExportRun.objects.exists()
    assert not list(exports_folder.rglob("*.csv"))
    page = browser(ann).get("/exports/").content.decode()
    assert "Saved queries without an export" in page
    browser(ann).post(f"/exports/queries/{export.query_id}/delete")
    assert not SavedQuery.objects.exists()

"""Exports in the admin: to look at, each person's own."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from telemetry.exports import edit
from telemetry.models import SavedQuery, ScheduledExport


@pytest.mark.parametrize("name", ["savedquery", "scheduledexport", "exportrun"])
def test_they_are_listed_and_not_changed_there(db: None, name: str) -> None:
    boss = User.objects.create_superuser("boss")
    query = SavedQuery(name="Rows by hour", owner=boss, route="aggregates", query="device=pump-7&bucket=1h")
    edit.create(query, boss)
    export = ScheduledExport(name="Rows by hour", query=query)
    edit.create(export, boss)
    edit.run_now(export, boss)
    client = Client()
    client.force_login(boss)
    page = client.get(f"/admin/telemetry/{name}/")
    assert page.status_code == 200
    assert "Rows by hour" in page.content.decode()
    assert client.get(f"/admin/telemetry/{name}/add/").status_code == 403

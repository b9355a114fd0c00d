"""Two pumps with a day of readings, a folder for files, and people who export."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.utils import timezone

from telemetry.exports import edit, worker
from telemetry.groups import make_group
from telemetry.models import Device, ExportRun, SavedQuery, ScheduledExport, Series
from telemetry.timeseries.engine import as_microseconds
from tests.telemetry.api.conftest import Api, api_of, person
from tests.telemetry.query.rolled import Inside, begin, put, roll_up

DAY = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = 60_000_000
MAY_EXPORT = ("view_device", *(f"{verb}_{model}" for verb in ("view", "add", "change", "delete")
              for model in ("savedquery", "scheduledexport")))  # fmt: skip
HOURLY = "device=pump-7&device=pump-8&metric=temperature&bucket=1h&functions=avg,max"
PERIOD = (DAY, DAY + timedelta(days=1))


@pytest.fixture(autouse=True)
def no_throttling_between_tests() -> None:
    cache.clear()


@pytest.fixture
def exports_folder(settings: Any, tmp_path: Path) -> Path:
    settings.PLATFORM = replace(settings.PLATFORM, export_folder=str(tmp_path / "exports"))
    return tmp_path / "exports"


@pytest.fixture
def plant(db: None) -> dict[str, Series]:
    """pump-7 in hall 1 sends minute by minute, pump-8 in hall 2 every ten minutes; true and false of pump-7 too."""
    database = Inside()
    begin(database)
    return fill(database)


def fill(database: Any) -> dict[str, Series]:
    made = {}
    for name, group in (("pump-7", "plant/hall-1"), ("pump-8", "plant/hall-2")):
        device = Device.objects.create(name=name, group=make_group(group))
        made[name] = Series.objects.create(device=device, metric="temperature")
    made["running"] = Series.objects.create(device=made["pump-7"].device, metric="running", boolean=True)
    start = as_microseconds(DAY)
    put(database, [(made["pump-7"].pk, start + n * MINUTE + 1, n * 0.1) for n in range(1440)])
    put(database, [(made["pump-8"].pk, start + n * 10 * MINUTE, -float(n)) for n in range(144)])
    put(database, [(made["running"].pk, start + n * 60 * MINUTE, float(n % 2)) for n in range(24)])
    roll_up(database, start + 26 * 60 * MINUTE)
    return made


@pytest.fixture
def ann(plant: Any, exports_folder: Path) -> User:
    """An operator who sees everything."""
    return person("ann", *MAY_EXPORT)


@pytest.fixture
def api(ann: User) -> Api:
    return api_of(ann)


def make_export(owner: Any, query: str = HOURLY, **fields: Any) -> ScheduledExport:
    route = fields.pop("route", "aggregates")
    raw = route == "readings" or "bucket=raw" in query
    saved = SavedQuery(name=f"query {SavedQuery.objects.count()}", owner=owner, route=route, query=query, raw=raw)
    edit.create(saved, owner)
    export = ScheduledExport(query=saved, name=fields.pop("name", "Hourly"), **fields)
    edit.create(export, owner)
    export.refresh_from_db()
    return export


def made(export: ScheduledExport, period: tuple[datetime, datetime] = PERIOD) -> ExportRun:
    """A run of this period, worked at once."""
    run = edit.run_now(export, export.query.owner, period)
    worker.work()
    run.refresh_from_db()
    return run


@pytest.fixture
def later() -> Callable[..., None]:
    """Time passes for the queue: what waits for its pause or its lease is due."""

    def pass_time(**fields: Any) -> None:
        past = timezone.now() - timedelta(seconds=1)
        ExportRun.objects.filter(state="failed").update(due_at=past)
        ExportRun.objects.filter(state="running").update(leased_until=past)
        ExportRun.objects.filter(mail="waiting").update(mail_due_at=past)

    return pass_time


def body_of(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def problem(response: Any) -> dict[str, Any]:
    return dict(json.loads(response.content))

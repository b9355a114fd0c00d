"""The admin as its operators see it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.telemetry.admin.conftest import Admin
from tests.thresholds.conftest import person
from thresholds.models import Threshold


@pytest.fixture
def admin(db: None) -> Admin:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return Admin(client)


def operator(*permissions: str) -> Admin:
    """A member of staff with these permissions only."""
    client = Client()
    client.force_login(person(f"operator-{User.objects.count()}", *permissions, is_staff=True))
    return Admin(client)


def form(*levels: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What a browser sends: a major alert above 80, everywhere, unless told otherwise."""
    rows = levels or ({"severity": 3, "trigger": "80", "clear": "75"},)
    stored = sum("id" in row for row in rows)
    sent = {
        "name": "Bearing hot",
        "enabled": "on",
        "scope_kind": "all",
        "metric": "temperature",
        "condition": "above",
        "consecutive": "1",
        "gap_policy": "reset",
        "levels-TOTAL_FORMS": len(rows),
        "levels-INITIAL_FORMS": stored,
    }
    for number, row in enumerate(rows):
        sent |= {f"levels-{number}-{name}": value for name, value in row.items()}
    return {name: value for name, value in (sent | fields).items() if value is not None}


def form_of(threshold: Threshold, **fields: Any) -> dict[str, Any]:
    """What a browser sends that opened the form of a stored threshold."""
    rows = [
        {"id": level.pk, "threshold": threshold.pk, "severity": level.severity, "trigger": level.trigger}
        | {
            name: value
            for name in ("trigger_high", "clear", "clear_high")
            if (value := getattr(level, name)) is not None
        }
        for level in threshold.levels.all()
    ]
    seen = {"seen": threshold.updated_at.isoformat(), "name": threshold.name, "metric": threshold.metric}
    return form(*rows, **seen | {"condition": threshold.condition} | fields)

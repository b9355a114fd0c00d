"""A person's way to thresholds, and documents to send."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection

from telemetry.models import LogLayout, ShardPosition
from tests.telemetry.api.conftest import Api, api_of

EVERYTHING = ("view_threshold", "add_threshold", "change_threshold", "delete_threshold")


def hot(**fields: Any) -> dict[str, Any]:
    """A threshold as the API takes it."""
    usual = {
        "name": "Bearing hot",
        "scope": {"all": True},
        "metric": "temperature",
        "condition": "above",
        "levels": [{"severity": "major", "trigger": 80, "clear": 75}],
    }
    return usual | fields


def level(trigger: Any, clear: Any = None, severity: str = "major") -> dict[str, Any]:
    return {"severity": severity, "trigger": trigger, "clear": clear}


def person(name: str, *permissions: str, **flags: bool) -> User:
    """A user with these permissions, whichever app they are of."""
    user = User.objects.create_user(name, **flags)
    found = Permission.objects.filter(codename__in=permissions)
    assert len(found) == len(permissions)
    user.user_permissions.set(found)
    return user


def rules_version() -> int:
    """As a commit now would leave it, in a test that never commits: the triggers wait for that, and count once."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("UPDATE thresholds_rulesversion SET rules_xid = 0 RETURNING rules")
        return int(cursor.fetchone()[0])


@pytest.fixture
def api(db: None) -> Api:
    """Somebody who may do everything with thresholds."""
    return api_of(person("ada", *EVERYTHING))


@pytest.fixture
def shards(db: None, settings: Any) -> None:
    """What the first migration makes; a test that empties all tables may have run before."""
    LogLayout.objects.get_or_create(id=1, defaults={"shards": settings.PLATFORM.shards})
    for shard in range(LogLayout.objects.get().shards):
        ShardPosition.objects.get_or_create(shard=shard)

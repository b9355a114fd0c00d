"""The world of the closed test: one thing of each kind in a group of others, and everybody who might ask for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from alerts.models import Alert, Channel, Message, Route, Silence
from iotplatform.access.roles import Role, ensure_roles
from iotplatform.access.tokens import Access, issue
from telemetry.audit import audit
from telemetry.groups import make_group
from telemetry.models import (
    Device,
    DeviceKey,
    DeviceSight,
    DeviceType,
    ExportRun,
    LogLayout,
    QuarantinedReading,
    SavedQuery,
    ScheduledExport,
    Series,
    ShardPosition,
)
from telemetry.receipts import Receipt
from telemetry.scopes import SCOPES
from tests.iotplatform.access.routes import Entry
from thresholds.models import Level, Threshold

__all__ = ["SECRET", "World", "all_routes", "make_world"]

#: In the name of everything that belongs to the other group.
SECRET = "veiled"
_PLACEHOLDER = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass
class World:
    """``things``: kind → what stands in a route for it. ``people``: who asks → headers and a client with a session."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    people: dict[str, Client] = field(default_factory=dict)
    administrator: Any = None

    def token(self, *scopes: str) -> Client:
        """An administrator's program with these scopes."""
        return _bearer(issue(self.administrator, scopes).access)

    def path(self, route: str, entry: Entry) -> str:
        """The route with what it is about."""
        if "(?P" in route:
            return "/admin/telemetry/" if "app_label" in route else "/admin/no-such-page/"
        values = self.things.get(entry.of, {})
        return "/" + _PLACEHOLDER.sub(lambda found: str(values[found[1]]), route)

    def ask(self, client: Client, method: str, path: str) -> Any:
        """The answer; whatever it did is undone."""
        cookies = client.cookies.copy()
        with transaction.atomic():
            form = not path.startswith("/api/") and method == "POST"
            content = {"content_type": "application/x-www-form-urlencoded"} if form else {}
            answer = client.generic(method, path, b"" if form or method == "GET" else b"{}", **content)
            answer.said = b"".join(answer).decode() if answer.streaming else answer.content.decode()
            transaction.set_rollback(True)
        client.cookies = cookies
        return answer


def all_routes(resolver: Any = None, before: str = "") -> Iterator[tuple[str, Any]]:
    """(pattern, view) of everything that the site answers."""
    for each in (resolver or get_resolver()).url_patterns:
        pattern = before + str(each.pattern)
        if hasattr(each, "url_patterns"):
            yield from all_routes(each, pattern)
        else:
            yield pattern, each.callback


def make_world() -> World:
    """In the transaction that is open."""
    world = World()
    ensure_roles()
    LogLayout.objects.get_or_create(id=1, defaults={"shards": settings.PLATFORM.shards})
    for shard in range(LogLayout.objects.get().shards):
        ShardPosition.objects.get_or_create(shard=shard)
    _make_things(world)
    _make_people(world)
    return world


def _make_things(world: World) -> None:
    group = make_group(f"{SECRET}/hall")
    device_type = DeviceType.objects.create(name="pump")
    device = Device.objects.create(name=f"{SECRET}-pump", group=group, type=device_type)
    key = DeviceKey(device=device)
    key.issue()
    series = Series.objects.create(device=device, metric="temperature")
    threshold = Threshold.objects.create(name=f"{SECRET} hot", device=device, metric="temperature", condition="above")
    Level.objects.create(threshold=threshold, severity=2, trigger=70)
    now = timezone.now()
    rows: dict[str, Any] = {
        "series": series,
        "threshold": threshold,
        "devicekey": key,
        "devicetype": device_type,
        "devicegroup": group,
        "device": device,
        "quarantinedreading": QuarantinedReading.objects.create(
            device=device.name, code="out_of_range", received_at=now
        ),
        "silence": Silence.objects.create(
            device=device, reason=f"{SECRET} works", starts_at=now, ends_at=now + timedelta(hours=1)
        ),
        "alert": _make_alert(threshold, series),
        "channel": Channel.objects.create(name="mail", kind="email", config={"administrators": True}),
        "route": Route.objects.create(name="night"),
        "user": User.objects.create_user("somebody"),
        "group": Group.objects.create(name="own bundle"),
        "auditentry": audit("device", device.pk, "pump", "created", None, None, {"name": "pump"}),
    }
    named = {"device": device.name, "devicetype": "pump", "devicegroup": group.path, "devicekey": device.name}
    for kind, row in rows.items():
        values = dict.fromkeys(("id", "pk", "object_id"), row.pk)
        world.things[kind] = values | {"name": named.get(kind), "path": group.path}
    content = {"subject": SECRET, "text": SECRET, "alerts": []}
    message = Message.objects.create(key=uuid4(), channel=rows["channel"], kind="opening", due_at=now, content=content)
    world.things["message"] = {"object_id": message.pk}
    world.things["export"] = _make_export(device)
    export, run = world.things["export"]["id"], world.things["export"]["run"]
    world.things |= {kind: {"object_id": export} for kind in ("savedquery", "scheduledexport")}
    world.things["exportrun"] = {"id": run, "object_id": run}
    world.things["nothing"] = {"content_type_id": 999_999, "object_id": 1}
    world.things["receipt"] = {"receipt": Receipt(key.pk, 0, 1, 0, "x", ()).token()}


def _make_export(device: Device) -> dict[str, Any]:
    """All of it of one person, who is none of those who ask."""
    owner, now = User.objects.create_user("owner"), timezone.now()
    query = SavedQuery.objects.create(
        name=f"{SECRET} query", owner=owner, route="readings", query=f"device={device.name}"
    )
    export = ScheduledExport.objects.create(pk=query.pk, query=query, name=f"{SECRET} export")
    run = ExportRun.objects.create(
        export=export,
        period_start=now - timedelta(days=1),
        period_end=now,
        format="csv",
        destination="folder",
        devices=[device.pk],
    )
    return {"id": query.pk, "run": run.pk}


def _make_alert(threshold: Threshold, series: Series) -> Alert:
    now = timezone.now()
    return Alert.objects.create(
        threshold_id=threshold.pk,
        threshold_name=threshold.name,
        series_id=series.pk,
        device_id=series.device_id,
        device_name=series.device.name,
        metric=series.metric,
        condition="above",
        severity=2,
        highest_severity=2,
        trigger=70,
        value=71,
        extreme=71,
        opened_at=now,
        value_at=now,
        detected_at=now,
        rule={},
    )


def _make_people(world: World) -> None:
    world.people["anonymous"] = Client(raise_request_exception=False)
    for role in Role:
        user = User.objects.create_user(role.value, is_staff=role != Role.VIEWER)
        user.groups.add(Group.objects.get(name=role.value))
        world.people[role.value] = _session(user)
        if role == Role.ADMINISTRATOR:
            world.administrator = user
    stranger = User.objects.create_user("stranger", is_staff=True)
    stranger.groups.add(Group.objects.get(name=Role.ADMINISTRATOR.value))
    DeviceSight.objects.create(user=stranger).groups.set([make_group("elsewhere")])
    world.people["stranger"] = _session(stranger)
    world.people["device key"] = _bearer(DeviceKey(all_devices=True).issue())
    world.people["expired"] = _bearer(_expired(world.administrator))


def _session(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def _bearer(token: str) -> Client:
    return Client(raise_request_exception=False, headers={"Authorization": f"Bearer {token}"})


def _expired(user: User) -> str:
    token = Access(issue(user, SCOPES).access)  # type: ignore[arg-type]
    token.set_exp(lifetime=-timedelta(seconds=1))
    return str(token)

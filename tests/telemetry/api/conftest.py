"""A person's way into the API, and a few things to ask for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client

from telemetry.models import LogLayout, ShardPosition

BASE = "/api/v1"


@dataclass
class Answer:
    """A response as tests read it."""

    status: int
    body: Any
    headers: Any

    def faults(self) -> set[tuple[str | None, str]]:
        """(field, code) of everything that was wrong."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        return {(fault["field"], fault["code"]) for fault in self.body["errors"]}


@dataclass
class Api:
    client: Client
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **query: Any) -> Answer:
        return _answer(self.client.get(_url(path), query, headers=self.headers))

    def send(self, method: str, path: str, body: Any = None, raw: bytes | None = None, **options: Any) -> Answer:
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        content_type = options.pop("content_type", "application/json")
        headers = self.headers | options
        return _answer(self.client.generic(method, _url(path), data, content_type, headers=headers))

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.send("POST", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.send("PATCH", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.send("PUT", path, body, **options)

    def delete(self, path: str) -> Answer:
        return self.send("DELETE", path)


def _url(path: str) -> str:
    return path if path.startswith(("http", "/")) else f"{BASE}/{path}"


def _answer(response: Any) -> Answer:
    body = json.loads(response.content) if response.content else None
    return Answer(response.status_code, body, response.headers)


def person(name: str, *permissions: str, **flags: bool) -> User:
    """A user with these permissions, such as view_device."""
    user = User.objects.create_user(name, **flags)
    found = Permission.objects.filter(content_type__app_label="telemetry", codename__in=permissions)
    assert len(found) == len(permissions)
    user.user_permissions.set(found)
    return user


def api_of(user: User | None) -> Api:
    client = Client(raise_request_exception=False)
    if user is not None:
        client.force_login(user)
    return Api(client)


@pytest.fixture
def api(db: None) -> Api:
    """Logged in as somebody who may do everything."""
    return api_of(User.objects.create_superuser("boss"))


@pytest.fixture
def stranger(db: None) -> Api:
    """Not logged in."""
    return api_of(None)


@pytest.fixture
def shards(db: None, settings: Any) -> None:
    """What the first migration makes; a test that empties all tables may have run before."""
    LogLayout.objects.get_or_create(id=1, defaults={"shards": settings.PLATFORM.shards})
    for shard in range(LogLayout.objects.get().shards):
        ShardPosition.objects.get_or_create(shard=shard)


@pytest.fixture(autouse=True)
def no_throttling_between_tests() -> None:
    cache.clear()

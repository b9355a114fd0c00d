"""The admin as its operators see it: pages by URL, forms by their fields."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from telemetry.models import LogLayout, ShardPosition


@dataclass
class Admin:
    client: Client

    def get(self, view: str, *args: Any, status: int = 200, **query: Any) -> str:
        """The text of a page (the part that is content), entities resolved."""
        response = self.client.get(reverse(f"admin:{view}", args=args), query)
        assert response.status_code == status, response.content[:500]
        return text_of(response.content.decode())

    def post(self, view: str, *args: Any, query: str = "", **fields: Any) -> Any:
        return self.client.post(reverse(f"admin:{view}", args=args) + query, fields)

    def act(self, model: str, action: str, *objects: Any) -> list[str]:
        """Run an action on the selected rows; answers the messages that follow."""
        fields = {"action": action, "_selected_action": [each.pk for each in objects]}
        response = self.client.post(reverse(f"admin:telemetry_{model}_changelist"), fields, follow=True)
        assert response.status_code == 200
        return [str(message) for message in response.context["messages"]]


def text_of(page: str) -> str:
    body = re.sub(r"<(script|style|svg|nav)\b.*?</\1>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def operator(*permissions: str) -> Admin:
    """A member of staff with these permissions only."""
    user = User.objects.create_user(f"operator-{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="telemetry", codename__in=permissions))
    client = Client()
    client.force_login(user)
    return Admin(client)


@pytest.fixture
def admin(db: None) -> Admin:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return Admin(client)


@pytest.fixture
def shards(db: None, settings: Any) -> None:
    """What the first migration makes; a test that empties all tables may have run before."""
    LogLayout.objects.get_or_create(id=1, defaults={"shards": settings.PLATFORM.shards})
    for shard in range(LogLayout.objects.get().shards):
        ShardPosition.objects.get_or_create(shard=shard)

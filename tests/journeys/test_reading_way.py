"""One reading's whole way: sent over HTTP, drained, read back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.builders import make_device, make_key, post_readings

pytestmark = pytest.mark.usefixtures("drain")


def test_a_sent_reading_is_stored_once_and_read_back(drain) -> None:
    device = make_device("pump-7")
    key = make_key(device)
    now = datetime.now(UTC).isoformat()
    answer = post_readings(key, {"time": now, "metrics": {"temperature": 21.5, "running": True}})
    assert answer.status_code == 202, answer.content
    receipt = json.loads(answer.content)["receipt"]

    def state() -> dict[str, object]:
        return json.loads(Client().get(f"/api/v1/receipts/{receipt}", HTTP_AUTHORIZATION=f"Bearer {key}").content)

    assert state()["state"] == "pending"
    assert drain() == 2
    assert state() == {
        "state": "stored", "accepted": 2, "stored": 2, "duplicates": 0, "conflicts": 0, "quarantined": 0, "rejected": 0
    }  # fmt: skip
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    latest = client.get("/api/v1/devices/pump-7/latest").json()
    assert latest["metrics"]["temperature"]["value"] == 21.5
    assert latest["metrics"]["running"]["value"] is True


def test_sending_the_same_again_changes_nothing(drain) -> None:
    key = make_key(make_device("pump-7"))
    body = {"time": datetime.now(UTC).isoformat(), "metrics": {"temperature": 21.5}}
    post_readings(key, body)
    drain()
    again = json.loads(post_readings(key, body).content)["receipt"]
    drain()
    state = Client().get(f"/api/v1/receipts/{again}", HTTP_AUTHORIZATION=f"Bearer {key}").json()
    assert (state["state"], state["stored"], state["duplicates"], state["conflicts"]) == ("stored", 0, 1, 0)

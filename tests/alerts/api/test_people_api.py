"""Channels, routes and silences over REST: what goes in, what comes out, and what never does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command

from alerts.models import Channel, EscalationStep, Message, Silence
from alerts.secrets import decrypt, encrypt
from telemetry.models import AuditEntry
from tests.alerts.receivers import SECRET, WebServer
from tests.builders import make_device
from tests.telemetry.api.conftest import Api, api, api_of, stranger  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.org/in/token-of-the-path?key=hidden"
HOOK = {"name": "ops", "kind": "webhook", "config": {"url": URL, "secret": SECRET}}


@pytest.fixture
def hook(api: Api) -> dict[str, Any]:  # noqa: F811
    answer = api.post("channels", HOOK)
    assert answer.status == 201, answer.body
    return answer.body  # type: ignore[no-any-return]


def test_a_channel_shows_where_it_leads_and_nothing_secret(api: Api, hook: dict[str, Any]) -> None:  # noqa: F811
    shown = api.get(f"channels/{hook['id']}").body
    assert shown["address"] == "https://hooks.example.org/…"
    assert shown["secrets_set"] == ["secret", "url"]
    assert shown["config"] == {}
    everything = json.dumps([shown, hook, api.get("channels").body, list(AuditEntry.objects.values("before", "after"))])
    for secret in (SECRET, "token-of-the-path", "hidden"):
        assert secret not in everything
        assert secret.encode() not in bytes(Channel.objects.get(name="ops").secret), "encrypted at rest"


def test_settings_that_are_left_out_stay(api: Api, hook: dict[str, Any]) -> None:  # noqa: F811
    assert api.patch(f"channels/{hook['id']}", {"config": {"url": "https://other.example.org/x"}}).status == 200
    stored = decrypt(Channel.objects.get(name="ops").secret)
    assert stored == {"url": "https://other.example.org/x", "secret": SECRET}


def test_every_change_is_written_down_a_secret_s_too(api: Api, hook: dict[str, Any]) -> None:  # noqa: F811
    api.patch(f"channels/{hook['id']}", {"config": {"secret": "another-secret-that-is-new"}})
    api.patch(f"channels/{hook['id']}", {"enabled": False})
    api.delete(f"channels/{hook['id']}")
    entries = list(AuditEntry.objects.order_by("id"))
    assert [entry.action for entry in entries] == ["created", "changed", "changed", "deleted"]
    assert {entry.who_name for entry in entries} == {"boss"}
    assert entries[1].after["new_secrets"] == ["secret"]
    assert (entries[2].before["enabled"], entries[2].after["enabled"]) == (True, False)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"name": "x", "kind": "pigeon"}, ("kind", "invalid_choice")),
        ({"name": "x", "kind": "webhook"}, ("config.url", "invalid")),
        ({**HOOK, "config": {"url": "ftp://example.org", "secret": SECRET}}, ("config.url", "invalid")),
        ({**HOOK, "config": {"url": "http://127.0.0.1/", "secret": SECRET}}, ("config.url", "invalid")),
        ({**HOOK, "config": {"url": "http://[::ffff:10.0.0.1]/", "secret": SECRET}}, ("config.url", "invalid")),
        ({**HOOK, "config": {"url": "https://ann:pw@example.org/", "secret": SECRET}}, ("config.url", "invalid")),
        ({**HOOK, "config": {"url": "https://example.org:22/", "secret": SECRET}}, ("config.url", "invalid")),
        ({**HOOK, "config": {"url": 7, "secret": SECRET}}, ("config.url", "invalid")),
        ({**HOOK, "config": {"url": URL, "secret": "short"}}, ("config.secret", "invalid")),
        ({**HOOK, "config": {"url": URL, "secret": SECRET, "colour": "red"}}, ("config.colour", "invalid")),
        ({**HOOK, "config": []}, ("config", "invalid")),
        ({"name": "x", "kind": "email", "config": {"recipients": []}}, ("config.recipients", "invalid")),
        ({"name": "x", "kind": "email", "config": {"recipients": ["ann"]}}, ("config.recipients", "invalid")),
        ({"name": "x", "kind": "email", "config": {"administrators": 1}}, ("config.administrators", "invalid")),
        ({"name": "x", "kind": "push", "config": {"url": "json://10.0.0.1/"}}, ("config.url", "invalid")),
        ({"name": "x", "kind": "push", "config": {"url": "tgram://nonsense"}}, ("config.url", "invalid")),
    ],
)
def test_wrong_channels_are_answered_with_the_field(api: Api, body: Any, fault: tuple[str, str]) -> None:  # noqa: F811
    answer = api.post("channels", body)
    assert answer.status == 400
    assert fault in answer.faults(), answer.body
    assert not Channel.objects.exclude(name="Administrators").exists()


def test_names_are_taken_once_and_the_kind_stays(api: Api, hook: dict[str, Any]) -> None:  # noqa: F811
    assert ("name", "unique") in api.post("channels", HOOK).faults()
    assert ("kind", "fixed") in api.patch(f"channels/{hook['id']}", {"kind": "slack"}).faults()


def test_a_secret_of_a_lost_key_can_be_entered_again(api: Api, hook: dict[str, Any], settings: Any) -> None:  # noqa: F811
    key, settings.SECRET_KEY = settings.SECRET_KEY, "quite another key of this installation"
    Channel.objects.filter(name="ops").update(secret=encrypt({"url": URL}))
    settings.SECRET_KEY = key
    assert api.patch(f"channels/{hook['id']}", {"enabled": False}).status == 200
    assert "SECRET_KEY" in api.get(f"channels/{hook['id']}").body["address"]
    assert api.patch(f"channels/{hook['id']}", {"config": HOOK["config"]}).status == 200
    assert decrypt(Channel.objects.get(name="ops").secret)["secret"] == SECRET


def test_a_former_key_still_reads(settings: Any) -> None:
    token = encrypt({"url": URL})
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "quite another key of this installation"
    assert decrypt(token) == {"url": URL}
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(Exception, match="enter it again"):
        decrypt(token)


def test_after_a_change_of_the_key_all_secrets_are_written_anew(hook: dict[str, Any], settings: Any) -> None:
    former = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "quite another key of this installation", [former]
    call_command("reencrypt_secrets")
    settings.SECRET_KEY_FALLBACKS = []
    assert decrypt(Channel.objects.get(name="ops").secret)["url"] == URL
    settings.SECRET_KEY = "a third one, without the ones before"
    with pytest.raises(CommandError, match="ops"):
        call_command("reencrypt_secrets")


def test_the_test_button_says_what_happened(api: Api, receiver: WebServer) -> None:  # noqa: F811
    made = api.post("channels", {**HOOK, "config": {"url": receiver.url, "secret": SECRET}}).body
    answer = api.post(f"channels/{made['id']}/test")
    assert (answer.status, answer.body["ok"]) == (200, True)
    assert receiver.received[0].signed_by(SECRET)
    assert receiver.received[0].body["kind"] == "test"

    receiver.replies = [(403, {})]
    answer = api.post(f"channels/{made['id']}/test")
    assert (answer.status, answer.body["ok"], answer.body["temporary"]) == (200, False, False)
    assert "403" in answer.body["detail"]
    assert api.get(f"channels/{made['id']}").body["failing_since"] is not None
    assert Message.objects.filter(kind="test", state="failed").count() == 1, "and it is not tried again"


def test_a_route_goes_in_and_comes_out_the_same(api: Api, hook: dict[str, Any]) -> None:  # noqa: F811
    body = {
        "name": "night",
        "position": 5,
        "enabled": True,
        "continue": True,
        "min_severity": "major",
        "group": None,
        "device_type": None,
        "threshold": None,
        "labels": {"site": "north"},
        "channels": ["ops"],
        "group_seconds": 10.0,
        "repeat_seconds": 1800.0,
        "recovery": False,
        "escalation": [{"after_seconds": 900.0, "channels": ["ops"]}, {"after_seconds": 3600.0, "channels": ["ops"]}],
    }
    made = api.post("routes", body)
    assert made.status == 201, made.body
    assert {name: made.body[name] for name in body} == body
    assert api.put(f"routes/{made.body['id']}", body).body == made.body
    changed = api.patch(f"routes/{made.body['id']}", {"escalation": []})
    assert changed.body["escalation"] == []
    assert EscalationStep.objects.count() == 0
    assert [entry.action for entry in AuditEntry.objects.filter(kind="route").order_by("id")] == ["created", "changed"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"min_severity": "terrible"}, ("min_severity", "invalid_choice")),
        ({"group": "nowhere"}, ("group", "does_not_exist")),
        ({"threshold": 99}, ("threshold", "does_not_exist")),
        ({"threshold": "99"}, ("threshold", "incorrect_type")),
        ({"channels": ["nobody"]}, ("channels", "does_not_exist")),
        ({"channels": "ops"}, ("channels", "not_a_list")),
        ({"labels": {"a": 1, "b": []}}, ("labels.b", "invalid")),
        ({"repeat_seconds": 1}, ("repeat_seconds", "out_of_range")),
        ({"group_seconds": -1}, ("group_seconds", "min_value")),
        ({"escalation": [{"after_seconds": 60, "channels": []}]}, ("escalation.0.channels", "empty")),
        ({"escalation": [{"after_seconds": 60, "channels": ["ops"]}] * 2}, ("escalation", "unique")),
        ({"continues": True}, ("continues", "unknown_field")),
    ],
)
def test_wrong_routes_are_answered_with_the_field(
    api: Api,  # noqa: F811
    hook: dict[str, Any],
    change: Any,
    fault: tuple[str, str],
) -> None:
    answer = api.post("routes", {"name": "night", "channels": ["ops"]} | change)
    assert answer.status == 400
    assert fault in answer.faults(), answer.body


def test_a_silence_from_now_on(api: Api) -> None:  # noqa: F811
    device = make_device("pump-7")
    body = {"device": "pump-7", "ends_at": "2126-01-01T00:00:00Z", "reason": "new bearing", "max_severity": "major"}
    made = api.post("silences", body)
    assert made.status == 201, made.body
    assert (made.body["active"], made.body["author"], made.body["max_severity"]) == (True, "boss", "major")
    assert Silence.objects.get().device == device
    assert api.patch(f"silences/{made.body['id']}", {"ends_at": "2026-01-01T00:00:00Z"}).status == 400
    assert api.delete(f"silences/{made.body['id']}").status == 204
    assert list(AuditEntry.objects.order_by("id").values_list("kind", "action")) == [
        ("silence", "created"),
        ("silence", "deleted"),
    ]


WEEKLY = {"zone": "Europe/Berlin", "windows": [{"days": ["sun"], "start": "02:00", "end": "04:00"}]}


def test_a_weekly_maintenance_window_needs_no_end(api: Api) -> None:  # noqa: F811
    made = api.post("silences", {"schedule": WEEKLY, "reason": "backup"})
    assert made.status == 201, made.body
    assert made.body["schedule"] == WEEKLY


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ends_at": None}, "ends_at"),
        ({"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}, "ends_at"),
        ({"starts_at": "2026-01-02T00:00:00"}, "starts_at"),
        ({"reason": ""}, "reason"),
        ({"device": "nobody"}, "device"),
        ({"schedule": {**WEEKLY, "zone": "Mars/Olympus"}}, "schedule.zone"),
        ({"schedule": {"zone": "UTC", "windows": []}}, "schedule.windows"),
        ({"schedule": 7}, "schedule"),
        (
            {"schedule": {**WEEKLY, "windows": [{"days": ["sun"], "start": "2", "end": "04:00"}]}},
            "schedule.windows.0.start",
        ),
    ],
)
def test_wrong_silences_are_answered_with_the_field(api: Api, change: Any, field: str) -> None:  # noqa: F811
    answer = api.post("silences", {"reason": "works", "ends_at": "2126-01-01T00:00:00Z"} | change)
    assert answer.status == 400
    assert field in {name for name, _ in answer.faults()}, answer.body


def test_each_route_asks_for_its_permission(stranger: Api, hook: dict[str, Any]) -> None:  # noqa: F811
    for path in ("channels", "routes", "silences"):
        assert stranger.get(path).status == 401
    looker = User.objects.create_user("looker")
    looker.user_permissions.set(Permission.objects.filter(codename__in=["view_channel", "view_route", "view_silence"]))
    client = api_of(looker)
    for path in ("channels", "routes", "silences"):
        assert client.get(path).status == 200
        assert client.post(path, {}).status == 403
    assert client.post(f"channels/{hook['id']}/test").status == 403
    assert client.delete(f"channels/{hook['id']}").status == 403
    assert api_of(looker).get("channels/999").status == 404

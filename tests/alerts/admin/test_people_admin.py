"""Channels, routes, silences and messages in the admin: forms as operators fill them in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from alerts.models import Channel, Message, Route, Silence
from alerts.secrets import decrypt
from telemetry.models import AuditEntry
from tests.alerts.people import make_email, make_route, make_silence, make_webhook
from tests.alerts.receivers import SECRET, WebServer
from tests.telemetry.admin.conftest import Admin, admin, text_of  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db(transaction=True)
URL = "https://hooks.example.org/in/token-of-the-path"
HOOK = {"name": "ops", "enabled": "on", "setting_url": URL, "setting_secret": SECRET}


@pytest.fixture(autouse=True)
def nothing_made_beforehand(transactional_db: None) -> None:
    Route.objects.all().delete()
    Channel.objects.all().delete()


def errors_of(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return dict(response.context["adminform"].form.errors)


def add_hook(admin: Admin, **fields: str) -> Any:  # noqa: F811
    return admin.post("alerts_channel_add", query="?kind=webhook", **(HOOK | fields))


def test_a_kind_is_chosen_first(admin: Admin) -> None:  # noqa: F811
    page = admin.get("alerts_channel_add")
    for name in ("Email", "Webhook", "Slack", "Microsoft Teams", "SMS or push"):
        assert name in page
    assert "Signing secret" in admin.get("alerts_channel_add", kind="webhook")
    assert "Recipients" in admin.get("alerts_channel_add", kind="email")


def test_a_channel_is_made_and_its_secrets_are_never_shown(admin: Admin) -> None:  # noqa: F811
    assert add_hook(admin).status_code == 302
    channel = Channel.objects.get()
    assert decrypt(channel.secret) == {"url": URL, "secret": SECRET}
    raw = admin.client.get(reverse("admin:alerts_channel_change", args=[channel.pk])).content.decode()
    raw += admin.client.get(reverse("admin:alerts_channel_changelist")).content.decode()
    assert "hooks.example.org/…" in raw
    everything = raw + json.dumps(list(AuditEntry.objects.values("before", "after")))
    assert SECRET not in everything
    assert "token-of-the-path" not in everything
    assert AuditEntry.objects.get().after["new_secrets"] == ["secret", "url"]


def test_a_form_that_is_wrong_does_not_say_the_secret_back(admin: Admin) -> None:  # noqa: F811
    response = add_hook(admin, setting_url="http://10.0.0.1/")
    assert "ALERT_EGRESS_ALLOW" in errors_of(response)["setting_url"][0]
    assert SECRET not in response.content.decode()
    assert not Channel.objects.exists()


def test_empty_secrets_stay_as_they_were(admin: Admin) -> None:  # noqa: F811
    add_hook(admin)
    channel = Channel.objects.get()
    fields = {"name": "ops-2", "enabled": "on", "setting_url": "", "setting_secret": ""}
    assert admin.post("alerts_channel_change", channel.pk, **fields).status_code == 302
    channel.refresh_from_db()
    assert channel.name == "ops-2"
    assert decrypt(channel.secret) == {"url": URL, "secret": SECRET}
    entry = AuditEntry.objects.order_by("-id")[0]
    assert (entry.before["name"], entry.after["name"]) == ("ops", "ops-2")


def test_an_email_channel_takes_an_address_a_line(admin: Admin) -> None:  # noqa: F811
    fields = {"name": "mail", "enabled": "on", "setting_recipients": "ann@example.org\nbob@example.org"}
    assert admin.post("alerts_channel_add", query="?kind=email", **fields).status_code == 302
    assert Channel.objects.get().config["recipients"] == ["ann@example.org", "bob@example.org"]
    wrong = fields | {"name": "mail-2", "setting_recipients": "ann"}
    assert "setting_recipients" in errors_of(admin.post("alerts_channel_add", query="?kind=email", **wrong))


def test_the_test_button_says_what_happened(admin: Admin, receiver: WebServer) -> None:  # noqa: F811
    channel = make_webhook(receiver)
    fields = {"name": channel.name, "enabled": "on", "alerts_channel_save_and_test": "1"}
    url = reverse("admin:alerts_channel_change", args=[channel.pk])
    answer = admin.client.post(url, fields, follow=True)
    assert any("The test was sent: HTTP 200" in str(message) for message in answer.context["messages"])
    assert receiver.received[0].body["kind"] == "test"
    receiver.replies = [(500, {})]
    answer = admin.client.post(url, fields, follow=True)
    assert any("The test failed: HTTP 500" in str(message) for message in answer.context["messages"])
    assert "failing" in admin.get("alerts_channel_changelist")


def steps(*rows: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "escalation-TOTAL_FORMS": len(rows),
        "escalation-INITIAL_FORMS": 0,
        "escalation-MIN_NUM_FORMS": 0,
        "escalation-MAX_NUM_FORMS": 20,
    }
    for number, row in enumerate(rows):
        fields |= {f"escalation-{number}-{name}": value for name, value in row.items()}
    return fields


ROUTE = {"name": "night", "enabled": "on", "position": 5, "min_severity": 3, "labels": "site: north\nfloor: 1"}


def test_a_route_with_labels_and_steps(admin: Admin) -> None:  # noqa: F811
    mail, hook = make_email("ann@example.org"), make_webhook()
    fields = ROUTE | {"channels": [mail.pk], "recovery": "on"} | steps({"after_minutes": 15, "channels": [hook.pk]})
    assert admin.post("alerts_route_add", **fields).status_code == 302
    route = Route.objects.get()
    assert route.labels == {"site": "north", "floor": "1"}
    assert [step.after_minutes for step in route.escalation.all()] == [15]
    assert AuditEntry.objects.get(kind="route").after["escalation"] == [
        {"after_seconds": 900.0, "channels": [hook.name]}
    ]
    page = admin.get("alerts_route_changelist")
    assert f"{mail.name}; after 15 min {hook.name}" in page
    assert "major and worse, site: north, floor: 1" in page


def test_labels_that_are_none_are_said_so(admin: Admin) -> None:  # noqa: F811
    errors = errors_of(admin.post("alerts_route_add", **(ROUTE | {"labels": "north"} | steps())))
    assert "site: north" in errors["labels"][0]


def silence_fields(**fields: str) -> dict[str, str]:
    default = {"reason": "new bearing", "max_severity": "4", "ends_at_0": "2126-01-01", "ends_at_1": "00:00:00"}
    return default | fields


def test_a_silence_begins_now_where_nothing_else_is_said(admin: Admin) -> None:  # noqa: F811
    assert admin.post("alerts_silence_add", **silence_fields()).status_code == 302
    silence = Silence.objects.get()
    assert silence.author is not None
    assert silence.author.username == "boss"
    page = admin.get("alerts_silence_changelist")
    assert "in force" in page
    assert "every alert" in page


def test_a_weekly_window_is_typed_in_as_people_say_it(admin: Admin) -> None:  # noqa: F811
    fields = silence_fields(
        ends_at_0="", ends_at_1="", schedule_windows="sat-sun 22:00-06:00", schedule_zone="Europe/Berlin"
    )
    assert admin.post("alerts_silence_add", **fields).status_code == 302
    assert Silence.objects.get().schedule == {
        "zone": "Europe/Berlin",
        "windows": [{"days": ["sat", "sun"], "start": "22:00", "end": "06:00"}],
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"ends_at_0": "", "ends_at_1": ""}, "ends_at"),
        ({"ends_at_0": "2020-01-01"}, "ends_at"),
        ({"schedule_windows": "someday"}, "schedule_windows"),
        ({"schedule_windows": "mon 08:00-09:00", "schedule_zone": "Mars/Olympus"}, "schedule_zone"),
        ({"reason": ""}, "reason"),
    ],
)
def test_wrong_silences_are_told_at_the_field(admin: Admin, fields: Any, field: str) -> None:  # noqa: F811
    assert field in errors_of(admin.post("alerts_silence_add", **silence_fields(**fields)))
    assert not Silence.objects.exists()


def test_silences_end_at_a_click_and_that_is_written_down(admin: Admin) -> None:  # noqa: F811
    silence = make_silence()
    fields = {"action": "end_now", "_selected_action": [silence.pk]}
    answer = admin.client.post(reverse("admin:alerts_silence_changelist"), fields, follow=True)
    assert any("1 silences ended" in str(message) for message in answer.context["messages"])
    assert "over" in admin.get("alerts_silence_changelist")
    assert AuditEntry.objects.get().action == "changed"


@pytest.mark.parametrize("model", ["channel", "route", "silence"])
def test_deleting_is_written_down(admin: Admin, model: str) -> None:  # noqa: F811
    thing: Any = {"channel": make_webhook, "route": make_route, "silence": make_silence}[model]()
    assert admin.post(f"alerts_{model}_delete", thing.pk, post="yes").status_code == 302
    assert not type(thing).objects.exists()
    assert AuditEntry.objects.get().action == "deleted"


def test_messages_are_there_to_look_at(admin: Admin, receiver: WebServer) -> None:  # noqa: F811
    from alerts.deliver import send_test

    send_test(make_webhook(receiver), "boss")
    message = Message.objects.get()
    assert "Test of the channel" in admin.get("alerts_message_changelist")
    page = admin.get("alerts_message_change", message.pk)
    assert "HTTP 200" in page
    assert "Sent by boss" in page
    assert admin.post("alerts_message_delete", message.pk, post="yes").status_code == 403


def test_who_may_only_look_is_offered_no_form() -> None:
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_channel", "view_route", "view_silence"]))
    client = Client()
    client.force_login(user)
    looker = Admin(client)
    channel = make_webhook()
    assert channel.name in looker.get("alerts_channel_changelist")
    looker.get("alerts_channel_change", channel.pk)
    looker.get("alerts_channel_add", status=403)
    assert (
        looker.post("alerts_channel_change", channel.pk, name="x", alerts_channel_save_and_test="1").status_code == 403
    )
    assert not Message.objects.exists()
    looker.get("alerts_message_changelist", status=403)

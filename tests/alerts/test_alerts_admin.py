"""The inbox and the page of an alert, as operators see them."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from alerts import actions
from alerts.admin.inbox import open_count
from alerts.models import Alert
from tests.alerts.changes import Pair, make_type, opened_alert, record_all, timeline
from tests.alerts.operators import operator
from tests.builders import make_device
from tests.telemetry.admin.conftest import Admin, text_of
from thresholds.models import Severity

pytestmark = pytest.mark.usefixtures("platform_db")
LIST = "/admin/alerts/alert/"


def admin_of(*rights: str, **fields: Any) -> Admin:
    client = Client()
    client.force_login(operator(*rights, is_staff=True, **fields))
    return Admin(client)


@pytest.fixture
def ann() -> Admin:
    return admin_of(username="ann")


def listed(admin: Admin, **query: Any) -> list[str]:
    """The devices of the list, in order."""
    page = admin.client.get(LIST, query).content.decode()
    return re.findall(r'class="alert-link" href="[^"]*device/\d+/change/">([^<]*)<', page)


def open_on(name: str, at: float = 0, severity: int = Severity.WARNING) -> Pair:
    pair = Pair.make(make_device(name, type=make_type()))
    pair.opened(at, 82.5, severity).record()
    return pair


def test_the_inbox_shows_what_is_live_the_worst_first(ann: Admin) -> None:
    open_on("old", 0)
    open_on("new", 10)
    open_on("bad", 5, Severity.CRITICAL)
    over = open_on("over", 20)
    record_all(over.cleared(30))
    assert listed(ann) == ["bad", "new", "old"]
    assert listed(ann, state="all") == ["over", "new", "bad", "old"]
    assert listed(ann, state="ended") == ["over"]


def test_a_row_says_what_where_how_much_and_since_when(ann: Admin) -> None:
    open_on("pump-7")
    page = ann.get("alerts_alert_changelist")
    for words in ("Bearing hot", "pump-7", "temperature", "82.5 °C", "above 70 °C", "● open"):
        assert words in page
    assert 'class="severity severity-warning">warning<' in ann.client.get(LIST).content.decode()


def test_filters_narrow_the_inbox(ann: Admin) -> None:
    first, second = open_on("first"), open_on("second", severity=Severity.CRITICAL)
    mine = Alert.objects.get(device_name="second")
    actions.acknowledge([mine.pk], User.objects.get(username="ann"))
    actions.assign([mine.pk], None, User.objects.get(username="ann"))
    for query, expected in [
        ({"state": "open"}, ["first"]),
        ({"state": "acknowledged"}, ["second"]),
        ({"severity": "critical"}, ["second"]),
        ({"assignee": "me"}, ["second"]),
        ({"assignee": "none"}, ["first"]),
        ({"assignee": "others"}, []),
        ({"q": "first"}, ["first"]),
        ({"severity": "nonsense"}, ["second", "first"]),
    ]:
        assert listed(ann, **query) == expected, query
    assert first.series != second.series


def act(admin: Admin, action: str, *alerts: Alert) -> list[str]:
    fields = {"action": action, "_selected_action": [alert.pk for alert in alerts]}
    response = admin.client.post(LIST, fields, follow=True)
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def test_many_are_acknowledged_at_once_and_who_was_first_is_said(ann: Admin) -> None:
    free, taken = opened_alert(), opened_alert()
    actions.acknowledge([taken.pk], operator(username="bob"))
    assert act(ann, "acknowledge_selected", free, taken)[0] == "1 alert acknowledged."
    assert act(ann, "acknowledge_selected", free)[0] == "1 were acknowledged by you already."
    (said,) = act(ann, "acknowledge_selected", taken)
    assert said.startswith("Not acknowledged: bob acknowledged it at 20")


def test_many_are_assigned_to_oneself_and_resolved(ann: Admin) -> None:
    first, second = opened_alert(), opened_alert()
    assert act(ann, "assign_to_me", first, second) == ["2 alerts assigned."]
    assert act(ann, "resolve_selected", first, second) == ["2 alerts resolved."]
    assert {(alert.state, alert.assignee.username) for alert in Alert.objects.all()} == {("resolved", "ann")}


def test_the_page_of_an_alert_explains_it_and_tells_its_life(ann: Admin) -> None:
    pair = open_on("pump-7")
    alert = pair.alerts()[0]
    actions.acknowledge([alert.pk], User.objects.get(username="ann"), "on my way")
    page = ann.get("alerts_alert_change", alert.pk)
    for words in ("Bearing hot on pump-7", "82.5 °C", "Why it opened", "Timeline", "on my way", "by ann"):
        assert words in page
    assert reverse("admin:thresholds_threshold_change", args=[pair.threshold.pk]) in raw(ann, alert)


def raw(admin: Admin, alert: Alert) -> str:
    return str(admin.client.get(reverse("admin:alerts_alert_change", args=[alert.pk])).content.decode())


def do(admin: Admin, alert: Alert, **fields: Any) -> str:
    """Press a button of the page; the text of the page that follows."""
    url = reverse("admin:alerts_alert_change", args=[alert.pk])
    response = admin.client.post(url, fields, follow=True)
    assert response.status_code == 200
    return text_of(response.content.decode())


def test_each_button_does_what_it_says(ann: Admin) -> None:
    alert, bob = opened_alert(), operator("view", username="bob")
    assert "1 alert acknowledged." in do(ann, alert, do="acknowledge", text="mine")
    assert "Acknowledge" not in re.findall(r"<button[^>]*>.*?</button>", raw(ann, alert))
    assert "1 alert assigned." in do(ann, alert, do="assign", assignee=bob.pk)
    assert "1 alert commented." in do(ann, alert, do="comment", text="a fan <b>")
    assert "1 alert resolved." in do(ann, alert, do="resolve")
    assert timeline(alert) == ["opened", "acknowledged", "assigned", "commented", "resolved"]
    assert "a fan &lt;b&gt;" in raw(ann, alert)


def test_bad_input_of_the_page_says_what_to_do(ann: Admin) -> None:
    alert = opened_alert()
    stranger = User.objects.create_user("stranger")
    assert "Say what the comment is." in do(ann, alert, do="comment", text="  ")
    assert "Select a valid choice" in do(ann, alert, do="assign", assignee=stranger.pk)
    assert "Select a valid choice" in do(ann, alert, do="delete")
    assert "This field is required" in do(ann, alert)
    assert timeline(alert) == ["opened"]


def test_who_may_only_look_finds_no_buttons(ann: Admin) -> None:
    alert, reader = opened_alert(), admin_of("view")
    page = raw(reader, alert)
    assert 'name="do"' not in page
    url = reverse("admin:alerts_alert_change", args=[alert.pk])
    assert reader.client.post(url, {"do": "resolve"}).status_code == 403
    assert admin_of("add").client.get(url).status_code == 403
    assert Alert.objects.get().state == "open"


@pytest.mark.parametrize("number", ["4711", "x", "99999999999999999999999"])
def test_an_alert_that_is_not_there_leads_back(ann: Admin, number: str) -> None:
    response = ann.client.get(f"{LIST}{number}/change/")
    assert response.status_code == 302


def test_nobody_adds_or_deletes_alerts() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    alert = opened_alert()
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{alert.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_sidebar_counts_what_nobody_has_to_a_bound(ann: Admin) -> None:
    record_all(*(Pair.make().opened(place) for place in range(3)))
    request = SimpleNamespace(user=operator())
    assert open_count(request) == "3"  # type: ignore[arg-type]
    actions.acknowledge([Alert.objects.first().pk], operator())  # type: ignore[union-attr]
    assert open_count(request) == "2"  # type: ignore[arg-type]
    assert ">2</span>" in ann.client.get("/admin/").content.decode()


def test_the_sidebar_shows_no_red_nought(ann: Admin) -> None:
    page = ann.client.get("/admin/").content.decode()
    assert "alerts/alert/" in page
    assert not re.search(r">\s*0\s*</span>", page)
    assert "open_count" not in page

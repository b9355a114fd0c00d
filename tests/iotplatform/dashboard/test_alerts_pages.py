"""The pages of alerts as the server writes them: what is shown to whom, in which order, and how they follow."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts import actions
from alerts.models import Alert
from telemetry.models import Device, DeviceGroup, DeviceSight
from tests.alerts.changes import Pair, opened_alert
from tests.alerts.operators import operator
from tests.alerts.people import make_silence
from tests.builders import drain_all, make_device, make_key, post_readings
from thresholds.models import Severity

pytestmark = pytest.mark.usefixtures("platform_db")


def signed_in(user: User | None = None) -> Client:
    client = Client()
    client.force_login(user or User.objects.create_superuser(f"boss-{User.objects.count()}"))
    return client


def shown(client: Client, query: str = "", **headers: str) -> str:
    answer = client.get(f"/alerts/{query}", headers=headers)
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


def ids_of(html: str) -> list[int]:
    """The alerts of a list, in order."""
    return [int(part.split('"')[0]) for part in html.split('<tr id="alert-')[1:]]


def opened(severity: int, seconds: float = 0, **fields: Any) -> Alert:
    return Pair.make(**fields).opened(seconds, severity=severity).record()


def many_alerts(number: int) -> None:
    """Open alerts on series that nobody asks for: of one device, three thresholds."""
    now = timezone.now()
    device = make_device("bulk")
    Alert.objects.bulk_create(
        Alert(
            threshold_id=9_000 + place % 3,
            threshold_name=f"bulk {place % 3}",
            series_id=1_000_000 + place,
            device_id=device.pk,
            device_name=device.name,
            metric="temperature",
            severity=1 + place % 4,
            highest_severity=1 + place % 4,
            trigger=70,
            value=80,
            condition="above",
            opened_at=now - timedelta(seconds=place),
            detected_at=now,
        )
        for place in range(number)
    )


def test_the_worst_come_first_and_ended_ones_are_asked_for() -> None:
    mild, worst, ended = opened(Severity.WARNING), opened(Severity.CRITICAL), Pair.make()
    ended.opened(0).record()
    over = ended.cleared(5).record()
    client = signed_in()
    assert ids_of(shown(client)) == [worst.pk, mild.pk]
    assert set(ids_of(shown(client, "?state=all"))) == {mild.pk, worst.pk, over.pk}
    assert ids_of(shown(client, "?state=cleared,resolved")) == [over.pk]


def test_filters_stand_in_the_address_and_a_wrong_one_is_told() -> None:
    hot = opened(Severity.WARNING, name="Bearing hot")
    other = opened(Severity.CRITICAL, name="Pressure low")
    me = User.objects.create_superuser("ann")
    actions.assign([hot.pk], me, me)
    client = signed_in(me)
    assert ids_of(shown(client, "?q=bearing")) == [hot.pk]
    assert ids_of(shown(client, "?severity=critical")) == [other.pk]
    assert ids_of(shown(client, "?assignee=me")) == [hot.pk]
    assert ids_of(shown(client, f"?device={other.device_name}&threshold={other.threshold_id}")) == [other.pk]
    wrong = client.get("/alerts/?device=nowhere")
    assert wrong.status_code == 400
    assert "There is no device" in wrong.content.decode()
    assert client.get("/alerts/?cursor=nonsense&severity=horrible&page=x&ordering=none").status_code == 400


def test_pages_of_thousands_hold_each_alert_once() -> None:
    many_alerts(130)
    client = signed_in()
    seen: list[int] = []
    query = ""
    while True:
        html = shown(client, query)
        seen += ids_of(html)
        if 'rel="next"' not in html:
            break
        query = html.split('" rel="next"')[0].rpartition('href="')[2].replace("&amp;", "&")
    assert sorted(seen) == sorted(Alert.objects.values_list("pk", flat=True))
    severities = [Alert.objects.get(pk=each).severity for each in seen]
    assert severities == sorted(severities, reverse=True)


def test_the_inbox_asks_the_same_few_questions_however_many_alerts_there_are() -> None:
    client = signed_in()
    counts = []
    for number in (3, 60):
        Alert.objects.all().delete()
        Device.objects.filter(name="bulk").delete()
        many_alerts(number)
        cache.clear()  # the frame keeps its count for a second
        with CaptureQueriesContext(connection) as asked:
            shown(client)
        counts.append(len(asked))
    assert counts[0] == counts[1] < 20


def test_what_follows_is_drawn_again_only_when_something_has_changed() -> None:
    alert = opened_alert()
    client = signed_in()
    first = client.get("/alerts/", headers={"X-Live": "inbox"})
    assert "<html" not in first.content.decode()
    again = client.get("/alerts/", headers={"X-Live": "inbox", "If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    actions.acknowledge([alert.pk], operator())
    assert client.get("/alerts/", headers={"X-Live": "inbox", "If-None-Match": first["ETag"]}).status_code == 200


def test_groups_count_what_a_device_or_a_threshold_has() -> None:
    many_alerts(12)
    first = Alert.objects.filter(threshold_name="bulk 0")
    actions.acknowledge([first[0].pk], operator())
    client = signed_in()
    by_device = shown(client, "?by=device")
    assert by_device.count('<tr id="group-') == 1
    assert "Acknowledge 11" in by_device
    by_threshold = shown(client, "?by=threshold")
    assert [by_threshold.index(f"bulk {place}") > 0 for place in range(3)] == [True] * 3
    filters = by_threshold.split('data-filter="')[1].split('"')[0].replace("&quot;", '"')
    answer = client.post(
        "/api/v1/alerts/bulk",
        {"action": "acknowledge", "filter": json.loads(filters)},
        content_type="application/json",
    )
    assert answer.json()["changed"] in (3, 4)


def best_of(times: int, ask: Callable[[], Any]) -> float:
    """Seconds of the quickest."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        found.append(time.perf_counter() - began)
    return min(found)


@pytest.mark.alone
def test_ten_thousand_open_alerts_are_shown_in_the_time_of_a_glance() -> None:
    many_alerts(10_000)
    client = signed_in()
    took = {
        query: best_of(4, partial(shown, client, query)) for query in ("", "?by=device", "?by=threshold", "?q=bulk 1")
    }
    assert max(took.values()) < 0.2, took


def test_a_person_sees_alerts_of_his_groups_only() -> None:
    hall = DeviceGroup.objects.create(name="hall-1")
    mine = Pair.make(make_device("mine", group=hall)).opened().record()
    other = opened_alert()
    ann = operator()
    DeviceSight.objects.create(user=ann).groups.add(hall)
    client = signed_in(ann)
    assert ids_of(shown(client)) == [mine.pk]
    assert client.get(f"/alerts/{mine.pk}/").status_code == 200
    assert client.get(f"/alerts/{other.pk}/").status_code == 404
    assert list(client.get(f"/alerts/sparks?id={mine.pk}&id={other.pk}").json()) == [str(mine.pk)]
    make_silence(device=make_device("elsewhere"), reason="not for ann")
    make_silence(device=device_of(mine), reason="for ann")
    ann.user_permissions.add(*permissions("view_silence"))
    html = client.get("/alerts/silences/").content.decode()
    assert ("for ann" in html, "not for ann" in html) == (True, False)


def device_of(alert: Alert) -> Any:
    return Device.objects.get(pk=alert.device_id)


def permissions(*names: str) -> Any:
    from django.contrib.auth.models import Permission

    return Permission.objects.filter(codename__in=names)


def test_without_the_right_there_are_no_buttons_and_without_sight_no_page() -> None:
    alert = opened_alert()
    viewer = signed_in(operator("view"))
    for page in ("/alerts/", f"/alerts/{alert.pk}/"):
        html = viewer.get(page).content.decode()
        assert "data-act=" not in html
        assert "data-select" not in html
    nobody = signed_in(User.objects.create_user("nobody"))
    assert [nobody.get(page).status_code for page in ("/alerts/", f"/alerts/{alert.pk}/", "/alerts/silences/")] == [
        403
    ] * 3
    stranger = Client().get("/alerts/")
    assert (stranger.status_code, stranger["Location"].startswith("/login/")) == (302, True)


def test_the_page_of_an_alert_says_why_and_what_happened() -> None:
    alert, ann = opened_alert(), User.objects.create_superuser("ann")
    actions.acknowledge([alert.pk], ann, "on my way")
    html = signed_in(ann).get(f"/alerts/{alert.pk}/").content.decode()
    for said in ("Why it opened", "on my way", "acknowledged by ann", "Take back", "80 °C", "above 70 °C"):
        assert said in html, said
    parts = {
        name: signed_in(ann).get(f"/alerts/{alert.pk}/", headers={"X-Live": name}).content.decode()
        for name in ("alert-top", "alert-words", "alert-log")
    }
    assert ["Take back" in part for part in parts.values()] == [True, False, False]
    assert ["on my way" in part for part in parts.values()] == [False, False, True]
    assert signed_in(ann).get("/alerts/99999999999999999999/").status_code == 404


def test_a_small_chart_shows_the_last_hour_and_its_limit() -> None:
    alert = opened_alert()
    now = timezone.now()
    readings = [
        {"time": (now - timedelta(minutes=minutes)).isoformat(), "metrics": {"temperature": 60 + minutes / 2}}
        for minutes in range(40)
    ]
    assert post_readings(make_key(device_of(alert)), readings).status_code == 202
    drain_all()
    svg = signed_in().get(f"/alerts/sparks?id={alert.pk}&id=x").json()[str(alert.pk)]
    assert "spark-line" in svg
    assert "spark-limit sev-warning" in svg


def test_silences_say_what_they_hold_back_and_past_ones_have_a_list_of_their_own() -> None:
    make_silence(metric="temperature", reason="works on the line")
    now = timezone.now()
    make_silence(reason="long over", starts_at=now - timedelta(days=2), ends_at=now - timedelta(days=1))
    client = signed_in()
    html = client.get("/alerts/silences/").content.decode()
    assert ("metric temperature" in html, "in force" in html, "long over" in html) == (True, True, False)
    assert "long over" in client.get("/alerts/silences/?state=over").content.decode()

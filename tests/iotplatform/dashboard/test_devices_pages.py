"""The list of devices and the page of one, as the server writes them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from telemetry.groups import make_group
from telemetry.models import Device, DeviceLastSeen, DeviceSight
from tests.alerts.changes import make_threshold, make_type
from tests.builders import drain_all, make_device, make_key, post_readings

pytestmark = pytest.mark.usefixtures("platform_db")


def signed_in(*permissions: str, group: Any = None) -> Client:
    """Somebody with these permissions ("view_device"), who sees this group alone; the one who may all without any."""
    client, name = Client(), f"user-{User.objects.count()}"
    if permissions:
        user = User.objects.create_user(name)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    else:
        user = User.objects.create_superuser(name)
    if group is not None:
        DeviceSight.objects.create(user=user).groups.add(group)
    client.force_login(user)
    return client


def html(client: Client, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, (path, answer.status_code)
    return str(answer.content.decode())


def names(page: str) -> list[str]:
    return re.findall(r'<a class="main" href="/devices/[^"]*">([^<]+)</a>', page)


def link(page: str, word: str) -> str:
    """Where the button Next or Previous leads."""
    pattern = rf'<a class="btn btn-sm" href="([^"]+)"[^>]*>(?:<svg.*?</svg>)?{word}'
    found = re.search(pattern, page)
    assert found, word
    return f"/devices/{found[1].replace('&amp;', '&')}"


def fleet(number: int) -> None:
    """d-000, d-001 …: every third never seen, the others some seconds ago, two at a time at the same moment."""
    now = timezone.now()
    Device.objects.bulk_create(Device(name=f"d-{place:03}") for place in range(number))
    DeviceLastSeen.objects.bulk_create(
        DeviceLastSeen(device=device, at=now - timedelta(seconds=place // 2))
        for place, device in enumerate(Device.objects.order_by("name"))
        if place % 3
    )


@pytest.mark.parametrize("sort", ["name", "-name", "last_seen", "-last_seen"])
def test_pages_show_each_device_once_whatever_the_order_and_lead_back(sort: str) -> None:
    fleet(120)
    client = signed_in()
    pages = [html(client, f"/devices/?sort={sort}")]
    while "Next" in pages[-1]:
        pages.append(html(client, link(pages[-1], "Next")))
    shown = [name for page in pages for name in names(page)]
    assert sorted(shown) == [f"d-{place:03}" for place in range(120)]
    if sort.endswith("name"):
        assert shown == sorted(shown, reverse=sort == "-name")
    else:
        seen = {each.device.name: each.at for each in DeviceLastSeen.objects.select_related("device")}
        never = shown[:40] if sort == "last_seen" else shown[-40:]
        assert not any(name in seen for name in never)
    assert names(html(client, link(pages[2], "Previous"))) == names(pages[1])
    assert names(html(client, link(html(client, link(pages[2], "Previous")), "Previous"))) == names(pages[0])


def test_filters_narrow_the_list_and_what_an_address_says_wrongly_is_left_out() -> None:
    hall = make_group("plant/hall-1")
    make_device("pump-1", group=hall, type=make_type(), labels={"line": "a"})
    make_device("pump-2", location="Hall 2", enabled=False)
    client = signed_in()
    for query, expected in {
        "q=hall 2": ["pump-2"],
        "group=plant": ["pump-1"],
        "label=line:a": ["pump-1"],
        "label=line:b": [],
        "state=disabled": ["pump-2"],
        "state=never_seen": ["pump-1"],
        "type=nothing": [],
        "state=wrong&sort=wrong&at=%00wrong&label=x": ["pump-1", "pump-2"],
        "at=W10": ["pump-1", "pump-2"],
        "q=%00": ["pump-1", "pump-2"],
    }.items():
        assert names(html(client, f"/devices/?{query}")) == expected, query
    assert "No device matches" in html(client, "/devices/?q=nothing")


def test_latest_values_stand_in_the_list_with_their_units() -> None:
    device = make_device("pump-1", type=make_type())
    post_readings(make_key(device), {"metrics": {"temperature": 82.4, "running": True}})
    drain_all()
    page = html(signed_in(), "/devices/")
    assert re.search(r"temperature</span> <span class=\"value\">82.4 <span class=\"unit\">°C", page)
    assert "running" in page


def test_who_sees_one_hall_finds_nothing_of_the_other_on_any_page() -> None:
    hall, other = make_group("plant/hall-1"), make_group("plant/hall-2")
    make_device("mine", group=hall)
    make_device("pump-of-others", group=other)
    client = signed_in("view_device", "view_alert", group=hall)
    for path in ("/devices/", "/devices/?group=plant/hall-2", "/", "/explore/", "/explore/metrics.json?q="):
        page = html(client, path)
        assert "pump-of-others" not in page, path
        assert "hall-2" not in page or "group=" in path, path
    assert html(client, "/explore/metrics.json?device=pump-of-others") == '{"metrics": []}'
    for path in ("/devices/pump-of-others/", "/devices/pump-of-others/alerts.json", "/devices/nobody/"):
        assert client.get(path).status_code == 404, path
    assert client.get("/devices/new").status_code == 403


def test_pages_are_for_people_who_may_see_devices() -> None:
    make_device("pump-1")
    stranger = signed_in("view_silence")
    for path in ("/", "/devices/", "/devices/pump-1/", "/explore/", "/devices/pump-1/alerts.json"):
        assert stranger.get(path).status_code == 403, path
        answer = Client().get(path)
        assert (answer.status_code, answer["Location"].startswith("/login/?next=/")) == (302, True)
        assert Client().get(path, headers={"X-Live": "now"}).status_code == 401


def test_a_device_shows_how_far_each_value_is_from_its_nearest_threshold() -> None:
    device = make_device("pump-1", type=make_type())
    key = make_key(device)
    make_threshold(device)
    for value, expected in ((64.5, "5.5 °C to warning"), (74, "4 °C beyond warning"), (91, "1 °C beyond critical")):
        post_readings(key, {"metrics": {"temperature": value}})
        drain_all()
        assert expected in html(signed_in(), "/devices/pump-1/", **{"X-Live": "now"})


@pytest.mark.parametrize("tab", ["alerts", "readings", "quarantine", "keys", "send"])
def test_every_tab_opens_empty_and_full(tab: str) -> None:
    device = make_device("pump-1", type=make_type())
    client = signed_in()
    assert 'class="empty"' in html(client, f"/devices/pump-1/?tab={tab}") or tab == "send"
    make_threshold(device)
    key = make_key(device)
    post_readings(key, {"metrics": {"temperature": 95}})
    post_readings(key, {"metrics": {"temperature": 96, "pressure": "high"}})
    drain_all()
    page = html(client, f"/devices/pump-1/?tab={tab}&range=1h")
    told = {"alerts": "Bearing hot", "readings": "95", "quarantine": "invalid_value", "keys": "iot_", "send": "curl"}
    assert told[tab] in page
    assert "Bearing hot" in html(client, "/devices/pump-1/alerts.json")


def test_no_key_is_ever_written_into_a_page_and_nothing_of_a_page_is_inline() -> None:
    device = make_device("pump-1")
    key = make_key(device)
    client = signed_in()
    for path in ("/", "/devices/", "/devices/new", "/devices/pump-1/?tab=keys", "/explore/", "/login/"):
        answer = (Client() if path == "/login/" else client).get(path)
        page = answer.content.decode()
        assert key not in page
        assert "unsafe" not in answer["Content-Security-Policy"]
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*(src=|application/json))", page), path

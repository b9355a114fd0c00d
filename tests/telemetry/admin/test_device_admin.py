"""Devices in the admin: states, ages, switching, deleting, the sidebar."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from telemetry.admin.ages import age
from telemetry.groups import make_group
from telemetry.models import Device, DeviceKey, DeviceLastSeen, DeviceType, MetricDefinition, PurgedSeries, Series
from telemetry.timeseries.engine import MICROSECONDS_PER_DAY, aligned, as_microseconds, engine_in_use
from tests.telemetry.admin.conftest import Admin, operator


def seen(name: str, seconds: float, **fields: object) -> Device:
    device = Device.objects.create(name=name, **fields)
    DeviceLastSeen.objects.create(device=device, at=timezone.now() - timedelta(seconds=seconds))
    return device


def store(series: Series, value: float, seconds_ago: float) -> None:
    time = timezone.now() - timedelta(seconds=seconds_ago)
    with connection.cursor() as cursor:
        engine = engine_in_use(cursor)
        start, end = aligned(as_microseconds(time), 7 * MICROSECONDS_PER_DAY)
        if not any(known.start <= as_microseconds(time) < known.end for known in engine.ranges(cursor)):
            engine.add_range(cursor, start, end)
        cursor.execute("INSERT INTO telemetry_reading VALUES (%s, %s, %s)", [time, series.pk, value])


def test_the_list_says_how_every_device_is(admin: Admin) -> None:
    kind = DeviceType.objects.create(name="pump")
    MetricDefinition.objects.create(device_type=kind, name="temperature", expected_interval=60)
    seen("quick", 20, type=kind, group=make_group("plant/hall-1"))
    seen("slow", 150, type=kind)
    seen("gone", 7250, type=kind)
    Device.objects.create(name="new")
    seen("off", 5, enabled=False)
    text = admin.get("telemetry_device_changelist")
    for words in (
        "quick online pump plant/hall-1 20 s ago",
        "slow late pump - 2 min ago",
        "gone silent pump - 2 h ago",
    ):
        assert words in text
    assert "new never seen - - -" in text
    assert "off disabled" in text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"state": "silent"}, {"gone"}),
        ({"group": "plant"}, {"quick"}),
        ({"q": "bay 4"}, {"gone"}),
        ({"enabled__exact": "0"}, {"off"}),
        ({}, {"quick", "gone", "off"}),
    ],
)
def test_the_list_is_filtered(admin: Admin, query: dict[str, str], names: set[str]) -> None:
    seen("quick", 5, group=make_group("plant/hall-1"))
    seen("gone", 5000, location="bay 4")
    seen("off", 5, enabled=False)
    text = admin.get("telemetry_device_changelist", **query)
    assert {name for name in ("quick", "gone", "off") if f" {name} " in text} == names


def test_a_long_list_takes_no_more_queries_than_a_short_one(admin: Admin) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            admin.get("telemetry_device_changelist")
        return len(captured)

    kind, group = DeviceType.objects.create(name="pump"), make_group("plant")
    seen("first", 1, type=kind, group=group)
    few = queries()
    for number in range(40):
        seen(f"pump-{number}", 1, type=kind, group=group)
    assert queries() == few


def test_devices_are_switched_off_and_on(admin: Admin) -> None:
    first, second = (Device.objects.create(name=name) for name in ("a", "b"))
    assert admin.act("device", "disable", first) == [
        "1 devices changed. They will be refused (device_disabled) within seconds."
    ]
    assert list(Device.objects.filter(enabled=False)) == [first]
    admin.act("device", "enable", first, second)
    assert not Device.objects.filter(enabled=False).exists()


def test_a_devices_page_shows_its_newest_values_with_unit_and_age(admin: Admin) -> None:
    kind = DeviceType.objects.create(name="pump")
    MetricDefinition.objects.create(device_type=kind, name="temperature", unit="°C")
    device = Device.objects.create(name="pump-7", type=kind)
    temperature = Series.objects.create(device=device, metric="temperature")
    store(temperature, 20.25, 7200)
    store(temperature, 71.5, 240)
    store(Series.objects.create(device=device, metric="running", boolean=True), 1.0, 60)
    text = admin.get("telemetry_device_change", device.pk)
    assert "temperature 71.5 °C 4 min ago" in text
    assert "running on 1 min ago" in text


def test_a_devices_page_leads_to_its_keys(admin: Admin) -> None:
    key = DeviceKey(device=Device.objects.create(name="pump-7"))
    key.issue()
    page = admin.client.get(f"/admin/telemetry/device/{key.device_id}/change/").content.decode()
    assert f'href="/admin/telemetry/devicekey/{key.pk}/change/">{key}</a>' in page


def test_a_device_is_registered_by_form(admin: Admin) -> None:
    fields = {"name": "pump 7", "labels": '{"site": "north"}', "series-TOTAL_FORMS": 0, "series-INITIAL_FORMS": 0}
    response = admin.post("telemetry_device_add", **fields, **{"keys-TOTAL_FORMS": 0, "keys-INITIAL_FORMS": 0})
    assert response.status_code == 302
    assert Device.objects.get().labels == {"site": "north"}


@pytest.mark.parametrize(
    "fields", [{"name": "a/b"}, {"name": "p", "labels": '{"a": 1}'}, {"name": "p", "latitude": "91"}]
)
def test_a_wrong_form_is_shown_again(admin: Admin, fields: dict[str, str]) -> None:
    forms = {f"{name}-{count}_FORMS": 0 for name in ("series", "keys") for count in ("TOTAL", "INITIAL")}
    response = admin.post("telemetry_device_add", **{"labels": "{}"} | fields, **forms)
    assert response.status_code == 200
    assert not Device.objects.exists()


def test_deleting_one_or_many_leaves_their_series_to_be_purged(admin: Admin, shards: None) -> None:
    devices = [Device.objects.create(name=name) for name in ("a", "b", "c")]
    purged = [Series.objects.create(device=device, metric="t").pk for device in devices[:2]]
    DeviceKey(device=devices[0]).issue()
    assert admin.post("telemetry_device_delete", devices[0].pk, post="yes").status_code == 302
    selected = {"action": "delete_selected", "_selected_action": [devices[1].pk], "post": "yes"}
    assert admin.post("telemetry_device_changelist", **selected).status_code == 302
    assert list(Device.objects.values_list("name", flat=True)) == ["c"]
    assert set(PurgedSeries.objects.values_list("series_id", flat=True)) == set(purged)


def test_who_may_delete_devices_may_delete_those_with_keys(shards: None) -> None:
    device = Device.objects.create(name="a")
    DeviceKey(device=device).issue()
    operator("view_device", "delete_device").post("telemetry_device_delete", device.pk, post="yes")
    assert not Device.objects.exists()


def test_looking_is_not_changing(db: None) -> None:
    device = Device.objects.create(name="a")
    viewer = operator("view_device")
    assert " a " in viewer.get("telemetry_device_changelist")
    assert viewer.post("telemetry_device_change", device.pk, name="b").status_code == 403
    assert viewer.client.get(f"/admin/telemetry/device/{device.pk}/hand-out-key/").status_code == 403
    viewer.act("device", "disable", device)
    device.refresh_from_db()
    assert device.enabled


def test_groups_count_what_lies_below_them(admin: Admin) -> None:
    Device.objects.create(name="a", group=make_group("plant/hall-1"))
    Device.objects.create(name="b", group=make_group("plant/hall-1/line-2"))
    Device.objects.create(name="c", group=make_group("plant/hall-10"))
    text = admin.get("telemetry_devicegroup_changelist")
    for words in ("plant 3", "plant/hall-1 2", "plant/hall-1/line-2 1", "plant/hall-10 1"):
        assert f" {words} " in text


def test_a_type_is_edited_with_its_metrics(admin: Admin) -> None:
    metric = {
        "metrics-0-name": "temperature",
        "metrics-0-unit": "°C",
        "metrics-0-kind": "gauge",
        "metrics-0-high": "150",
    }
    counts = {"metrics-TOTAL_FORMS": 1, "metrics-INITIAL_FORMS": 0}
    assert admin.post("telemetry_devicetype_add", name="pump", **metric, **counts).status_code == 302
    assert MetricDefinition.objects.values_list("device_type__name", "name", "high").get() == (
        "pump",
        "temperature",
        150,
    )
    assert "temperature [°C]" in admin.get("telemetry_devicetype_changelist")


def test_series_are_for_looking_only(admin: Admin) -> None:
    series = Series.objects.create(device=Device.objects.create(name="pump-7"), metric="temperature")
    assert "temperature pump-7 numbers" in admin.get("telemetry_series_changelist")
    admin.get("telemetry_series_change", series.pk)
    admin.get("telemetry_series_add", status=403)
    admin.get("telemetry_series_delete", series.pk, status=403)


def test_every_page_opens(admin: Admin) -> None:
    for model in ("device", "devicetype", "devicegroup", "devicekey", "quarantinedreading", "series"):
        admin.get(f"telemetry_{model}_changelist")
    for model in ("device", "devicetype", "devicegroup", "devicekey"):
        admin.get(f"telemetry_{model}_add")
    for page in ("index", "auth_user_changelist", "auth_group_changelist", "auth_user_add"):
        admin.get(page)


def test_the_front_door_leads_to_the_dashboard(db: None) -> None:
    assert Client().get("/", follow=True).redirect_chain[-1][0] == "/login/?next=/"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s ago"),
        (4.9, "4 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (200_000, "2 d ago"),
        (-7200, "in 2 h"),
        (-0.5, "0 s ago"),
    ],
)
def test_ages_are_told_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert age(seconds) == text

"""What stands around the form: the list with its bulk actions, the drawn preview, late readings, a device's page."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from telemetry.models import AuditEntry, Device, DeviceType, MetricDefinition, Series
from telemetry.timeseries.engine import as_microseconds
from tests.telemetry.admin.conftest import Admin, text_of
from tests.telemetry.api.conftest import Api
from tests.telemetry.query.stored import store
from tests.thresholds.admin.conftest import form, operator
from tests.thresholds.conftest import hot, level
from thresholds import preview
from thresholds.bundle import load
from thresholds.models import LateBreaches, Threshold

LIST = "thresholds_threshold_changelist"
PREVIEW, DRAFT = "thresholds_threshold_preview", "thresholds_threshold_draft_preview"


def make(api: Api, **fields: Any) -> Threshold:
    answer = api.post("thresholds", hot(**fields))
    assert answer.status == 201, answer.body
    return Threshold.objects.get(pk=answer.body["id"])


def act(admin: Admin, action: str, *chosen: Threshold) -> Any:
    fields = {"action": action, "_selected_action": [each.pk for each in chosen]}
    return admin.client.post("/admin/thresholds/threshold/", fields, follow=True)


def messages_of(response: Any) -> list[str]:
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def pump(name: str, values: list[float], **fields: Any) -> Series:
    """A device whose last value is a minute old, the others a minute apart."""
    begin = timezone.now() - timedelta(minutes=len(values))
    readings = [(begin + timedelta(minutes=number), value) for number, value in enumerate(values)]
    return store(Device.objects.create(name=name, **fields), "temperature", readings)


def test_thresholds_are_switched_in_bulk_each_with_its_entry(admin: Admin, api: Api) -> None:
    first, second, off = make(api), make(api), make(api, enabled=False)
    newest = AuditEntry.objects.latest("id").pk
    assert messages_of(act(admin, "disable", first, second, off)) == [
        "2 thresholds disabled. Their open alerts are closed within seconds."
    ]
    assert not Threshold.objects.filter(enabled=True).exists()
    assert messages_of(act(admin, "enable", first)) == ["1 thresholds enabled. They judge what is stored from now on."]
    entries = (
        AuditEntry.objects.filter(pk__gt=newest)
        .order_by("id")
        .values_list("object_id", "before__enabled", "after__enabled", "who_name")
    )
    assert list(entries) == [
        (first.pk, True, False, "boss"),
        (second.pk, True, False, "boss"),
        (first.pk, False, True, "boss"),
    ]


def test_thresholds_are_deleted_in_bulk_each_with_its_entry(admin: Admin, api: Api) -> None:
    general = make(api, name="General")
    special, kept = make(api, overrides=general.pk), make(api, name="Kept", overrides=general.pk)
    selected = {"action": "delete_selected", "_selected_action": [general.pk, special.pk], "post": "yes"}
    assert admin.client.post("/admin/thresholds/threshold/", selected).status_code == 302
    assert list(Threshold.objects.values_list("name", "overrides")) == [("Kept", None)]
    assert set(AuditEntry.objects.filter(action="deleted").values_list("object_id", flat=True)) == {
        general.pk,
        special.pk,
    }
    assert AuditEntry.objects.get(action="changed").object_id == kept.pk


def test_bulk_actions_need_permission(api: Api) -> None:
    threshold = make(api)
    act(operator("view_threshold"), "disable", threshold)
    threshold.refresh_from_db()
    assert threshold.enabled


def test_the_selected_ones_are_exported(admin: Admin, api: Api) -> None:
    chosen = make(api, name="Chosen")
    make(api, name="Other")
    response = act(admin, "export", chosen)
    assert response.headers["Content-Disposition"] == 'attachment; filename="thresholds.yaml"'
    assert [item["name"] for item in load(response.content.decode())["thresholds"]] == ["Chosen"]


def test_a_long_list_takes_no_more_queries_than_a_short_one(admin: Admin, api: Api) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            admin.get(LIST)
        return len(captured)

    kind = DeviceType.objects.create(name="pump")
    Device.objects.create(name="a", type=kind)
    make(api, scope={"device": "a"})
    few = queries()
    for number in range(20):
        make(api, name=f"t{number}", scope={"device": "a"})
    assert queries() == few


def test_the_preview_draws_a_saved_one(admin: Admin, api: Api) -> None:
    kind = DeviceType.objects.create(name="pump")
    MetricDefinition.objects.create(device_type=kind, name="temperature", unit="°C")
    pump("pump-7", [70, 81, 85, 70, 70], type=kind)
    pump("pump-8", [90, 70, 90, 70, 70], type=kind)
    threshold = make(api)
    response = admin.client.get(f"/admin/thresholds/threshold/{threshold.pk}/preview/?days=1")
    text = text_of(response.content.decode())
    assert "3 alerts on 2 devices; 5 messages" in text
    assert "pump-8 temperature in °C" in text
    assert "major 80 °C" in text
    assert "clears 75 °C" in text
    drawn = response.content.decode()
    assert drawn.count("<rect ") == 2
    other = Series.objects.get(device__name="pump-7").pk
    assert f'href="?days=1&amp;until=&amp;series={other}"' in drawn
    chosen = admin.get(PREVIEW, threshold.pk, days="1", series=other)
    assert "pump-7 temperature in °C" in chosen
    assert re.search(r"major pump-7 \d\d \w+ \d{4} [\d:]+ 2 min 85 °C", chosen)


def test_the_preview_of_a_draft_saves_nothing(admin: Admin) -> None:
    pump("pump-7", [70, 90])
    response = admin.post(DRAFT, **form(days="7"))
    text = text_of(response.content.decode())
    assert "1 alert on 1 device; 1 message " in text
    assert "still open" in text
    assert not Threshold.objects.exists()
    half = text_of(admin.post(DRAFT, **form(name="", metric="")).content.decode())
    assert "Mend what the form says is wrong" in half


def test_a_script_gets_the_middle_of_the_page_only(admin: Admin) -> None:
    whole = admin.client.post("/admin/thresholds/threshold/draft/preview/", form()).content
    part = admin.client.post(
        "/admin/thresholds/threshold/draft/preview/", form(), headers={"X-Requested-With": "fetch"}
    )
    assert b"<html" in whole
    assert b"<html" not in part.content
    assert "No series matches" in part.content.decode()


@pytest.mark.parametrize(
    ("fields", "levels"),
    [
        ({"condition": "rate_above"}, [level(0.5)]),
        ({"condition": "silent"}, [level(60)]),
        ({"condition": "outside"}, [level([10, 20])]),
        ({"condition": "equal"}, [level(1)]),
    ],
)
def test_every_condition_can_be_drawn(admin: Admin, api: Api, fields: dict[str, Any], levels: list[Any]) -> None:
    pump("pump-7", [1, 1, 90, 1])
    threshold = make(api, levels=levels, **fields)
    assert " pump-7 " in admin.get(PREVIEW, threshold.pk, days="1")


def test_a_constant_series_and_one_without_readings_can_be_drawn(admin: Admin, api: Api) -> None:
    store(Device.objects.create(name="old"), "temperature", [(timezone.now() - timedelta(days=300), 1.0)])
    threshold = make(api)
    assert "It has no readings in this time." in admin.get(PREVIEW, threshold.pk)
    assert "No alert on 1 series." in admin.get(PREVIEW, threshold.pk, days="365")
    for odd in (
        {"days": "x"},
        {"until": "yesterday"},
        {"until": "0001-01-01"},
        {"series": "²"},
        {"until": "1970-01-01"},
    ):
        admin.get(PREVIEW, threshold.pk, **odd)


def test_names_are_shown_not_obeyed(admin: Admin, api: Api) -> None:
    pump("<script>alert(1)<", [70, 90])
    threshold = make(api, name="<b>bold</b>")
    for page in ("", *(f"{threshold.pk}/{page}/" for page in ("preview", "change", "history"))):
        shown = admin.client.get(f"/admin/thresholds/threshold/{page}").content.decode()
        assert "<b>bold</b>" not in shown
        assert "<script>alert(1)" not in shown


def test_too_much_is_told_with_what_to_narrow(admin: Admin, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    pump("pump-7", [1, 2, 3])
    threshold = make(api)
    monkeypatch.setattr(preview, "MAX_READINGS", 2)
    assert "take a shorter range, or a narrower scope" in admin.get(PREVIEW, threshold.pk)


def test_what_is_not_there_is_not_found(admin: Admin) -> None:
    admin.get(PREVIEW, 7, status=404)
    admin.get(DRAFT, status=404)


def test_late_readings_are_shown_on_the_threshold_and_on_the_device(admin: Admin, api: Api) -> None:
    series = pump("pump-7", [1])
    threshold = make(api, name="Bearing hot")
    newest = as_microseconds(timezone.now() - timedelta(minutes=5))
    LateBreaches.objects.create(threshold_id=threshold.pk, series_id=series.pk, count=1234, newest=newest)
    assert "pump-7 1,234 5 min ago" in admin.get("thresholds_threshold_change", threshold.pk)
    assert "1,234" in admin.get(LIST)
    page = admin.get("telemetry_device_change", series.device_id)
    assert "Bearing hot 1,234 5 min ago" in page
    quiet = admin.get("telemetry_device_change", Device.objects.create(name="quiet").pk)
    assert "Late readings" not in quiet


def test_a_device_says_which_thresholds_apply_to_it(admin: Admin, api: Api) -> None:
    kind = DeviceType.objects.create(name="pump")
    MetricDefinition.objects.create(device_type=kind, name="temperature", unit="°C")
    device = Device.objects.create(name="pump-7", type=kind)
    make(api, name="For pumps", scope={"device_type": "pump"})
    make(api, name="Switched off", enabled=False)
    Device.objects.create(name="other")
    make(api, name="For another", scope={"device": "other"})
    page = admin.get("telemetry_device_change", device.pk)
    assert "For pumps On every device of type pump: opens a major alert when temperature is above 80 °C" in page
    assert "Switched off" not in page
    assert "For another" not in page

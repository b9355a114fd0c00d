"""The form of a threshold: what is typed is kept, checked as a whole, said in words, and written down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from telemetry.groups import make_group
from telemetry.models import AuditEntry, Device, DeviceType, MetricDefinition
from tests.telemetry.admin.conftest import Admin, text_of
from tests.thresholds.admin.conftest import form, form_of, operator
from thresholds.document import document
from thresholds.models import Level, Threshold

ADD, CHANGE, LIST = (f"thresholds_threshold_{view}" for view in ("add", "change", "changelist"))


def add(admin: Admin, *levels: dict[str, Any], **fields: Any) -> Any:
    return admin.post(ADD, **form(*levels, **fields))


def saved(admin: Admin, *levels: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The document of what the form makes."""
    response = add(admin, *levels, **fields)
    assert response.status_code == 302, text_of(response.content.decode())[-3000:]
    return document(Threshold.objects.get())


def told(response: Any) -> str:
    assert response.status_code == 200
    return text_of(response.content.decode())


def test_a_form_makes_a_threshold(admin: Admin) -> None:
    made = saved(
        admin,
        {"severity": 2, "trigger": "70", "clear": "65"},
        {"severity": 4, "trigger": "90"},
        for_seconds="5 min",
        clear_for_seconds="90",
        max_gap_seconds="1 h 30 min",
        consecutive="3",
        gap_policy="hold",
        message="{device} is hot",
        description="Ask Olga.",
    )
    assert made == {
        "name": "Bearing hot",
        "description": "Ask Olga.",
        "enabled": True,
        "scope": {"all": True},
        "metric": "temperature",
        "condition": "above",
        "levels": [
            {"severity": "warning", "trigger": 70.0, "clear": 65.0},
            {"severity": "critical", "trigger": 90.0, "clear": None},
        ],
        "for": 300.0,
        "consecutive": 3,
        "clear_for": 90.0,
        "max_gap": 5400.0,
        "gap_policy": "hold",
        "schedule": None,
        "message": "{device} is hot",
        "overrides": None,
    }


@pytest.mark.parametrize("kind", ["device", "device_type", "group"])
def test_every_scope_can_be_chosen(admin: Admin, kind: str) -> None:
    rows: dict[str, Any] = {
        "device": Device.objects.create(name="pump-7"),
        "device_type": DeviceType.objects.create(name="pump"),
        "group": make_group("plant/hall-1"),
    }
    # Another one that was chosen before stays in its hidden field: what the kind says counts.
    chosen = {name: row.pk for name, row in rows.items()}
    made = saved(admin, scope_kind=kind, **chosen)
    assert made["scope"] == {kind: str(rows[kind])}


def test_a_scope_without_its_thing_is_asked_for(admin: Admin) -> None:
    assert "Choose which one it applies to." in told(add(admin, scope_kind="device"))


def test_ranges_have_two_values(admin: Admin) -> None:
    row = {"severity": 3, "trigger": "10", "trigger_high": "20", "clear": "12", "clear_high": "18"}
    assert saved(admin, row, condition="outside")["levels"] == [
        {"severity": "major", "trigger": [10.0, 20.0], "clear": [12.0, 18.0]}
    ]


def test_the_second_value_counts_for_ranges_only(admin: Admin) -> None:
    assert saved(admin, {"severity": 3, "trigger": "10", "trigger_high": "20"})["levels"][0]["trigger"] == 10.0


def test_schedules_are_typed_in_lines(admin: Admin) -> None:
    made = saved(
        admin, schedule_zone="Europe/Berlin", schedule_windows="mon-fri 8:00–18:00\n\nSat, sunday 22:00 - 06:00"
    )
    assert made["schedule"] == {
        "zone": "Europe/Berlin",
        "windows": [
            {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "18:00"},
            {"days": ["sat", "sun"], "start": "22:00", "end": "06:00"},
        ],
    }
    page = admin.get(CHANGE, Threshold.objects.get().pk)
    assert "mon-fri 08:00-18:00 sat, sun 22:00-06:00" in page


@pytest.mark.parametrize(
    ("levels", "fields", "words"),
    [
        ([], {"name": ""}, "This field is required."),
        ([], {"metric": "a/b"}, "A metric's name has no slash"),
        ([], {"for_seconds": "soon"}, "Write a duration such as"),
        ([], {"for_seconds": "1 h 30"}, "Write a duration such as"),
        ([], {"consecutive": "0"}, "greater than or equal to 1"),
        ([], {"schedule_windows": "mon-fri"}, "Line 1: Write days and hours"),
        ([], {"schedule_windows": "mon 08:00-09:00\nfoo 08:00-09:00"}, 'Line 2: "foo" is no day'),
        ([], {"schedule_windows": "mon 08:00-25:00"}, "Window 1: Give a time of day"),
        ([], {"schedule_windows": "mon 08:00-08:00"}, "Window 1: It ends when it starts"),
        ([], {"schedule_windows": "mon 08:00-12:00\nmon 11:00-13:00"}, "Windows 1 and 2 overlap on mon at 11:00"),
        (
            [],
            {"schedule_windows": "mon 08:00-09:00", "schedule_zone": "Mars/Base"},
            "Give the name of an IANA time zone",
        ),
        ([], {"message": "{colour}"}, "There is no field {colour}"),
        ([{"severity": 3, "trigger": "80", "clear": "85"}], {}, "safe side: give 80 or less"),
        ([{"severity": 3, "trigger": ""}], {}, "This field is required."),
        ([{"severity": 3, "trigger": "hot"}], {}, "Enter a number."),
        ([{"severity": 3, "trigger": "nan"}], {}, "Enter a number."),
        ([{"severity": 3, "trigger": "10"}], {"condition": "outside"}, "Give a range [low, high]"),
        (
            [{"severity": 2, "trigger": "80"}, {"severity": 3, "trigger": "70"}],
            {},
            "major is worse than warning: its trigger must lie above 80.",
        ),
        ([{"severity": 2, "trigger": "80"}, {"severity": 2, "trigger": "90"}], {}, "'warning' has a level already"),
        ([{"severity": 3, "trigger": "80", "DELETE": "on"}], {}, "Give at least one level"),
        (
            [{"severity": 3, "trigger": "60"}],
            {"condition": "silent", "for_seconds": "5 min"},
            "Silence has no readings",
        ),
    ],
)
def test_what_is_wrong_is_told_and_nothing_that_was_typed_is_lost(
    admin: Admin, levels: list[dict[str, Any]], fields: dict[str, Any], words: str
) -> None:
    sent = form(*levels, **{"description": "typed before", **fields})
    response = admin.post(ADD, **sent)
    assert words in told(response)
    assert not Threshold.objects.exists()
    page = response.content.decode()
    assert "typed before" in page
    for name, value in sent.items():
        if name.startswith("levels-") and name.endswith(("trigger", "clear")) and value:
            assert f'name="{name}" value="{value}"' in page.replace("  ", " "), name


def stored(admin: Admin, **fields: Any) -> Threshold:
    add(admin, **fields)
    return Threshold.objects.get()


def test_changing_keeps_what_is_not_shown_otherwise(admin: Admin) -> None:
    threshold = stored(admin, for_seconds="5 min", schedule_windows="daily 08:00-18:00")
    before = document(threshold)
    sent = form_of(
        threshold, for_seconds="5 min", schedule_windows="daily 08:00-18:00", schedule_zone="UTC", name="Hot"
    )
    assert admin.post(CHANGE, threshold.pk, **sent).status_code == 302
    assert document(Threshold.objects.get()) == before | {"name": "Hot"}


def test_levels_are_added_changed_swapped_and_removed(admin: Admin) -> None:
    threshold = stored(admin)
    first = threshold.levels.get()
    row = {"id": first.pk, "threshold": threshold.pk, "severity": 4, "trigger": "90"}
    sent = form(row, {"severity": 3, "trigger": "80"}, {"severity": 1, "trigger": "10", "DELETE": "on"})
    assert admin.post(CHANGE, threshold.pk, **sent).status_code == 302
    assert list(Level.objects.values_list("severity", "trigger")) == [(3, 80.0), (4, 90.0)]
    major, critical = Level.objects.all()
    swapped = [
        {"id": major.pk, "threshold": threshold.pk, "severity": 4, "trigger": "95"},
        {"id": critical.pk, "threshold": threshold.pk, "severity": 3, "trigger": "85"},
    ]
    assert admin.post(CHANGE, threshold.pk, **form(*swapped)).status_code == 302
    assert list(Level.objects.values_list("severity", "trigger")) == [(3, 85.0), (4, 95.0)]


def test_a_form_that_somebody_overtook_is_not_saved(admin: Admin) -> None:
    threshold = stored(admin)
    sent = form_of(threshold, name="Mine")
    assert admin.post(CHANGE, threshold.pk, **form_of(threshold, name="Theirs")).status_code == 302
    text = told(admin.post(CHANGE, threshold.pk, **sent))
    assert "changed by somebody else meanwhile" in text
    assert Threshold.objects.get().name == "Theirs"
    Threshold.objects.update(updated_at=threshold.updated_at - timedelta(days=1))
    assert "changed by somebody else" in told(admin.post(CHANGE, threshold.pk, **sent))


def test_overriding_in_a_circle_is_told_at_its_field(admin: Admin) -> None:
    first = stored(admin)
    add(admin, name="Second", overrides=first.pk)
    second = Threshold.objects.get(name="Second")
    text = told(admin.post(CHANGE, first.pk, **form_of(first, overrides=second.pk)))
    assert "They would override each other in a circle (this one → Second → this one)" in text


def test_every_change_is_written_down(admin: Admin) -> None:
    threshold = stored(admin)
    admin.post(CHANGE, threshold.pk, **form_of(threshold, for_seconds="1 min"))
    admin.post("thresholds_threshold_delete", threshold.pk, post="yes")
    entries = list(AuditEntry.objects.order_by("id"))
    assert [(entry.action, entry.who_name, entry.kind) for entry in entries] == [
        ("created", "boss", "threshold"),
        ("changed", "boss", "threshold"),
        ("deleted", "boss", "threshold"),
    ]
    assert (entries[1].before["for"], entries[1].after["for"]) == (0.0, 60.0)
    history = admin.get("thresholds_threshold_history", threshold.pk)
    assert "History: Bearing hot" in history
    assert "boss changed it" in history
    assert "for 0 60" in history


def test_saving_what_is_as_it_was_is_no_change(admin: Admin) -> None:
    threshold = stored(admin)
    admin.post(CHANGE, threshold.pk, **form_of(threshold))
    assert AuditEntry.objects.count() == 1
    assert Threshold.objects.get().updated_at == threshold.updated_at


def test_the_page_says_what_it_means_with_units(admin: Admin) -> None:
    kind = DeviceType.objects.create(name="pump")
    MetricDefinition.objects.create(device_type=kind, name="temperature", unit="°C")
    threshold = stored(admin, scope_kind="device_type", device_type=kind.pk, for_seconds="5 min")
    words = "opens a major alert when temperature stays above 80 °C for 5 min; clears at 75 °C."
    page = admin.get(CHANGE, threshold.pk)
    assert words in page
    assert "Values are in °C" in page
    assert words in admin.get(LIST)


def test_the_sentence_follows_the_form(admin: Admin) -> None:
    kind = DeviceType.objects.create(name="pump")
    MetricDefinition.objects.create(device_type=kind, name="temperature", unit="°C")
    answer = admin.post("thresholds_threshold_draft_sentence", **form(scope_kind="device_type", device_type=kind.pk))
    assert answer.json() == {
        "sentence": "On every device of type pump: opens a major alert when temperature is above 80 °C; clears at 75 °C.",
        "unit": "°C",
    }
    half = admin.post("thresholds_threshold_draft_sentence", **form(name="", metric="temperature", scope_kind="device"))
    assert half.json() == {"sentence": None, "unit": "°C"}
    assert not Threshold.objects.exists()


def test_who_may_do_what(db: None) -> None:
    boss = operator("add_threshold", "view_threshold")
    assert add(boss).status_code == 302
    threshold = Threshold.objects.get()
    viewer = operator("view_threshold")
    assert "Bearing hot" in viewer.get(LIST)
    viewer.get(CHANGE, threshold.pk)
    viewer.get(ADD, status=403)
    assert viewer.post(CHANGE, threshold.pk, **form_of(threshold, name="Mine")).status_code == 403
    assert viewer.post("thresholds_threshold_delete", threshold.pk, post="yes").status_code == 403
    nobody = operator("view_device")
    for page in ("preview", "history", "change"):
        nobody.get(f"thresholds_threshold_{page}", threshold.pk, status=403)
    for page in ("draft_preview", "draft_sentence"):
        assert nobody.post(f"thresholds_threshold_{page}", **form()).status_code == 403
    changer = operator("change_threshold", "view_threshold")
    assert changer.post(CHANGE, threshold.pk, **form_of(threshold, name="Theirs")).status_code == 302
    assert Threshold.objects.get().name == "Theirs"

"""Quarantine in the admin: what was refused, replaying and discarding by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from telemetry.intake.accept import Unavailable
from telemetry.models import QuarantinedReading, QuarantineDropped
from telemetry.quarantine import claims
from tests.telemetry.admin.conftest import Admin, operator

ACCEPTED = {"accepted": 1, "rejected": 0, "receipt": "r", "errors": []}
READING = {"device": "pump-7", "metrics": {"temperature": 812}}
FAULT = {"index": 0, "field": "metrics.temperature", "code": "out_of_range", "detail": "above 150"}


def quarantined(**fields: Any) -> QuarantinedReading:
    defaults = {
        "received_at": timezone.now(),
        "device": "pump-7",
        "code": "out_of_range",
        "detail": "812 is above 150",
        "payload": json.dumps(READING),
    }
    return QuarantinedReading.objects.create(**defaults | fields)


@pytest.fixture
def intake(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is sent through intake. It refuses `metrics.temperature` above 150."""
    sent: list[Any] = []

    def judge(row: QuarantinedReading, payload: Any, user: Any) -> dict[str, Any]:
        sent.append(payload)
        reading = json.loads(row.payload) if payload is None else payload
        if reading["metrics"]["temperature"] > 150:
            return {"accepted": 0, "rejected": 1, "receipt": None, "errors": [FAULT]}
        return ACCEPTED

    monkeypatch.setattr(claims, "replay", judge)
    return sent


def state(row: QuarantinedReading) -> str:
    row.refresh_from_db()
    return str(row.state)


def test_the_list_says_what_was_wrong_and_what_was_not_kept(admin: Admin) -> None:
    quarantined()
    QuarantineDropped.objects.create(device="flood", dropped=12_345, last_at=timezone.now())
    text = admin.get("telemetry_quarantinedreading_changelist")
    assert "pump-7 out of range 812 is above 150 0 s ago waiting" in text
    assert "12,345 more refused readings were not kept" in text


def test_the_list_is_filtered_by_reason_and_state(admin: Admin) -> None:
    quarantined(device="a", code="malformed")
    quarantined(device="b", state="discarded")
    assert " b " not in admin.get("telemetry_quarantinedreading_changelist", code="malformed")
    assert " a " not in admin.get("telemetry_quarantinedreading_changelist", state__exact="discarded")


def test_a_page_shows_the_reading_as_it_came_and_lets_nobody_edit_history(admin: Admin) -> None:
    row = quarantined(payload='{"a": "<script>alert(1)</script>"}')
    response = admin.client.get(f"/admin/telemetry/quarantinedreading/{row.pk}/change/")
    assert b"<script>alert(1)" not in response.content
    assert b'name="_save"' not in response.content
    admin.get("telemetry_quarantinedreading_delete", row.pk, status=403)
    admin.get("telemetry_quarantinedreading_add", status=403)


@pytest.mark.parametrize("payload", ["{", "", "[" * 100_000, '{"a": NaN}'])
def test_any_payload_can_be_looked_at(admin: Admin, payload: str) -> None:
    row = quarantined(payload=payload)
    admin.get("telemetry_quarantinedreading_change", row.pk)
    admin.get("telemetry_quarantinedreading_replay", row.pk)


def test_a_corrected_reading_is_replayed(admin: Admin, intake: list[Any]) -> None:
    row = quarantined()
    corrected = READING | {"metrics": {"temperature": 81.2}}
    response = admin.post("telemetry_quarantinedreading_replay", row.pk, payload=json.dumps(corrected), replay="")
    assert response.status_code == 302
    assert intake == [corrected]
    assert state(row) == "replayed"
    assert row.resolved_by is not None
    assert LogEntry.objects.get().change_message == "Replayed."


def test_a_reading_that_was_not_touched_goes_as_it_came(admin: Admin, intake: list[Any]) -> None:
    row = quarantined(payload=json.dumps({"metrics": {"temperature": 20}}))
    shown = json.dumps({"metrics": {"temperature": 20}}, indent=2)
    admin.post("telemetry_quarantinedreading_replay", row.pk, payload=shown, replay="")
    assert intake == [None]
    assert state(row) == "replayed"


def test_what_is_refused_again_is_shown_with_the_reason(admin: Admin, intake: list[Any]) -> None:
    row = quarantined()
    response = admin.post("telemetry_quarantinedreading_replay", row.pk, payload=row.payload, replay="")
    assert b"metrics.temperature: above 150" in response.content
    assert state(row) == "waiting"


@pytest.mark.parametrize("payload", ["{", "[]", "7"])
def test_a_correction_that_is_no_reading_is_not_sent(admin: Admin, intake: list[Any], payload: str) -> None:
    row = quarantined()
    assert admin.post("telemetry_quarantinedreading_replay", row.pk, payload=payload, replay="").status_code == 200
    assert intake == []
    assert state(row) == "waiting"


def test_while_the_log_is_down_the_page_says_so(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any) -> None:
        raise Unavailable("the log does not answer")

    monkeypatch.setattr(claims, "replay", down)
    row = quarantined()
    response = admin.post("telemetry_quarantinedreading_replay", row.pk, payload=row.payload, replay="")
    assert b"the log does not answer" in response.content
    assert state(row) == "waiting"
    assert "The rest waits on: the log does not answer" in admin.act("quarantinedreading", "replay_selected", row)


def test_a_reading_is_discarded(admin: Admin, intake: list[Any]) -> None:
    row = quarantined()
    admin.post("telemetry_quarantinedreading_replay", row.pk, payload="whatever", discard="")
    assert state(row) == "discarded"
    assert intake == []
    again = admin.post("telemetry_quarantinedreading_replay", row.pk, payload=row.payload, replay="")
    assert again.status_code == 302
    assert state(row) == "discarded"
    assert "discarded already" in admin.get("telemetry_quarantinedreading_replay", row.pk)


def test_many_are_replayed_at_once(admin: Admin, intake: list[Any]) -> None:
    good = [quarantined(payload=json.dumps({"metrics": {"temperature": n}})) for n in range(3)]
    bad, done = quarantined(), quarantined(state="discarded")
    messages = admin.act("quarantinedreading", "replay_selected", *good, bad, done)
    assert messages[0] == "3 readings replayed."
    assert messages[1].startswith("1 were refused again")
    assert [state(row) for row in [*good, bad, done]] == ["replayed"] * 3 + ["waiting", "discarded"]


def test_many_are_discarded_at_once(admin: Admin) -> None:
    rows = [quarantined(), quarantined(), quarantined(state="replayed")]
    assert admin.act("quarantinedreading", "discard_selected", *rows) == ["2 readings discarded."]
    assert [state(row) for row in rows] == ["discarded", "discarded", "replayed"]


def test_looking_is_not_replaying(intake: list[Any], db: None) -> None:
    row = quarantined(payload=json.dumps({"metrics": {"temperature": 1}}))
    viewer = operator("view_quarantinedreading")
    assert "pump-7" in viewer.get("telemetry_quarantinedreading_change", row.pk)
    assert viewer.post("telemetry_quarantinedreading_replay", row.pk, replay="").status_code == 403
    viewer.act("quarantinedreading", "discard_selected", row)
    assert state(row) == "waiting"

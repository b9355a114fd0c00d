"""Quarantine: look, replay (once), discard."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from telemetry.intake.accept import Unavailable
from telemetry.models import DeviceType, MetricDefinition, QuarantinedReading
from telemetry.quarantine import claims
from tests.builders import make_device
from tests.telemetry.api.conftest import Api, api_of, person

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACCEPTED = {"accepted": 1, "rejected": 0, "receipt": "r", "errors": []}


def quarantined(reading: Any = None, **fields: Any) -> QuarantinedReading:
    payload = json.dumps(reading) if reading is not None else "{"
    defaults = {"received_at": timezone.now(), "code": "out_of_range", "payload": payload}
    return QuarantinedReading.objects.create(**defaults | fields)


def ids(answer: Any) -> list[int]:
    assert answer.status == 200, answer.body
    return [row["id"] for row in answer.body["results"]]


def test_rows_are_listed_newest_first_with_their_reason(api: Api) -> None:
    older = quarantined(device="a")
    newer = quarantined({"device": "b"}, device="b", field="time", code="invalid_time", detail="bad", key_prefix="0a1b")
    answer = api.get("quarantine")
    assert ids(answer) == [newer.pk, older.pk]
    shown = answer.body["results"][0]
    assert (shown["field"], shown["code"], shown["detail"], shown["key_prefix"]) == (
        "time",
        "invalid_time",
        "bad",
        "0a1b",
    )
    assert json.loads(shown["payload"]) == {"device": "b"}
    assert (shown["state"], shown["resolved_at"], shown["resolved_by"]) == ("waiting", None, None)
    assert api.get(f"quarantine/{newer.pk}").body == shown


def test_rows_are_filtered(api: Api) -> None:
    a = quarantined(device="a", code="malformed", received_at=NOON)
    b = quarantined(device="b", code="invalid_time", received_at=NOON + timedelta(hours=1), state="discarded")
    assert ids(api.get("quarantine", device="a")) == [a.pk]
    assert ids(api.get("quarantine", code="invalid_time")) == [b.pk]
    assert ids(api.get("quarantine", state="discarded")) == [b.pk]
    assert ids(api.get("quarantine", start="2026-11-21T12:00:00Z", end="2026-11-21T13:00:00Z")) == [a.pk]
    assert ids(api.get("quarantine", start="2026-11-21T14:00:00+01:00")) == [b.pk]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("state", "gone"), ("start", "noon"), ("end", "2026-11-21T12:00:00"), ("start", "2026-13-01")],
)
def test_a_wrong_filter_is_told(api: Api, parameter: str, value: str) -> None:
    [(field, _)] = api.get("quarantine", **{parameter: value}).faults()
    assert field == parameter


@pytest.fixture
def intake(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be sent through intake; everything is accepted."""
    sent: list[Any] = []

    def accept(row: QuarantinedReading, payload: Any, user: Any) -> dict[str, Any]:
        sent.append(payload)
        return ACCEPTED

    monkeypatch.setattr(claims, "replay", accept)
    return sent


def test_a_reading_is_replayed_once(api: Api, intake: list[Any]) -> None:
    row = quarantined()
    answer = api.post(f"quarantine/{row.pk}/replay")
    assert (answer.status, answer.body) == (200, ACCEPTED)
    shown = api.get(f"quarantine/{row.pk}").body
    assert (shown["state"], shown["resolved_by"]) == ("replayed", "boss")
    again = api.post(f"quarantine/{row.pk}/replay")
    assert (again.status, again.body["detail"]) == (409, "This was replayed already.")
    assert api.post(f"quarantine/{row.pk}/discard").status == 409
    assert intake == [None]


def test_two_people_cannot_replay_the_same_row_at_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    row = quarantined()
    others: list[int] = []

    def slow(*_: Any) -> dict[str, Any]:
        others.append(api.post(f"quarantine/{row.pk}/replay").status)
        others.append(api.post(f"quarantine/{row.pk}/discard").status)
        return ACCEPTED

    monkeypatch.setattr(claims, "replay", slow)
    assert api.post(f"quarantine/{row.pk}/replay").status == 200
    assert others == [409, 409]


def test_a_claim_whose_process_died_is_free_again_after_a_minute(api: Api, intake: list[Any]) -> None:
    row = quarantined(resolved_at=timezone.now() - timedelta(seconds=59))
    assert api.post(f"quarantine/{row.pk}/replay").status == 409
    QuarantinedReading.objects.update(resolved_at=timezone.now() - timedelta(seconds=61))
    assert api.post(f"quarantine/{row.pk}/replay").status == 200


def test_what_is_refused_again_waits_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    row = quarantined()
    fault = {"index": 0, "field": "time", "code": "invalid_time", "detail": "not a time"}
    outcome = {"accepted": 1, "rejected": 1, "receipt": "r", "errors": [fault]}
    monkeypatch.setattr(claims, "replay", lambda *_: outcome)
    answer = api.post(f"quarantine/{row.pk}/replay")
    assert answer.status == 400
    assert answer.body["errors"] == [fault]
    assert api.get(f"quarantine/{row.pk}").body["state"] == "waiting"
    monkeypatch.setattr(claims, "replay", lambda *_: ACCEPTED)
    assert api.post(f"quarantine/{row.pk}/replay").status == 200


def test_while_the_log_is_down_nothing_changes(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    row = quarantined()

    def down(*_: Any) -> None:
        raise Unavailable("the log does not answer")

    monkeypatch.setattr(claims, "replay", down)
    answer = api.post(f"quarantine/{row.pk}/replay")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert api.get(f"quarantine/{row.pk}").body["resolved_at"] is None


@pytest.mark.parametrize("body", [{"payload": []}, {"payload": "x"}, {"payload": None}, []])
def test_a_corrected_reading_is_an_object(api: Api, intake: list[Any], body: Any) -> None:
    row = quarantined()
    assert api.post(f"quarantine/{row.pk}/replay", body).status == 400
    assert intake == []


def test_a_reading_is_discarded_once(api: Api) -> None:
    row = quarantined()
    discarded = api.post(f"quarantine/{row.pk}/discard")
    assert (discarded.status, discarded.body["state"], discarded.body["resolved_by"]) == (200, "discarded", "boss")
    assert api.post(f"quarantine/{row.pk}/discard").status == 409


def test_looking_is_not_replaying(intake: list[Any], db: None) -> None:
    row = quarantined()
    viewer = api_of(person("viewer", "view_quarantinedreading"))
    assert viewer.get(f"quarantine/{row.pk}").status == 200
    assert viewer.post(f"quarantine/{row.pk}/replay").status == 403
    assert viewer.post(f"quarantine/{row.pk}/discard").status == 403
    fixer = api_of(person("fixer", "view_quarantinedreading", "change_quarantinedreading"))
    assert fixer.post(f"quarantine/{row.pk}/replay").status == 200


@pytest.mark.parametrize("action", ["", "/replay", "/discard"])
def test_an_unknown_row_is_404(api: Api, action: str) -> None:
    send = api.post if action else api.get
    assert send(f"quarantine/999999{action}").status == 404
    assert send(f"quarantine/{10**25}{action}").status == 404


def test_a_corrected_reading_is_stored_on_the_usual_way(platform_db: None, drain: Callable[[], int]) -> None:
    from django.contrib.auth.models import User

    api = api_of(User.objects.create_superuser("boss"))
    kind = DeviceType.objects.create(name="pump", strict=True)
    MetricDefinition.objects.create(device_type=kind, name="temperature", high=150)
    make_device("pump-7", type=kind)
    reading = {"device": "pump-7", "time": "2026-11-21T02:00:00Z", "metrics": {"temperature": 812}}
    row = quarantined(reading, device="pump-7", field="metrics.temperature")

    refused = api.post(f"quarantine/{row.pk}/replay")
    assert refused.status == 400
    assert refused.faults() == {("metrics.temperature", "out_of_range")}

    accepted = api.post(f"quarantine/{row.pk}/replay", {"payload": reading | {"metrics": {"temperature": 81.2}}})
    assert (accepted.status, accepted.body["accepted"]) == (200, 1)
    drain()
    assert api.get(f"receipts/{accepted.body['receipt']}").body["state"] == "stored"
    latest = api.get("devices/pump-7/latest").body["metrics"]["temperature"]
    assert latest == {"time": "2026-11-21T02:00:00Z", "value": 81.2}
    assert QuarantinedReading.objects.get().state == "replayed"

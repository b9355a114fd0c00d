"""Alerts over REST: lists, one alert, and what people do with them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from alerts.models import Alert
from telemetry.deletion import delete_device
from telemetry.models import DeviceGroup
from tests.alerts.changes import Pair, make_type, opened_alert, record_all
from tests.alerts.operators import operator, operator_api
from tests.builders import make_device
from tests.telemetry.api.conftest import Api, api_of
from thresholds.models import Severity

pytestmark = pytest.mark.usefixtures("platform_db")


@pytest.fixture
def api() -> Api:
    return operator_api(username="ann")


def ids(answer: Any) -> list[int]:
    assert answer.status == 200, answer.body
    return [alert["id"] for alert in answer.body["results"]]


def life(*, clear: bool = False, at: float = 0, severity: int = Severity.WARNING, **device: Any) -> Alert:
    pair = Pair.make(make_device(**{"type": make_type()} | device))
    pair.opened(at, severity=severity).record()
    return pair.cleared(at + 5).record() if clear else pair.alerts()[0]


# --- reading --------------------------------------------------------------------------------------------------------


def test_a_list_names_everything_of_the_contract(api: Api) -> None:
    pair = Pair.make(make_device("pump-7", type=make_type()))
    pair.opened(0, 80.5, readings=3).record()
    (alert,) = api.get("alerts").body["results"]
    assert alert | {"id": 0, "detected_at": ""} == {
        "id": 0,
        "threshold": pair.threshold.pk,
        "threshold_name": "Bearing hot",
        "device": "pump-7",
        "metric": "temperature",
        "unit": "°C",
        "condition": "above",
        "state": "open",
        "severity": "warning",
        "highest_severity": "warning",
        "trigger": 70.0,
        "value": 80.5,
        "value_at": "2026-11-18T11:06:40Z",
        "extreme": None,
        "readings": 3,
        "opened_at": "2026-11-18T11:06:40Z",
        "detected_at": "",
        "acknowledged_at": None,
        "acknowledged_by": None,
        "ended_at": None,
        "end_reason": "",
        "assignee": None,
        "flapping": False,
        "imported": False,
    }


def test_the_newest_come_first_or_the_worst(api: Api) -> None:
    old = life(at=0, severity=Severity.CRITICAL)
    new = life(at=100)
    middle = life(at=50, severity=Severity.CRITICAL)
    assert ids(api.get("alerts")) == [new.pk, middle.pk, old.pk]
    assert ids(api.get("alerts", ordering="opened_at")) == [old.pk, middle.pk, new.pk]
    assert ids(api.get("alerts", ordering="-severity")) == [middle.pk, old.pk, new.pk]


@pytest.mark.parametrize("ordering", ["-opened_at", "opened_at", "-severity"])
def test_pages_hold_every_alert_once_there_and_back(api: Api, ordering: str) -> None:
    pairs = [Pair.make() for _ in range(7)]
    record_all(*(pair.opened(place // 3, severity=2 + 2 * (place % 2)) for place, pair in enumerate(pairs)))
    whole = ids(api.get("alerts", ordering=ordering))
    pages, url = [], f"/api/v1/alerts?ordering={ordering}&limit=3"
    while url:
        answer = api.get(url)
        pages.append(ids(answer))
        url = answer.body["next"]
        back = answer.body["previous"]
    assert [each for page in pages for each in page] == whole
    assert [len(page) for page in pages] == [3, 3, 1]
    assert ids(api.get(back)) == pages[1]


def test_filters_narrow_the_list(api: Api) -> None:
    hall = DeviceGroup.objects.create(name="hall", parent=DeviceGroup.objects.create(name="plant"))
    pump = life(name="pump-1", group=hall)
    critical = life(severity=Severity.CRITICAL, at=60)
    ended = life(clear=True, at=30)
    ann = User.objects.get(username="ann")
    Alert.objects.filter(pk=critical.pk).update(assignee=ann, flapping=True, state="acknowledged")
    every = {pump.pk, critical.pk, ended.pk}
    for query, expected in [
        ({"state": "open"}, {pump.pk}),
        ({"state": "open,acknowledged"}, {pump.pk, critical.pk}),
        ({"state": ["open", "cleared"]}, {pump.pk, ended.pk}),
        ({"severity": "critical"}, {critical.pk}),
        ({"severity": "critical,warning"}, every),
        ({"device": "pump-1"}, {pump.pk}),
        ({"threshold": pump.threshold_id}, {pump.pk}),
        ({"threshold": "Bearing hot"}, every),
        ({"metric": "temperature"}, every),
        ({"metric": "pressure"}, set()),
        ({"type": pump_type(pump)}, {pump.pk}),
        ({"group": "plant"}, {pump.pk}),
        ({"assignee": "me"}, {critical.pk}),
        ({"assignee": "ann"}, {critical.pk}),
        ({"assignee": "none", "state": "open"}, {pump.pk}),
        ({"flapping": "true"}, {critical.pk}),
        ({"since": "2026-11-18T11:07:00Z"}, {ended.pk, critical.pk}),
        ({"until": "2026-11-18T11:07:00Z"}, {pump.pk}),
        ({"state": ""}, every),
    ]:
        assert set(ids(api.get("alerts", **query))) == expected, query  # type: ignore[arg-type]


def pump_type(alert: Alert) -> str:
    return str(Pair.make().series.device.__class__.objects.get(pk=alert.device_id).type)


def test_alerts_of_a_deleted_device_are_found_by_the_name_that_it_had(api: Api) -> None:
    pair = Pair.make(make_device("gone", type=make_type()))
    pair.opened(0).record()
    alert = pair.cleared(5).record()
    device, threshold = pair.series.device, pair.threshold.pk
    delete_device(device)
    assert ids(api.get("alerts", device="gone")) == [alert.pk]
    assert ids(api.get("alerts", threshold=threshold)) == [alert.pk]
    assert "The threshold has been deleted since." in api.get(f"alerts/{alert.pk}").body["explanation"]


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ({"state": "closed"}, "state", "invalid_choice"),
        ({"state": "open,closed"}, "state", "invalid_choice"),
        ({"severity": "4"}, "severity", "invalid_choice"),
        ({"device": "nobody"}, "device", "does_not_exist"),
        ({"device": "no\x00body"}, "device", "invalid"),
        ({"threshold": "nothing"}, "threshold", "does_not_exist"),
        ({"type": "nothing"}, "type", "does_not_exist"),
        ({"group": "nowhere"}, "group", "does_not_exist"),
        ({"assignee": "nobody"}, "assignee", "does_not_exist"),
        ({"flapping": "perhaps"}, "flapping", "invalid_choice"),
        ({"since": "yesterday"}, "since", "invalid"),
        ({"since": "2026-11-21T10:00:00"}, "since", "invalid"),
        ({"until": "2026-13-01T00:00:00Z"}, "until", "invalid"),
        ({"ordering": "value"}, "ordering", "invalid_choice"),
        ({"limit": "many"}, "limit", "invalid"),
        ({"cursor": "x"}, "cursor", "invalid_cursor"),
        ({"cursor": "W3RydWUsWzEsMl1d"}, "cursor", "invalid_cursor"),
        ({"cursor": "W3RydWUsWyIyMDI2LTAxLTAxIiwgMV1d"}, "cursor", "invalid_cursor"),
    ],
)
def test_a_wrong_query_is_told_what_to_say(api: Api, query: dict[str, str], field: str, code: str) -> None:
    answer = api.get("alerts", **query)
    assert answer.status == 400
    assert answer.faults() == {(field, code)}


def test_a_threshold_that_never_was_has_no_alerts(api: Api) -> None:
    assert ids(api.get("alerts", threshold="99999999999999999999999")) == []


def test_one_alert_is_explained_and_tells_its_life(api: Api) -> None:
    alert = opened_alert()
    api.post(f"alerts/{alert.pk}/acknowledge", {"text": "on my way"})
    body = api.get(f"alerts/{alert.pk}").body
    assert body["rule"]["name"] == "Bearing hot"
    assert "was 80 °C; the level warning means above 70 °C." in body["explanation"]
    first, second = body["timeline"]
    assert (first["kind"], first["who"], first["value"], first["severity"]) == ("opened", None, 80.0, "warning")
    assert (second["kind"], second["who"], second["text"]) == ("acknowledged", "ann", "on my way")
    assert second["at"].endswith("Z")


def test_there_is_no_alert_of_that_number(api: Api) -> None:
    for path in ("alerts/4711", "alerts/99999999999999999999999"):
        answer = api.get(path)
        assert (answer.status, answer.body["title"]) == (404, "Not Found")
        assert "There is no alert" in answer.body["detail"]


# --- rights ---------------------------------------------------------------------------------------------------------


def test_who_may_see_alerts_may_not_change_them() -> None:
    alert, reader = opened_alert(), operator_api("view")
    assert reader.get("alerts").status == reader.get(f"alerts/{alert.pk}").status == 200
    for action, body in [
        ("acknowledge", {}),
        ("assign", {"assignee": None}),
        ("comment", {"text": "x"}),
        ("resolve", {}),
    ]:
        assert reader.post(f"alerts/{alert.pk}/{action}", body).status == 403
    assert reader.post("alerts/bulk", {"action": "acknowledge", "ids": [alert.pk]}).status == 403
    assert Alert.objects.get().state == "open"


def test_others_see_nothing() -> None:
    alert = opened_alert()
    nobody = api_of(User.objects.create_user("nobody"))
    stranger = api_of(None)
    for path in ("alerts", f"alerts/{alert.pk}"):
        assert nobody.get(path).status == 403
        assert stranger.get(path).status == 401
    assert stranger.post(f"alerts/{alert.pk}/resolve").status == 401


# --- one alert ------------------------------------------------------------------------------------------------------


def test_acknowledging_over_rest(api: Api) -> None:
    alert = opened_alert()
    answer = api.post(f"alerts/{alert.pk}/acknowledge")
    assert (answer.status, answer.body["state"], answer.body["acknowledged_by"]) == (200, "acknowledged", "ann")
    assert api.post(f"alerts/{alert.pk}/acknowledge", {}).status == 200
    other = operator_api(username="bob").post(f"alerts/{alert.pk}/acknowledge", {})
    assert (other.status, other.body["title"]) == (409, "Conflict")
    assert other.body["detail"].startswith("ann acknowledged it at 20")


def test_assigning_over_rest(api: Api) -> None:
    alert = opened_alert()
    operator("view", username="bob")
    assert api.post(f"alerts/{alert.pk}/assign", {"assignee": "bob"}).body["assignee"] == "bob"
    assert api.post(f"alerts/{alert.pk}/assign", {"assignee": "me"}).body["assignee"] == "ann"
    assert api.post(f"alerts/{alert.pk}/assign", {"assignee": None}).body["assignee"] is None


def test_commenting_and_resolving_over_rest(api: Api) -> None:
    alert = opened_alert()
    assert api.post(f"alerts/{alert.pk}/comment", {"text": "a fan"}).body["timeline"][-1]["text"] == "a fan"
    answer = api.post(f"alerts/{alert.pk}/resolve", {"text": "replaced"})
    assert (answer.status, answer.body["state"], answer.body["ended_at"] is None) == (200, "resolved", False)
    assert operator_api().post(f"alerts/{alert.pk}/resolve").status == 409


def test_bad_input_of_the_actions(api: Api) -> None:
    alert = opened_alert()
    User.objects.create_user("blind")
    User.objects.create_user("left", is_active=False)
    for action, body, field, code in [
        ("assign", {}, "assignee", "required"),
        ("assign", {"assignee": "nobody"}, "assignee", "does_not_exist"),
        ("assign", {"assignee": "left"}, "assignee", "does_not_exist"),
        ("assign", {"assignee": "blind"}, "assignee", "may_not_view"),
        ("assign", {"assignee": 7.5}, "assignee", "does_not_exist"),
        ("assign", {"assignee": ["ann"]}, "assignee", "invalid"),
        ("assign", {"assignee": ""}, "assignee", "blank"),
        ("assign", {"user": "ann", "assignee": None}, "user", "unknown_field"),
        ("comment", {}, "text", "required"),
        ("comment", {"text": " "}, "text", "blank"),
        ("comment", {"text": "x" * 10_001}, "text", "max_length"),
        ("comment", {"text": "nul \x00"}, "text", "null_characters_not_allowed"),
        ("comment", {"text": {}}, "text", "invalid"),
        ("acknowledge", {"note": "x"}, "note", "unknown_field"),
        ("resolve", {"text": None}, "text", "null"),
    ]:
        answer = api.post(f"alerts/{alert.pk}/{action}", body)
        assert (answer.status, answer.faults()) == (400, {(field, code)}), (action, body)
    for action in ("acknowledge", "assign", "comment", "resolve"):
        assert api.post(f"alerts/4711/{action}", {}).status == 404
        assert api.get(f"alerts/{alert.pk}/{action}").status == 405
        assert api.send("POST", f"alerts/{alert.pk}/{action}", raw=b"{").status == 400
        assert api.send("POST", f"alerts/{alert.pk}/{action}", raw=b'"x"').status == 400
    surrogate = api.send("POST", f"alerts/{alert.pk}/comment", raw=b'{"text": "\\ud800"}')
    assert surrogate.status == 400, surrogate.body
    surrogate = api.send("POST", f"alerts/{alert.pk}/assign", raw=b'{"assignee": "\\ud800"}')
    assert surrogate.status == 400, surrogate.body


# --- many -----------------------------------------------------------------------------------------------------------


def test_many_are_acknowledged_and_each_is_answered_for(api: Api) -> None:
    free, taken = opened_alert(), opened_alert()
    operator_api(username="bob").post(f"alerts/{taken.pk}/acknowledge")
    answer = api.post("alerts/bulk", {"action": "acknowledge", "ids": [free.pk, taken.pk, 4711], "text": "all mine"})
    assert (answer.status, answer.body["changed"], answer.body["more"]) == (200, 1, False)
    results = {each["id"]: (each["result"], each["detail"][:20]) for each in answer.body["results"]}
    assert results == {
        free.pk: ("changed", ""),
        taken.pk: ("conflict", "bob acknowledged it "),
        4711: ("not_found", "There is no alert 47"),
    }
    assert free.timeline.last().text == "all mine"


def test_many_are_resolved_assigned_and_commented_by_a_filter(api: Api) -> None:
    first, second = opened_alert(), life(severity=Severity.CRITICAL)
    chosen = {"filter": {"state": ["open", "acknowledged"], "severity": "warning", "flapping": False}}
    assert api.post("alerts/bulk", {"action": "assign", "assignee": "me", **chosen}).body["changed"] == 1
    assert api.post("alerts/bulk", {"action": "comment", "text": "storm", **chosen}).body["changed"] == 1
    assert api.post("alerts/bulk", {"action": "resolve", **chosen}).body["changed"] == 1
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.assignee and first.assignee.username, second.state) == ("resolved", "ann", "open")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "action", "required"),
        ({"action": "delete", "ids": [1]}, "action", "invalid_choice"),
        ({"action": "resolve"}, "ids", "required"),
        ({"action": "resolve", "ids": [1], "filter": {"state": "open"}}, "ids", "required"),
        ({"action": "resolve", "ids": ["x"]}, "ids.0", "invalid"),
        ({"action": "resolve", "ids": [-1]}, "ids.0", "min_value"),
        ({"action": "resolve", "ids": 7}, "ids", "not_a_list"),
        ({"action": "resolve", "ids": [1] * 5_001}, "ids", "max_length"),
        ({"action": "resolve", "filter": {}}, "filter", "required"),
        ({"action": "resolve", "filter": {"status": "open"}}, "filter.status", "unknown_field"),
        ({"action": "resolve", "filter": {"state": "closed"}}, "filter.state", "invalid_choice"),
        ({"action": "resolve", "filter": {"device": "nobody"}}, "filter.device", "does_not_exist"),
        ({"action": "resolve", "filter": {"device": "\ud800"}}, "filter.device", "does_not_exist"),
        ({"action": "resolve", "filter": ["open"]}, "filter", "not_a_dict"),
        ({"action": "assign", "ids": [1]}, "assignee", "required"),
        ({"action": "assign", "ids": [1], "assignee": "nobody"}, "assignee", "does_not_exist"),
        ({"action": "comment", "ids": [1]}, "text", "required"),
        ({"action": "resolve", "ids": [1], "all": True}, "all", "unknown_field"),
    ],
)
def test_bad_input_of_the_bulk_action(api: Api, body: dict[str, Any], field: str, code: str) -> None:
    answer = api.post("alerts/bulk", body)
    assert answer.status == 400, answer.body
    assert {(fault.split(".10")[0] if fault else fault, reason) for fault, reason in answer.faults()} == {(field, code)}

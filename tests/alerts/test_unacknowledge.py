"""Taking an acknowledgement back: whose it is, for how long, and what goes on then."""

from __future__ import annotations

import pytest

from alerts import actions
from alerts.follow_up import follow_up
from alerts.models import Message
from tests.alerts.changes import Pair, opened_alert, timeline
from tests.alerts.operators import operator, operator_api
from tests.alerts.people import later, make_route, make_webhook, tell_all

pytestmark = pytest.mark.usefixtures("platform_db")


def test_an_acknowledgement_taken_back_leaves_the_alert_as_if_nobody_had_it() -> None:
    alert, ann = opened_alert(), operator()
    actions.acknowledge([alert.pk], ann)
    assert actions.unacknowledge([alert.pk], ann, "wrong one").changed == [alert.pk]
    alert.refresh_from_db()
    assert (alert.state, alert.acknowledged_by, alert.acknowledged_at) == ("open", None, None)
    assert timeline(alert) == ["opened", "acknowledged", "unacknowledged"]
    event = alert.timeline.last()
    assert (event.who, event.text) == (ann, "wrong one")
    assert actions.unacknowledge([alert.pk], ann).unchanged == [alert.pk]
    assert actions.acknowledge([alert.pk], operator()).changed == [alert.pk]


def test_nobody_takes_back_what_somebody_else_acknowledged() -> None:
    alert, ann = opened_alert(), operator(username="ann")
    actions.acknowledge([alert.pk], ann)
    assert "ann acknowledged it" in actions.unacknowledge([alert.pk], operator()).refused[alert.pk]
    assert timeline(alert) == ["opened", "acknowledged"]


@pytest.mark.parametrize("did", ["comment", "assign"])
def test_once_somebody_else_has_touched_it_an_acknowledgement_stands(did: str) -> None:
    alert, ann, bob = opened_alert(), operator(), operator(username="bob")
    actions.comment([alert.pk], bob, "before it: no matter")
    actions.acknowledge([alert.pk], ann)
    actions.comment([alert.pk], ann, "my own: no matter")
    actions.comment([alert.pk], bob, "thanks") if did == "comment" else actions.assign([alert.pk], bob, bob)
    assert actions.unacknowledge([alert.pk], ann).refused[alert.pk].startswith("bob ")
    alert.refresh_from_db()
    assert alert.state == "acknowledged"


def test_what_is_over_is_not_opened_again_by_it() -> None:
    pair, ann = Pair.make(), operator()
    alert = pair.opened(0).record()
    actions.acknowledge([alert.pk], ann)
    pair.cleared(5).record()
    assert "cleared" in actions.unacknowledge([alert.pk], ann).refused[alert.pk]


def test_reminders_go_on_after_it() -> None:
    make_route(make_webhook(), repeat_minutes=5)
    alert, ann = opened_alert(caught_up=True), operator()
    tell_all()
    actions.acknowledge([alert.pk], ann)
    follow_up(later(1000))
    repeats = Message.objects.filter(kind="repeat")
    Message.objects.update(state="sent", sent_at=later(0))
    assert not repeats.exists()
    actions.unacknowledge([alert.pk], ann)
    follow_up(later(1000))
    assert repeats.count() == 1


def test_rest_takes_it_back_one_or_many_and_says_who_is_in_the_way() -> None:
    first, second = opened_alert(), opened_alert()
    ann = operator_api(username="ann")
    ann.post("alerts/bulk", {"action": "acknowledge", "ids": [first.pk, second.pk]})
    other = operator_api().post(f"alerts/{first.pk}/unacknowledge", {})
    assert (other.status, "ann acknowledged it" in other.body["detail"]) == (409, True)
    answer = ann.post(f"alerts/{first.pk}/unacknowledge", {})
    assert (answer.status, answer.body["state"], answer.body["acknowledged_by"]) == (200, "open", None)
    many = ann.post("alerts/bulk", {"action": "unacknowledge", "ids": [first.pk, second.pk]})
    assert [row["result"] for row in many.body["results"]] == ["unchanged", "changed"]
    assert operator_api("view").post(f"alerts/{first.pk}/unacknowledge", {}).status == 403


def test_alerts_are_found_by_part_of_a_name() -> None:
    alert = opened_alert()
    opened = operator_api()
    for term in (alert.threshold_name[2:6].upper(), alert.device_name[1:], "emperat"):
        assert [row["id"] for row in opened.get("alerts", q=term).body["results"]] == [alert.pk]
    assert opened.get("alerts", q="nothing like it").body["results"] == []

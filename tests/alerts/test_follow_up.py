"""Repeats, escalation, flapping, raises: who hears what, and who is left in peace. The clock is the test's."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from alerts.dispatch import IMPORTED, LATE, dispatch
from alerts.follow_up import follow_up
from alerts.models import Alert, AlertEvent, EscalationStep, Message, Route
from tests.alerts.changes import Pair, opened_alert, record_all
from tests.alerts.people import deliver_all, kinds_sent, make_route, make_silence, make_webhook, tell_all, texts
from tests.alerts.receivers import WebServer

pytestmark = pytest.mark.usefixtures("nobody_told")


class Clock:
    """The platform's time, moved on a minute at a time as beat would."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def run(self, minutes: int) -> None:
        for _ in range(minutes):
            self.now += timedelta(minutes=1)
            dispatch(self.now)
            follow_up(self.now)
            deliver_all(self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def step(route: Route, minutes: float, *servers: WebServer) -> None:
    made = EscalationStep.objects.create(route=route, after_minutes=minutes)
    made.channels.set([make_webhook(server) for server in servers])


def acknowledge(alert: Alert) -> None:
    Alert.objects.filter(pk=alert.pk).update(state="acknowledged", acknowledged_at=timezone.now())


def test_by_default_nothing_is_repeated(receiver: WebServer, clock: Clock) -> None:
    make_route(make_webhook(receiver))
    opened_alert()
    clock.run(120)
    assert kinds_sent() == ["opening"]


def test_what_is_open_and_unacknowledged_is_repeated(receiver: WebServer, clock: Clock) -> None:
    make_route(make_webhook(receiver), repeat_minutes=10)
    alert = opened_alert()
    clock.run(32)
    assert kinds_sent() == ["opening", "repeat", "repeat", "repeat"]
    assert [request.body["step"] for request in receiver.received] == [0, 1, 2, 3]
    assert len({request.key for request in receiver.received}) == 4
    acknowledge(alert)
    clock.run(60)
    assert kinds_sent().count("repeat") == 3


def test_repeats_of_many_are_one_message(receiver: WebServer, clock: Clock) -> None:
    make_route(make_webhook(receiver), repeat_minutes=10)
    record_all(*[Pair.make().opened() for _ in range(20)])
    clock.run(12)
    assert kinds_sent() == ["opening", "repeat"]
    assert len(receiver.received[1].body["alerts"]) == 20


def test_a_receiver_that_comes_back_is_not_flooded_with_repeats(receiver: WebServer, clock: Clock) -> None:
    make_route(make_webhook(receiver), repeat_minutes=5)
    opened_alert()
    receiver.replies = [(503, {"Retry-After": "7200"})]
    clock.run(115)
    assert Message.objects.count() == 1
    clock.run(8)
    assert kinds_sent() == ["opening"]


def test_unacknowledged_alerts_climb_the_steps_once_each(receiver: WebServer, clock: Clock) -> None:
    route = make_route(make_webhook(receiver))
    step(route, 15, receiver)
    step(route, 60, receiver)
    opened_alert()
    clock.run(14)
    assert kinds_sent() == ["opening"]
    clock.run(3)
    assert kinds_sent() == ["opening", "escalation"]
    assert "Not acknowledged for 15 minutes" in receiver.received[1].body["text"]
    clock.run(120)
    assert kinds_sent() == ["opening", "escalation", "escalation"]
    assert [request.body["step"] for request in receiver.received] == [0, 1, 2]


def test_an_acknowledged_alert_climbs_no_further(receiver: WebServer, clock: Clock) -> None:
    route = make_route(make_webhook(receiver))
    step(route, 15, receiver)
    alert = opened_alert()
    clock.run(5)
    acknowledge(alert)
    clock.run(60)
    assert kinds_sent() == ["opening"]


def test_a_dead_first_receiver_does_not_stop_the_escalation(receiver: WebServer, clock: Clock) -> None:
    route = make_route(make_webhook())
    step(route, 15, receiver)
    opened_alert()
    clock.run(20)
    assert [request.body["kind"] for request in receiver.received] == ["escalation"]


def test_whoever_heard_by_escalation_hears_the_end(receiver: WebServer, clock: Clock) -> None:
    route = make_route(make_webhook())
    step(route, 5, receiver)
    pair = Pair.make().opened()
    pair.record()
    clock.run(10)
    pair.cleared(600).record()
    clock.run(3)
    assert [request.body["kind"] for request in receiver.received] == ["escalation", "recovery"]


def test_a_silence_holds_repeats_and_steps_back(receiver: WebServer, clock: Clock) -> None:
    route = make_route(make_webhook(receiver), repeat_minutes=10)
    step(route, 15, receiver)
    opened_alert()
    clock.run(2)
    make_silence(starts_at=clock.now, ends_at=clock.now + timedelta(minutes=60))
    clock.run(59)
    assert kinds_sent() == ["opening"]
    clock.run(3)
    assert sorted(kinds_sent()) == ["escalation", "opening", "repeat"]


def test_a_route_may_do_without_recovery_notices(receiver: WebServer, clock: Clock) -> None:
    make_route(make_webhook(receiver), recovery=False)
    pair = Pair.make().opened()
    pair.record()
    clock.run(1)
    pair.cleared(60).record()
    clock.run(5)
    assert kinds_sent() == ["opening"]


def test_one_notice_says_that_it_flaps_and_no_more_follow_until_it_is_over(receiver: WebServer, clock: Clock) -> None:
    route = make_route(make_webhook(receiver), repeat_minutes=1)
    step(route, 5, receiver)
    pair = Pair.make().opened().flapping(0)
    pair.record()
    clock.run(2)
    pair.raised(60).record()
    clock.run(30)
    assert kinds_sent() == ["flapping"]
    assert receiver.received[0].body["alerts"][0]["flapping"] is True
    pair.cleared(1200).record()
    clock.run(2)
    assert kinds_sent() == ["flapping", "recovery"]


def test_a_raise_to_a_new_height_is_told_and_one_to_where_it_was_is_not(receiver: WebServer, clock: Clock) -> None:
    make_route(make_webhook(receiver))
    pair = Pair.make().opened()
    pair.record()
    clock.run(2)
    pair.raised(60).record()
    clock.run(2)
    assert receiver.received[1].body["alerts"][0]["event"] == "raised"
    record_all(pair.lowered(90))
    record_all(pair.raised(120))
    clock.run(5)
    assert kinds_sent() == ["opening", "opening"]


def test_a_raise_reaches_the_route_that_asks_for_it(receiver: WebServer, clock: Clock) -> None:
    make_route(make_webhook(receiver), min_severity=4)
    pair = Pair.make().opened()
    pair.record()
    clock.run(2)
    assert receiver.received == []
    pair.raised(60).record()
    clock.run(2)
    assert kinds_sent() == ["opening"]


def test_routes_are_asked_in_order_until_one_does_not_continue(receiver: WebServer) -> None:
    names = ["first", "second", "third"]
    for position, name in enumerate(names):
        make_route(make_webhook(receiver, name=name), position=position, continues=name == "first")
    alert = opened_alert()
    tell_all()
    told = [text.split(" ")[0] for text in texts(alert, "notified")]
    assert sorted(told) == ["first", "second"]


def test_two_routes_to_one_channel_tell_it_once(receiver: WebServer) -> None:
    channel = make_webhook(receiver)
    make_route(channel, continues=True)
    make_route(channel)
    opened_alert()
    tell_all()
    assert len(receiver.received) == 1


def test_imports_are_told_to_nobody(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    alert = Pair.make().opened(imported=True, caught_up=False).record()
    tell_all()
    assert receiver.received == []
    assert texts(alert, "suppressed") == [IMPORTED]


def test_an_old_alert_is_told_once_its_series_has_caught_up(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    pair = Pair.make().opened(caught_up=False)
    alert = pair.record()
    tell_all()
    assert receiver.received == []
    assert AlertEvent.objects.get(alert=alert).unrouted, "it waits"
    pair.progress(3600, 85.0, caught_up=True).record()
    tell_all()
    assert kinds_sent() == ["opening"]


def test_an_old_alert_that_was_over_before_is_not_told(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    pair = Pair.make().opened(caught_up=False)
    alert = pair.record()
    pair.cleared(60, caught_up=False).record()
    tell_all()
    assert receiver.received == []
    assert texts(alert, "suppressed") == [LATE]
    assert not AlertEvent.objects.filter(unrouted=True).exists()


def test_a_reminder_of_what_ended_meanwhile_is_not_sent(receiver: WebServer, clock: Clock) -> None:
    make_route(make_webhook(receiver), repeat_minutes=10)
    pair = Pair.make().opened()
    pair.record()
    clock.run(2)
    due: datetime = clock.now + timedelta(minutes=10)
    follow_up(due)
    assert Message.objects.filter(kind="repeat").exists()
    pair.cleared(60).record()
    deliver_all(due)
    assert kinds_sent() == ["opening"]
    assert not Message.objects.filter(kind="repeat").exists()


def test_a_flapping_alert_that_a_silence_held_back_is_not_repeated_either(receiver: WebServer, clock: Clock) -> None:
    route = make_route(make_webhook(receiver), repeat_minutes=1)
    step(route, 5, receiver)
    make_silence(starts_at=clock.now - timedelta(hours=1), ends_at=clock.now + timedelta(minutes=3))
    Pair.make().opened().flapping(0).record()
    clock.run(20)
    assert kinds_sent() == ["summary"]

"""Ten thousand alerts at once: a handful of messages, each alert named, nobody's database held up."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from alerts.deliver import attempt, claim, complete
from alerts.dispatch import dispatch
from alerts.models import Alert, AlertEvent, Message, MessageAlert
from tests.alerts.people import deliver_all, later, make_route, make_silence, make_webhook
from tests.alerts.receivers import WebServer

pytestmark = pytest.mark.usefixtures("nobody_told")
STORM = 10_000


def storm(first: int, last: int) -> None:
    """Alerts with their opening rows, as drains would have written them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alerts_alert (threshold_id, threshold_name, series_id, device_id, device_name, metric, state, "
            "severity, highest_severity, value, readings, opened_at, detected_at, caught_up, evidence, rule, condition) "
            "SELECT 1, 'Bearing hot', n, n, 'device-' || n, 'temperature', 'open', 2, 2, 80, 1, now(), now(), true, "
            "'{}', '{\"message\": \"{device} is hot\"}', 'above' FROM generate_series(%s, %s) n",
            [first, last],
        )
        cursor.execute(
            "INSERT INTO alerts_alertevent (alert_id, kind, at, severity, unrouted) "
            "SELECT id, 'opened', now(), severity, true FROM alerts_alert WHERE series_id BETWEEN %s AND %s ORDER BY id",
            [first, last],
        )


def test_a_storm_is_a_few_messages_that_name_every_alert(receiver: WebServer) -> None:
    make_route(make_webhook(receiver), continues=True)
    make_route(make_webhook(receiver), continues=True)
    start = time.monotonic()
    for part in range(10):
        storm(part * STORM // 10 + 1, (part + 1) * STORM // 10)
        dispatch()
    routed = time.monotonic() - start
    start = time.monotonic()
    deliver_all(later(31))
    delivered = time.monotonic() - start

    assert Message.objects.count() <= 50
    assert MessageAlert.objects.count() == 2 * STORM
    named = [each["id"] for request in receiver.received for each in request.body["alerts"]]
    assert len(named) == 2 * STORM
    assert set(named) == set(Alert.objects.values_list("pk", flat=True))
    assert AlertEvent.objects.filter(kind="notified").count() == 2 * STORM
    assert not AlertEvent.objects.filter(unrouted=True).exists()
    print(f"storm of {STORM}: routed in {routed:.1f} s, delivered twice in {delivered:.1f} s")
    assert routed < 20, "a few seconds on an idle machine"


def test_a_storm_under_a_silence_and_its_summary(receiver: WebServer) -> None:
    from alerts.follow_up import follow_up

    make_route(make_webhook(receiver))
    silence = make_silence()
    storm(1, STORM)
    dispatch()
    assert AlertEvent.objects.filter(kind="suppressed").count() == STORM
    end = silence.ends_at + timedelta(seconds=1)
    follow_up(end)
    deliver_all(end)
    (request,) = receiver.received
    assert request.body["count"] == STORM


def test_a_storm_that_ends_is_a_few_messages_too(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    storm(1, STORM)
    dispatch()
    deliver_all(later(31))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE alerts_alert SET state = 'cleared', ended_at = now()")
        cursor.execute(
            "INSERT INTO alerts_alertevent (alert_id, kind, at, unrouted) SELECT id, 'cleared', now(), true FROM alerts_alert"
        )
    dispatch()
    deliver_all(later(62))
    # Endings are read in batches, but collect in one message.
    assert [(request.body["kind"], request.body["count"]) for request in receiver.received] == [
        ("opening", STORM),
        ("recovery", STORM),
    ]


@pytest.mark.alone
def test_while_the_notifier_is_down_alerts_are_recorded_and_routed_as_ever(receiver: WebServer) -> None:
    make_route(make_webhook())
    storm(1, 100)
    dispatch()
    Message.objects.update(due_at=timezone.now())
    claimed = claim()
    assert claimed is not None
    # It is on its way, for as long as it may take; more opens, and is routed, meanwhile.
    storm(101, 200)
    start = time.monotonic()
    assert dispatch() == 100
    assert time.monotonic() - start < 5
    assert Message.objects.filter(state="collecting").count() == 1
    outcome = attempt(claimed)
    assert not outcome.ok
    complete(claimed, outcome)
    assert AlertEvent.objects.filter(kind="notification_failed").count() == 100

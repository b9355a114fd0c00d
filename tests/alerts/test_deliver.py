"""Retries, refusals, crashes: each message at least once, with one key, and its receiver never held against others."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.utils import timezone

from alerts.channels.answers import retry_after
from alerts.deliver import LEASE, attempt, backoff, claim, complete
from alerts.dispatch import dispatch
from alerts.models import ChannelAttempt, Message
from alerts.senders import Senders
from tests.alerts.changes import opened_alert, timeline
from tests.alerts.people import deliver_all, later, make_email, make_route, make_webhook, tell_all, texts
from tests.alerts.receivers import MailServer, WebServer
from tests.builders import wait_until

pytestmark = pytest.mark.usefixtures("nobody_told")


def due_in() -> float:
    """Seconds until the one message is tried again."""
    return (Message.objects.get().due_at - timezone.now()).total_seconds()


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429])
def test_a_temporary_failure_is_tried_again_with_the_same_key(receiver: WebServer, status: int) -> None:
    channel = make_webhook(receiver)
    make_route(channel)
    alert = opened_alert()
    receiver.replies = [(status, {})]
    tell_all()
    message = Message.objects.get()
    assert (message.state, message.attempts) == ("sending", 1)
    assert f"HTTP {status}" in texts(alert, "notification_failed")[0]
    channel.refresh_from_db()
    assert channel.failing_since is not None
    assert str(status) in channel.last_error

    assert deliver_all(later(3600)) == 1
    first, second = receiver.received
    assert first.key == second.key
    assert first.raw == second.raw, "what was frozen is what is sent"
    assert Message.objects.get().state == "sent"
    assert "at attempt 2" in texts(alert, "notified")[0]
    channel.refresh_from_db()
    assert (channel.failing_since, channel.last_error) == (None, "")


@pytest.mark.parametrize("status", [400, 401, 404, 410, 301, 302, 308])
def test_a_permanent_failure_is_given_up_at_once(receiver: WebServer, status: int) -> None:
    make_route(make_webhook(receiver))
    alert = opened_alert()
    receiver.replies = [(status, {"Location": receiver.url} if status < 400 else {})]
    tell_all()
    assert Message.objects.get().state == "failed"
    assert texts(alert, "notification_failed")[0].endswith("Given up.")
    assert deliver_all(later(7 * 86_400)) == 0
    assert len(receiver.received) == 1, "redirects are not followed"


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(receiver: WebServer, form: str) -> None:
    make_route(make_webhook(receiver))
    opened_alert()
    at = datetime.now(UTC) + timedelta(seconds=7200)
    receiver.replies = [(429, {"Retry-After": "7200" if form == "seconds" else format_datetime(at, usegmt=True)})]
    tell_all(31)
    # The attempt was made 31 s in the future.
    assert 7200 - 5 <= due_in() <= 7200 + 31 + 5


def test_retry_after_that_says_nothing_is_passed_over() -> None:
    assert retry_after("soon", 0) is None
    assert retry_after("-5", 0) is None
    assert retry_after(None, 0) is None
    assert retry_after("Thu, 01 Jan 1970 00:00:10 GMT", 4.0) == 6.0
    assert retry_after("Thu, 01 Jan 1970 00:00:10 GMT", 40.0) == 0.0


def test_the_back_off_doubles_with_full_jitter_and_has_a_ceiling() -> None:
    for attempts, ceiling in ((1, 5), (2, 10), (5, 80), (20, 1800), (5000, 1800)):
        pauses = [backoff(attempts) for _ in range(300)]
        assert 1.0 <= min(pauses) < max(pauses) <= ceiling
        assert max(pauses) > 0.8 * ceiling
        assert min(pauses) < max(1.5, 0.2 * ceiling)


def test_after_its_time_a_message_is_given_up(receiver: WebServer, configure: Any) -> None:
    configure(alert_retry_hours=1)
    make_route(make_webhook(receiver))
    alert = opened_alert()
    receiver.replies = [(500, {})] * 500
    tell_all()
    for minutes in range(5, 90, 5):
        deliver_all(later(60 * minutes))
    message = Message.objects.get()
    assert message.state == "failed"
    assert 3 < message.attempts < 40
    assert ChannelAttempt.objects.count() == message.attempts
    assert len(texts(alert, "notification_failed")) == 2, "when it first failed, and when it was given up"


def test_a_crash_between_sending_and_completing_repeats_the_message_with_its_key(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    alert = opened_alert()
    dispatch()
    now = later(31)
    claimed = claim(now)
    assert claimed is not None
    assert attempt(claimed).ok, "it arrived, and then the worker died"

    assert claim(now) is None, "while the lease lasts nobody takes it"
    assert deliver_all(now + LEASE) == 1
    first, second = receiver.received
    assert (first.key, first.raw) == (second.key, second.raw)
    assert timeline(alert).count("notified") == 1


def test_the_worker_that_was_too_slow_does_not_undo_what_another_did(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    alert = opened_alert()
    dispatch()
    slow = claim(later(31))
    assert slow is not None
    assert deliver_all(later(31) + LEASE) == 1
    receiver.replies = [(500, {})]
    assert not complete(slow, attempt(slow)), "it was not ours any more"
    assert Message.objects.get().state == "sent"
    assert timeline(alert).count("notification_failed") == 0


def test_the_worker_that_was_too_slow_does_not_end_the_lease_of_another(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    alert = opened_alert()
    dispatch()
    now = later(31)
    slow, quick = claim(now), claim(now + LEASE)
    assert slow is not None
    assert quick is not None
    receiver.replies = [(500, {})]
    assert not complete(slow, attempt(slow), now + LEASE)
    assert claim(now + LEASE + timedelta(seconds=30)) is None, "the other one still has it"
    assert complete(quick, attempt(quick), now + LEASE)
    assert timeline(alert).count("notification_failed") == 0


def test_two_workers_at_once_send_each_message_once(receiver: WebServer) -> None:
    for _ in range(6):
        make_route(make_webhook(receiver), continues=True)
    opened_alert()
    dispatch()
    Message.objects.update(due_at=timezone.now())
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        deliver_all()
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    deliver_all()
    keys = [request.key for request in receiver.received]
    assert len(keys) == len(set(keys)) == 6


def test_two_workers_at_once_route_each_opening_once(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    alerts = [opened_alert() for _ in range(5)]
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        dispatch()
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert tell_all() == 1
    assert {each["id"] for each in receiver.received[0].body["alerts"]} == {alert.pk for alert in alerts}


@pytest.mark.slow
def test_a_receiver_that_hangs_holds_up_nobody_else(receiver: WebServer, configure: Any) -> None:
    from tests.alerts.receivers import web_server

    configure(alert_egress_allow="127.0.0.0/8", alert_timeout_seconds=5)
    receiver.hold = threading.Event()
    make_route(make_webhook(receiver), continues=True)
    with web_server() as healthy:
        make_route(make_webhook(healthy), continues=True)
        opened_alert()
        dispatch()
        Message.objects.update(due_at=timezone.now())
        senders = Senders()
        begin = timezone.now()
        senders.pump()
        assert (timezone.now() - begin).total_seconds() < 1, "the thread that hands over does not wait"
        wait_until(lambda: healthy.received, 3, "the healthy receiver is told while the other hangs")
        assert senders.busy >= 1
        # What opens meanwhile reaches the healthy one too.
        opened_alert()
        dispatch()
        Message.objects.filter(state="collecting").update(due_at=timezone.now())
        senders.pump()
        wait_until(lambda: len(healthy.received) == 2, 3)
        assert len(receiver.received) == 1, "one at a time on the way to a receiver"
        wait_until(lambda: senders.busy == 0, 20)
    assert Message.objects.filter(state="sent").count() == 2
    assert "did not answer within 5 s" in Message.objects.filter(state="sending").order_by("pk")[0].error


def test_channels_that_fail_take_half_of_the_threads_at_most(receiver: WebServer) -> None:
    receiver.hold = threading.Event()
    for _ in range(6):
        make_route(make_webhook(receiver, failing_since=timezone.now()), continues=True)
    opened_alert()
    dispatch()
    Message.objects.update(due_at=timezone.now())
    senders = Senders(most=4)
    assert senders.pump() == 2
    receiver.hold.set()
    wait_until(lambda: senders.busy == 0 and Message.objects.filter(state="sent").count() == 6, 10)


def test_nobody_who_sends_holds_a_connection_to_the_database(receiver: WebServer) -> None:
    receiver.hold = threading.Event()
    for _ in range(14):
        make_route(make_webhook(receiver), continues=True)
    opened_alert()
    dispatch()
    Message.objects.update(due_at=timezone.now())
    senders = Senders()
    assert senders.pump() == 14, "more than the pool has connections"
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    receiver.hold.set()
    wait_until(lambda: senders.busy == 0, 10)
    assert Message.objects.filter(state="sent").count() == 14


def test_a_channel_that_was_switched_off_meanwhile_is_not_sent_to(receiver: WebServer) -> None:
    channel = make_webhook(receiver)
    make_route(channel)
    alert = opened_alert()
    dispatch()
    type(channel).objects.update(enabled=False)
    tell_all()
    assert receiver.received == []
    assert "switched off" in texts(alert, "notification_failed")[0]


def test_a_secret_that_cannot_be_read_is_said_so(receiver: WebServer, settings: Any) -> None:
    make_route(make_webhook(receiver))
    alert = opened_alert()
    settings.SECRET_KEY = "quite another key of this installation"
    tell_all()
    assert "enter it again" in texts(alert, "notification_failed")[0]


def test_what_a_receiver_says_back_is_kept_without_secrets(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    opened_alert()
    dispatch()
    claimed = claim(later(31))
    assert claimed is not None
    from alerts.channels import KINDS
    from alerts.channels.failures import PermanentFailure

    class Echo:
        def send(self, settings: Any, message: Any) -> str:
            raise PermanentFailure(f"no such hook: {settings['url']} {settings['secret']}")

    original = KINDS["webhook"]
    KINDS["webhook"] = Echo()  # type: ignore[assignment]
    try:
        outcome = attempt(claimed)
    finally:
        KINDS["webhook"] = original
    assert outcome.detail == "no such hook: … …"


def test_administrators_get_the_mail_of_the_default_channel(mail: MailServer) -> None:
    make_route(make_email())
    alert = opened_alert()
    tell_all()
    assert "No administrator has an email address" in texts(alert, "notification_failed")[0]

    User.objects.create_superuser("boss", "boss@example.org")
    User.objects.create_user("ann", "ann@example.org")
    opened_alert()
    tell_all()
    assert mail.recipients == [["boss@example.org"]]


@pytest.mark.parametrize(
    ("answer", "state"), [("451 4.3.0 try later", "sending"), ("554 5.7.1 we do not want it", "failed")]
)
def test_answers_of_the_mail_server_are_temporary_or_not(mail: MailServer, answer: str, state: str) -> None:
    make_route(make_email("ann@example.org"))
    alert = opened_alert()
    mail.answers = [answer]
    tell_all()
    assert Message.objects.get().state == state
    assert answer[:3] in texts(alert, "notification_failed")[0]


def test_an_unknown_recipient_is_permanent(mail: MailServer) -> None:
    mail.unknown = {"ann@example.org"}
    make_route(make_email("ann@example.org"))
    alert = opened_alert()
    tell_all()
    assert Message.objects.get().state == "failed"
    assert "no such user" in texts(alert, "notification_failed")[0]


def test_a_mail_server_that_is_away_is_tried_again(mail: MailServer, settings: Any) -> None:
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    make_route(make_email("ann@example.org"))
    opened_alert()
    tell_all()
    assert Message.objects.get().state == "sending"
    settings.EMAIL_PORT = port
    deliver_all(later(3600))
    assert Message.objects.get().state == "sent"
    assert len(mail.mails) == 1

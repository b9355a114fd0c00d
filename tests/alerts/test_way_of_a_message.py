"""From an alert that opens to a receiver that knows, and back when it is over."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

from alerts.deliver import attempt, claim, complete
from alerts.dispatch import dispatch
from alerts.models import Message
from tests.alerts.changes import Pair, opened_alert, record_all, timeline
from tests.alerts.people import deliver_all, kinds_sent, later, make_email, make_route, make_webhook, tell_all, texts
from tests.alerts.receivers import SECRET, MailServer, WebServer

pytestmark = pytest.mark.usefixtures("nobody_told")


def test_an_opening_reaches_the_webhook_signed_and_stands_in_the_timeline(receiver: WebServer) -> None:
    make_route(make_webhook(receiver, name="ops"))
    alert = opened_alert(value=82.5)
    assert tell_all() == 1

    (request,) = receiver.received
    message = Message.objects.get()
    assert request.signed_by(SECRET)
    assert not request.signed_by("another secret")
    assert request.key == str(message.key) == request.body["id"]
    (named,) = request.body["alerts"]
    assert named["id"] == alert.pk
    assert (named["device"], named["severity"], named["value"], named["unit"]) == (
        alert.device_name,
        "warning",
        82.5,
        "°C",
    )
    assert message.state == "sent"
    assert timeline(alert) == ["opened", "notified"]
    assert texts(alert, "notified")[0].startswith("ops (Webhook)")


def test_the_mail_names_the_alert_in_text_and_html(mail: MailServer) -> None:
    make_route(make_email("ann@example.org", "bob@example.org"))
    alert = opened_alert()
    assert tell_all() == 1

    (arrived,) = mail.mails
    assert mail.recipients == [["ann@example.org", "bob@example.org"]]
    assert alert.device_name in arrived["Subject"]
    assert str(Message.objects.get().key) in arrived["Message-ID"]
    for form in ("plain", "html"):
        body: Any = arrived.get_body((form,))
        assert alert.device_name in body.get_content()


def test_openings_within_the_window_are_one_message_that_names_them_all(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    pairs = [Pair.make().opened() for _ in range(3)]
    record_all(*pairs[:2])
    dispatch()
    assert deliver_all() == 0, "it waits for more"
    record_all(pairs[2])
    assert tell_all() == 1
    assert len(receiver.received[0].body["alerts"]) == 3


def test_whoever_was_told_hears_that_it_is_over(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    pair = Pair.make().opened()
    alert = pair.record()
    tell_all()
    pair.cleared(60).record()
    tell_all()
    opening, recovery = (request.body for request in receiver.received)
    assert (opening["kind"], recovery["kind"]) == ("opening", "recovery")
    assert recovery["alerts"][0]["state"] == "cleared"
    assert sorted(timeline(alert)) == ["cleared", "notified", "notified", "opened"]


def test_what_is_over_before_it_is_sent_is_named_as_over_and_nothing_follows(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    pair = Pair.make().opened()
    pair.record()
    dispatch()
    pair.cleared(5).record()
    tell_all()
    (request,) = receiver.received
    assert request.body["alerts"][0]["state"] == "cleared"
    assert kinds_sent() == ["opening"]
    assert deliver_all(later(3600)) == 0


def test_who_was_never_told_hears_nothing_of_the_end(receiver: WebServer) -> None:
    make_route(make_webhook(receiver), min_severity=4)
    pair = Pair.make().opened()
    alert = pair.record()
    tell_all()
    pair.cleared(60).record()
    tell_all()
    assert receiver.received == []
    assert texts(alert, "suppressed") == ["No route matches it: nobody is told."]


def test_by_default_everything_reaches_the_administrators() -> None:
    from importlib import import_module

    from django.apps import apps

    from alerts.models import Channel, Route

    migration = import_module("alerts.migrations.0003_default_route")
    for _ in range(2):
        migration.make_default_route(apps, None)
    route, channel = Route.objects.get(), Channel.objects.get()
    assert list(route.channels.all()) == [channel]
    assert (channel.kind, channel.config, route.min_severity) == ("email", {"administrators": True}, 1)


def test_a_receiver_that_checks_as_the_documentation_tells_it_takes_the_message(receiver: WebServer) -> None:
    page = Path(__file__).parents[2].joinpath("docs/alerting-webhook.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    documented: dict[str, Any] = {}
    exec(example, documented)
    make_route(make_webhook(receiver))
    opened_alert()
    tell_all()
    (request,) = receiver.received
    headers = {"X-Timestamp": request.headers["x-timestamp"], "X-Signature": request.headers["x-signature"]}
    assert documented["is_genuine"](SECRET, headers, request.raw)
    assert not documented["is_genuine"]("another secret", headers, request.raw)
    assert not documented["is_genuine"](SECRET, headers | {"X-Timestamp": "1"}, request.raw)
    (named,) = request.body["alerts"]
    for field in (*request.body, *named):
        assert f'"{field}"' in page, "every field is documented"


def test_what_was_named_as_over_is_not_told_to_be_over_again(receiver: WebServer) -> None:
    """The message is frozen after the alert ended, and before routing sees the end."""
    make_route(make_webhook(receiver))
    pair = Pair.make().opened()
    pair.record()
    dispatch()
    pair.cleared(5).record()
    deliver_all(later(31))
    tell_all(3600)
    assert [request.body["alerts"][0]["state"] for request in receiver.received] == ["cleared"]


def test_an_end_that_comes_while_the_message_is_being_frozen_is_told(receiver: WebServer) -> None:
    """Freezing has read the alert as open and is not committed yet: routing waits for it, and sees whoever is told."""
    make_route(make_webhook(receiver))
    pair = Pair.make().opened()
    pair.record()
    dispatch()
    routed = threading.Event()

    def route() -> None:
        dispatch()
        routed.set()
        connections.close_all()

    router = threading.Thread(target=route)
    with transaction.atomic():
        claimed = claim(later(31))
        assert claimed is not None
        pair.cleared(5).record()
        router.start()
        assert not routed.wait(0.5)
    router.join(20)
    assert attempt(claimed).ok
    complete(claimed, attempt(claimed))
    deliver_all(later(120))
    assert [request.body["kind"] for request in receiver.received][-1] == "recovery"

"""Silences: recorded, marked, not sent; and once they are over, one summary of what is still open."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from alerts.dispatch import dispatch
from alerts.follow_up import follow_up
from alerts.models import HeldAlert, Message, Silence
from alerts.silencing import active_silences, in_force
from telemetry.models import DeviceGroup
from tests.alerts.changes import Pair, make_type, opened_alert, record_all, timeline
from tests.alerts.people import (
    deliver_all,
    kinds_sent,
    later,
    make_route,
    make_silence,
    make_webhook,
    moment,
    tell_all,
    texts,
)
from tests.alerts.receivers import WebServer
from tests.builders import make_device
from thresholds.schedule import parse

pytestmark = pytest.mark.usefixtures("nobody_told")


def test_a_silenced_alert_is_recorded_and_says_why_nobody_was_told(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    make_silence(author=User.objects.create_user("ann"))
    alert = opened_alert()
    tell_all()
    assert receiver.received == []
    assert alert.state == "open"
    assert texts(alert, "suppressed") == ["Silenced by ann: works on the line"]


def test_at_its_end_one_summary_names_what_is_still_open(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    silence = make_silence()
    pairs = [Pair.make().opened() for _ in range(3)]
    record_all(*pairs)
    dispatch()
    pairs[0].cleared(60).record()
    dispatch()
    follow_up()
    assert deliver_all(later(60)) == 0, "it still holds"

    end = silence.ends_at + timedelta(seconds=1)
    follow_up(end)
    assert deliver_all(end) == 1
    (request,) = receiver.received
    assert request.body["kind"] == "summary"
    assert {each["id"] for each in request.body["alerts"]} == {pair.alerts()[0].pk for pair in pairs[1:]}
    assert "works on the line" in request.body["text"]
    silence.refresh_from_db()
    assert silence.summarised_until == end
    follow_up(end + timedelta(minutes=5))
    assert deliver_all(end + timedelta(hours=1)) == 0, "once"

    pairs[1].cleared(90).record()
    tell_all(7200)
    assert receiver.received[-1].body["kind"] == "recovery", "they were told of it, by the summary"


@pytest.mark.parametrize("way", ["deleted", "shortened", "narrowed"])
def test_a_silence_that_is_taken_back_loses_nothing(receiver: WebServer, way: str) -> None:
    make_route(make_webhook(receiver))
    silence = make_silence()
    opened_alert()
    tell_all()
    if way == "deleted":
        silence.delete()
    elif way == "shortened":
        Silence.objects.update(ends_at=timezone.now())
    else:
        Silence.objects.update(metric="pressure")
    follow_up()
    deliver_all(later(1))
    assert kinds_sent() == ["summary"]


def test_an_alert_above_its_severity_is_sent_all_the_same(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    make_silence(max_severity=2)
    pair = Pair.make().opened()
    alert = pair.record()
    tell_all()
    assert receiver.received == []
    pair.raised(30).record()
    tell_all()
    assert [request.body["kind"] for request in receiver.received] == ["opening"]
    assert not HeldAlert.objects.exists()
    assert texts(alert, "suppressed") == ["Silenced: works on the line"]


def test_whoever_was_told_before_hears_the_end_within_a_silence(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    pair = Pair.make().opened()
    pair.record()
    tell_all()
    make_silence()
    pair.cleared(60).record()
    tell_all()
    assert kinds_sent() == ["opening", "recovery"]


def matchers() -> dict[str, Any]:
    """What a silence may name, as it fits the alert of `marked_pair`."""
    return {
        "device": lambda pair: {"device": pair.series.device},
        "group": lambda pair: {"group": DeviceGroup.objects.get(path="plant")},
        "device_type": lambda pair: {"device_type": pair.series.device.type},
        "threshold": lambda pair: {"threshold": pair.threshold},
        "metric": lambda pair: {"metric": "temperature"},
        "labels": lambda pair: {"labels": {"site": "north"}},
    }


def marked_pair(group: DeviceGroup, **labels: str) -> Pair:
    return Pair.make(make_device(type=make_type(), group=group, labels=labels)).opened()


@pytest.mark.parametrize("matcher", sorted(matchers()))
def test_it_holds_what_it_names_and_nothing_else(receiver: WebServer, matcher: str) -> None:
    make_route(make_webhook(receiver))
    plant = DeviceGroup.objects.create(name="plant")
    below = DeviceGroup.objects.create(name="hall", parent=plant)
    beside = DeviceGroup.objects.create(name="plant-2")
    meant = marked_pair(below, site="north", floor="1")
    make_silence(**matchers()[matcher](meant))
    other = marked_pair(beside, site="south")
    if matcher == "metric":
        other = Pair.make(metric="pressure").opened()
    record_all(meant, other)
    tell_all()
    (request,) = receiver.received
    assert [each["id"] for each in request.body["alerts"]] == [other.alerts()[0].pk]
    assert timeline(meant.alerts()[0]) == ["opened", "suppressed"]


BERLIN = {"zone": "Europe/Berlin", "windows": [{"days": ["sun"], "start": "01:30", "end": "03:30"}]}


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        # Winter: Berlin is an hour ahead.
        ("2026-01-11T00:29:59", False),
        ("2026-01-11T00:30:00", True),
        ("2026-01-11T02:29:59", True),
        ("2026-01-11T02:30:00", False),
        ("2026-01-12T01:00:00", False),
        # 2026-03-29, 02:00 to 03:00 does not exist: the window is an hour shorter.
        ("2026-03-29T00:30:00", True),
        ("2026-03-29T01:29:59", True),
        ("2026-03-29T01:30:00", False),
        # 2026-10-25, 02:00 to 03:00 comes twice: it is an hour longer.
        ("2026-10-24T23:29:59", False),
        ("2026-10-24T23:30:00", True),
        ("2026-10-25T02:29:59", True),
        ("2026-10-25T02:30:00", False),
    ],
)
def test_a_weekly_window_goes_by_the_clock_on_the_wall(at: str, holds: bool) -> None:
    silence = make_silence(starts_at=moment("2026-01-01T00:00:00"), ends_at=None, schedule=BERLIN)
    assert in_force(silence.starts_at, None, parse(BERLIN), moment(at)) is holds
    assert bool(active_silences(moment(at))) is holds


def test_each_time_a_weekly_window_ends_there_is_a_summary(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    now = timezone.now()
    day = now.strftime("%a").lower()
    start = now.strftime("%H:%M")
    window = {"days": [day], "start": start, "end": "24:00" if now.hour == 23 else f"{now.hour + 1:02}:00"}
    make_silence(ends_at=None, schedule={"zone": "UTC", "windows": [window]})
    opened_alert()
    tell_all()
    assert receiver.received == []
    after = (now + timedelta(hours=1)).replace(minute=0, second=1)
    follow_up(after)
    deliver_all(after)
    assert kinds_sent() == ["summary"]


def test_a_schedule_that_is_none_holds_nothing_and_stops_nothing(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    make_silence(schedule={"zone": "Mars/Olympus", "windows": []})
    opened_alert()
    tell_all()
    assert kinds_sent() == ["opening"]


def test_what_was_told_by_a_silenced_route_is_not_in_the_outbox() -> None:
    make_silence()
    opened_alert()
    dispatch()
    assert not Message.objects.exists()

"""People resolve and acknowledge while real drains judge: no alert is left that nothing will ever close."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connections

from alerts import actions
from alerts.models import Alert
from telemetry.deletion import delete_device
from tests.alerts.changes import timeline
from tests.alerts.operators import operator
from tests.alerts.test_sequences import agrees_on_its_end
from tests.thresholds.judging.parts import Sender, make_threshold, worker
from thresholds.models import PairState

pytestmark = pytest.mark.usefixtures("platform_db")


def test_a_resolved_alert_stays_resolved_until_the_series_was_safe_once() -> None:
    make_threshold(levels={"warning": 80.0})
    sender, ann = Sender.make(), operator()
    with worker(sender.shard) as drains:
        sender.send((0, 90))
        drains.work()
        first = Alert.objects.get()
        assert actions.resolve([first.pk], ann).changed
        sender.send((10, 95), (20, 96))
        drains.work()
        assert Alert.objects.count() == 1
        sender.send((30, 50), (40, 91))
        drains.work()
        assert list(Alert.objects.order_by("id").values_list("state", flat=True)) == ["resolved", "open"]


def test_a_drain_of_another_process_knows_that_it_was_resolved() -> None:
    """Each drain keeps its states in memory: the epoch tells it that they are no longer true."""
    make_threshold(levels={"warning": 80.0})
    sender, ann = Sender.make(), operator()
    with worker(sender.shard) as one, worker(sender.shard) as other:
        sender.send((0, 90))
        one.work()
        other.work()
        actions.resolve([Alert.objects.get().pk], ann)
        for at, drains in enumerate((one, other, one, other), 1):
            sender.send((at * 10, 95))
            drains.work()
        assert list(Alert.objects.values_list("state", flat=True)) == ["resolved"]


def test_people_and_drains_at_once_leave_nothing_behind() -> None:
    make_threshold(levels={"warning": 80.0, "critical": 95.0})
    sender, stop = Sender.make(), threading.Event()
    people = [operator() for _ in range(3)]
    failures: list[BaseException] = []

    def look_after(person: object) -> None:
        try:
            while not stop.is_set():
                for alert in Alert.objects.filter(state__in=Alert.LIVE).values_list("pk", flat=True):
                    actions.acknowledge([alert], person)
                    actions.comment([alert], person, "looking")
                    actions.resolve([alert], person)
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=look_after, args=[person]) for person in people]
    with worker(sender.shard) as drains:
        for thread in threads:
            thread.start()
        end = time.monotonic() + 4
        at = 0.0
        while time.monotonic() < end:
            at += 10
            sender.send((at, 90), (at + 1, 99), (at + 2, 90), (at + 3, 50), (at + 4, 91))
            drains.drain.drain()
        stop.set()
        for thread in threads:
            thread.join(30)
        assert failures == []
        # Its many openings may have marked it as flapping: then it ends when it was quiet for long enough.
        sender.send((at + 20, 50), (at + 700, 50))
        drains.work()
        assert not Alert.objects.filter(state__in=Alert.LIVE).exists()
        sender.send((at + 1400, 90))
        drains.work()
        assert Alert.objects.filter(state__in=Alert.LIVE).count() == 1
    for alert in Alert.objects.all():
        agrees_on_its_end(alert)
    assert Alert.objects.filter(state="resolved").exists()


def test_a_device_deleted_while_its_alert_is_open_ends_it() -> None:
    make_threshold(levels={"warning": 80.0})
    sender = Sender.make()
    with worker(sender.shard) as drains:
        sender.send((0, 90))
        drains.work()
        delete_device(sender.device)
        drains.work()
    alert = Alert.objects.get()
    assert (alert.state, alert.end_reason, timeline(alert)) == ("cleared", "device deleted", ["opened", "cleared"])
    assert not PairState.objects.exists()


def test_resolving_an_alert_of_a_deleted_device_leaves_nothing_that_waits_for_ever() -> None:
    make_threshold(levels={"warning": 80.0})
    sender = Sender.make()
    with worker(sender.shard) as drains:
        sender.send((0, 90))
        drains.work()
        delete_device(sender.device)
        assert actions.resolve([Alert.objects.get().pk], operator()).changed
        drains.work()
    assert Alert.objects.get().state == "resolved"
    assert not PairState.objects.exists()

"""Rules, devices and people change while alerts are open: nothing stays open that no reading would ever close."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User

from alerts.actions import resolve
from alerts.models import Alert
from telemetry.deletion import delete_device
from telemetry.models import DeviceGroup, DeviceType, MetricDefinition
from tests.thresholds.judging.parts import Sender, Worker, alerts, make_threshold, worker
from thresholds.models import Level, PairState, RulesInForce, RulesVersion, Severity, Threshold


@pytest.fixture
def sender(platform_db: None) -> Sender:
    return Sender.make()


@pytest.fixture
def warm(sender: Sender) -> Iterator[Worker]:
    """The worker of the sender's shard, which has drained before."""
    with worker(sender.shard) as started:
        started.work()
        yield started


def ended() -> list[tuple[str, str]]:
    return [(alert.state, alert.end_reason) for alert in Alert.objects.order_by("id")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda threshold, device: Threshold.objects.update(enabled=False), "threshold removed"),
        (lambda threshold, device: threshold.delete(), "threshold removed"),
        (lambda threshold, device: Threshold.objects.update(metric="pressure"), "threshold removed"),
        (
            lambda threshold, device: make_threshold(overrides=threshold, levels={"critical": 1000.0}),
            "threshold removed",
        ),
        (lambda threshold, device: type(device).objects.update(enabled=False), "device disabled"),
        (lambda threshold, device: delete_device(device), "device deleted"),
    ],
    ids=["disabled", "deleted", "other metric", "overridden", "device disabled", "device deleted"],
)
def test_what_no_longer_applies_ends_without_a_reading(
    sender: Sender, warm: Worker, change: Callable[..., object], reason: str
) -> None:
    threshold = make_threshold()
    sender.send((0, 85))
    warm.work()
    assert ended() == [("open", "")]
    change(threshold, sender.device)
    warm.drain.drain()
    assert ended() == [("cleared", reason)]
    assert PairState.objects.count() == 0


def test_a_device_that_moves_away_leaves_the_groups_threshold(sender: Sender, warm: Worker) -> None:
    plant = DeviceGroup.objects.create(name="plant")
    hall = DeviceGroup.objects.create(name="hall", parent=plant)
    kind = DeviceType.objects.create(name="pump")
    sender.device.group, sender.device.type = hall, kind
    sender.device.save()
    make_threshold(group=plant)
    make_threshold(device_type=kind)
    sender.send((0, 85))
    warm.work()
    assert ended() == [("open", "")] * 2
    sender.device.group = None
    sender.device.save()
    warm.drain.drain()
    assert sorted(ended()) == [("cleared", "threshold removed"), ("open", "")]
    sender.device.group = hall
    sender.device.save()
    sender.send((1, 86))
    warm.work()
    assert [state for state, _ in ended()] == ["cleared", "open", "open"]


def test_a_group_that_moves_takes_its_devices_along(sender: Sender, warm: Worker) -> None:
    plant, other = DeviceGroup.objects.create(name="plant"), DeviceGroup.objects.create(name="other")
    hall = DeviceGroup.objects.create(name="hall", parent=plant)
    sender.device.group = hall
    sender.device.save()
    make_threshold(group=plant)
    sender.send((0, 85))
    warm.work()
    hall.parent = other
    hall.save()
    warm.drain.drain()
    assert ended() == [("cleared", "threshold removed")]


def test_a_threshold_is_in_force_with_the_next_drain(sender: Sender, warm: Worker) -> None:
    sender.send((0, 85))
    warm.work()
    make_threshold()
    sender.send((1, 85))
    warm.work()
    assert alerts() == [("open", "warning", 1, None)]


def test_changed_levels_are_judged_from_the_next_reading_on_and_clocks_go_on(sender: Sender, warm: Worker) -> None:
    make_threshold(for_seconds=10)
    sender.send((0, 85), (5, 85))
    warm.work()
    Level.objects.update(trigger=84)
    warm.drain.drain()
    assert alerts() == []
    sender.send((10, 85))
    warm.work()
    assert alerts() == [("open", "warning", 10, None)]
    Level.objects.update(trigger=90)
    warm.drain.drain()
    assert alerts() == [("open", "warning", 10, None)]
    sender.send((11, 85))
    warm.work()
    assert alerts() == [("cleared", "warning", 10, 11)]


def test_removed_levels_lower_the_alert_and_the_last_one_ends_it(sender: Sender, warm: Worker) -> None:
    threshold = make_threshold(levels={"warning": 80, "critical": 90, "info": 200})
    sender.send((0, 95))
    warm.work()
    threshold.levels.filter(severity=Severity.CRITICAL).delete()
    warm.drain.drain()
    assert [(alert.severity, alert.highest_severity) for alert in Alert.objects.all()] == [(2, 4)]
    assert list(Alert.objects.get().timeline.values_list("kind", flat=True)) == ["opened", "lowered"]
    threshold.levels.filter(severity=Severity.WARNING).delete()
    warm.drain.drain()
    assert ended() == [("cleared", "level removed")]


def test_gaps_follow_the_expected_interval_of_the_devices_type(sender: Sender, warm: Worker) -> None:
    kind = DeviceType.objects.create(name="pump")
    metric = MetricDefinition.objects.create(device_type=kind, name="temperature", expected_interval=5)
    sender.device.type = kind
    sender.device.save()
    make_threshold(for_seconds=60)
    sender.send((0, 85), (16, 85), (70, 85))
    warm.work()
    assert alerts() == []
    metric.expected_interval = 100
    metric.save()
    sender.send((130, 85))
    warm.work()
    assert alerts() == [("open", "warning", 130, None)]


def test_a_resolved_alert_opens_anew_only_after_it_was_safe_once(sender: Sender, warm: Worker) -> None:
    make_threshold(levels={"warning": {"trigger": 80, "clear": 75}})
    sender.send((0, 85))
    warm.work()
    resolve([Alert.objects.get().pk], User.objects.create_user("ada"))
    sender.send((1, 95), (2, 78), (3, 95))
    warm.work()
    assert [alert[0] for alert in alerts()] == ["resolved"]
    sender.send((4, 75), (5, 81))
    warm.work()
    assert [(alert[0], alert[2]) for alert in alerts()] == [("resolved", 0), ("open", 5)]


def test_the_version_and_where_it_began_are_recorded(sender: Sender, warm: Worker) -> None:
    make_threshold()
    sender.send((0, 85))
    warm.work()
    sender.send((1, 85))
    warm.work()
    version, found = RulesVersion.objects.get(), RulesInForce.objects.filter(shard=sender.shard).order_by("id")
    assert (found.last().rules, found.last().placement) == (version.rules, version.placement)
    assert found.last().after_entry == "0-0"
    Threshold.objects.update(enabled=False)
    warm.drain.drain()
    assert found.last().rules == version.rules + 1
    assert found.last().after_entry > "0-0"


def test_a_threshold_that_makes_no_sense_does_not_keep_others_from_being_judged(
    sender: Sender, warm: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    make_threshold(schedule={"zone": "Mars/Olympus"})
    make_threshold(condition="outside")
    Threshold.objects.create(name="no level", metric="temperature", condition="above", all_devices=True)
    make_threshold()
    sender.send((0, 85))
    warm.work()
    assert alerts() == [("open", "warning", 0, None)]
    assert caplog.text.count("threshold_not_judged") == 3

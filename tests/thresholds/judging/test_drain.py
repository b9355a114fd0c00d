"""Readings become alerts in the transaction that stores them."""

from __future__ import annotations

from alerts.models import Alert
from tests.builders import drain_all
from tests.thresholds.judging.parts import Sender, alerts, make_threshold
from thresholds.models import LateBreaches, PairState


def test_a_breach_opens_an_alert_and_the_safe_side_clears_it(platform_db: None) -> None:
    threshold = make_threshold(levels={"warning": {"trigger": 80, "clear": 75}, "critical": 90})
    sender = Sender.make()
    sender.send((0, 70), (10, 85))
    drain_all()
    assert alerts() == [("open", "warning", 10, None)]
    sender.send((20, 95), (30, 78), (40, 75))
    drain_all()
    assert alerts() == [("cleared", "warning", 10, 40)]
    alert = Alert.objects.get()
    assert (alert.threshold_id, alert.highest_severity, alert.extreme, alert.readings) == (threshold.pk, 4, 95, 2)
    assert list(alert.timeline.values_list("kind", flat=True)) == ["opened", "raised", "lowered", "cleared"]
    assert PairState.objects.get().openings == [1_795_000_010_000_000]


def test_late_breaches_are_counted_and_open_nothing(platform_db: None) -> None:
    threshold = make_threshold()
    sender = Sender.make()
    sender.send((100, 70))
    drain_all()
    sender.send((50, 90), (60, 91), (70, 10))
    sender.send((50, 90))  # a repeat
    drain_all()
    assert alerts() == []
    late = LateBreaches.objects.get()
    assert (late.threshold_id, late.series_id, late.count) == (threshold.pk, sender.series, 2)
    assert late.newest == 1_795_000_060_000_000

"""Old alerts go where operations ask for it, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.dispatch import dispatch
from alerts.models import Alert, AlertEvent, ChannelAttempt, HeldAlert, Message
from alerts.pruning import prune_alerts
from tests.alerts.changes import Pair, opened_alert
from tests.alerts.people import deliver_all, later, make_route, make_webhook

pytestmark = pytest.mark.usefixtures("platform_db")


def ended(days: float) -> Alert:
    """An alert that ended so many days ago."""
    pair = Pair.make()
    pair.opened(0).record()
    alert = pair.cleared(5).record()
    at = timezone.now() - timedelta(days=days)
    Alert.objects.filter(pk=alert.pk).update(ended_at=at, opened_at=at - timedelta(hours=1))
    return alert


def test_ended_alerts_go_with_all_that_belongs_to_them(loopback_allowed: None) -> None:
    make_route(make_webhook(), group_seconds=0)
    old, young, live = ended(40), ended(20), opened_alert()
    Alert.objects.filter(pk=live.pk).update(opened_at=timezone.now() - timedelta(days=90))
    HeldAlert.objects.create(alert=old)
    dispatch()
    deliver_all(later(31))
    Message.objects.update(state="failed", created_at=timezone.now() - timedelta(days=40))
    assert prune_alerts(30) == 1
    assert set(Alert.objects.all()) == {young, live}
    assert set(AlertEvent.objects.values_list("alert", flat=True)) == {young.pk, live.pk}
    named = Message.objects.exclude(items=None).values_list("pk", flat=True)
    assert set(Message.objects.values_list("pk", flat=True)) == set(named)
    assert set(ChannelAttempt.objects.values_list("message", flat=True)) <= set(named)


def test_by_default_they_are_kept_for_ever() -> None:
    ended(4000)
    assert prune_alerts(0) == 0
    assert Alert.objects.count() == 1

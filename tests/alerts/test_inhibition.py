"""A silent gateway explains its silent devices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from alerts.dispatch import dispatch
from alerts.follow_up import follow_up
from alerts.models import HeldAlert, Message
from telemetry.models import Device
from tests.alerts.changes import Pair, make_type, record_all, timeline
from tests.alerts.people import deliver_all, kinds_sent, later, make_route, make_webhook, texts
from tests.alerts.receivers import WebServer
from tests.builders import make_device
from thresholds.models import Condition

pytestmark = pytest.mark.usefixtures("nobody_told")


def silent_pair(device: Device) -> Pair:
    """Has been silent for 600 s, which is enough for a warning."""
    return Pair.make(device, condition=Condition.SILENT).opened(value=600)


@pytest.fixture
def gateway() -> Device:
    return make_device("gateway", type=make_type())


@pytest.fixture
def child(gateway: Device) -> Device:
    return make_device("sensor", type=make_type(), parent=gateway)


def named(receiver: WebServer) -> list[str]:
    return [each["device"] for request in receiver.received for each in request.body["alerts"]]


def tell(seconds: float = 60) -> None:
    dispatch(later(13))
    deliver_all(later(seconds))


@pytest.mark.parametrize("first", ["gateway", "child"])
def test_only_the_gateway_is_told_whichever_is_seen_first(
    receiver: WebServer, gateway: Device, child: Device, first: str
) -> None:
    make_route(make_webhook(receiver))
    above, below = silent_pair(gateway), silent_pair(child)
    pairs = (above, below) if first == "gateway" else (below, above)
    record_all(pairs[0])
    dispatch()
    record_all(pairs[1])
    dispatch()
    tell()
    assert named(receiver) == ["gateway"]
    alert = below.alerts()[0]
    assert timeline(alert) == ["opened", "suppressed"]
    assert "gateway gateway is silent itself" in texts(alert, "suppressed")[0]


def test_a_gateway_that_is_seen_while_the_group_collects_still_counts(
    receiver: WebServer, gateway: Device, child: Device
) -> None:
    make_route(make_webhook(receiver))
    below = silent_pair(child)
    record_all(below)
    dispatch(later(13))
    assert Message.objects.count() == 1
    record_all(silent_pair(gateway))
    tell()
    assert named(receiver) == ["gateway"]
    assert HeldAlert.objects.get().gateway_id == gateway.pk


def test_other_alerts_of_its_devices_are_told(receiver: WebServer, gateway: Device, child: Device) -> None:
    make_route(make_webhook(receiver))
    record_all(silent_pair(gateway), Pair.make(child).opened())
    tell()
    assert sorted(named(receiver)) == ["gateway", "sensor"]


def test_a_gateway_with_another_alert_explains_nothing(receiver: WebServer, gateway: Device, child: Device) -> None:
    make_route(make_webhook(receiver))
    record_all(Pair.make(gateway).opened(), silent_pair(child))
    tell()
    assert sorted(named(receiver)) == ["gateway", "sensor"]


def test_a_device_that_stays_silent_when_its_gateway_is_back_is_told_after_a_moment(
    receiver: WebServer, gateway: Device, child: Device
) -> None:
    make_route(make_webhook(receiver))
    above, below = silent_pair(gateway), silent_pair(child)
    record_all(above, below)
    tell()
    above.cleared(30).record()
    dispatch()
    back = timezone.now() + timedelta(minutes=5)
    follow_up(back)
    deliver_all(back)
    assert "sensor" not in named(receiver), "it has a moment to come back too"
    follow_up(back + timedelta(seconds=61))
    deliver_all(back + timedelta(seconds=120))
    assert named(receiver)[-1] == "sensor"
    assert kinds_sent().count("opening") == 2
    assert not HeldAlert.objects.exists()


def test_a_device_that_comes_back_with_its_gateway_is_never_told(
    receiver: WebServer, gateway: Device, child: Device
) -> None:
    make_route(make_webhook(receiver))
    above, below = silent_pair(gateway), silent_pair(child)
    record_all(above, below)
    tell()
    record_all(above.cleared(30), below.cleared(31))
    dispatch()
    for minutes in range(5):
        follow_up(later(60 * minutes))
        deliver_all(later(60 * minutes + 59))
    assert set(named(receiver)) == {"gateway"}
    assert kinds_sent() == ["opening", "recovery"]
    assert not HeldAlert.objects.exists()


def test_a_device_without_a_gateway_is_not_kept_waiting(receiver: WebServer, configure: Any) -> None:
    configure(alert_egress_allow="127.0.0.0/8", alert_group_seconds=0)
    make_route(make_webhook(receiver))
    record_all(silent_pair(make_device("lonely", type=make_type())))
    dispatch()
    deliver_all(later(1))
    assert named(receiver) == ["lonely"]


def test_a_route_that_sends_at_once_waits_for_the_gateway_all_the_same(
    receiver: WebServer, gateway: Device, child: Device
) -> None:
    make_route(make_webhook(receiver), group_seconds=0)
    below = silent_pair(child)
    record_all(below)
    dispatch()
    deliver_all(later(1))
    assert receiver.received == []
    record_all(silent_pair(gateway))
    tell()
    assert named(receiver) == ["gateway"]
    assert timeline(below.alerts()[0]) == ["opened", "suppressed"]


def test_a_gateway_that_falls_silent_again_starts_the_moment_anew(
    receiver: WebServer, gateway: Device, child: Device
) -> None:
    make_route(make_webhook(receiver))
    above, below = silent_pair(gateway), silent_pair(child)
    record_all(above, below)
    tell()
    start = timezone.now() + timedelta(minutes=5)
    above.cleared(30).record()
    follow_up(start)
    above.opened(90, value=600).record()
    follow_up(start + timedelta(seconds=40))
    above.cleared(120).record()
    follow_up(start + timedelta(seconds=50))
    follow_up(start + timedelta(seconds=100))
    deliver_all(start + timedelta(hours=1))
    assert "sensor" not in named(receiver)
    follow_up(start + timedelta(seconds=111))
    deliver_all(start + timedelta(hours=1))
    assert named(receiver)[-1] == "sensor"

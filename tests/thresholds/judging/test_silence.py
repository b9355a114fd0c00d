"""Silence: judged by the shard's clock, broken by readings, and nobody's fault while the platform itself was away."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from alerts.models import Alert
from telemetry.log import keys
from telemetry.models import Device, Series
from tests.builders import make_device
from tests.thresholds.judging.parts import NOON, Sender, Wall, Worker, alerts, make_threshold, new_log, worker
from thresholds.hearing import silence_of
from thresholds.models import PairState


@pytest.fixture
def wall(platform_db: None) -> Wall:
    return Wall()


@pytest.fixture
def sender(wall: Wall) -> Sender:
    """One whose readings arrive when the clock says; a warning after 60 s without one, critical after 120 s."""
    make_threshold(condition="silent", levels={"warning": 60, "critical": 120})
    made = Sender.make()
    made.clock = lambda: int(wall.now * 1e6)
    return made


@pytest.fixture
def started(sender: Sender, wall: Wall) -> Iterator[Worker]:
    wall.alive(1)
    with worker(sender.shard, wall) as one:
        sender.send((0, 1.0))
        one.work()
        yield one


def test_it_opens_after_its_time_rises_and_ends_with_the_next_reading(
    started: Worker, sender: Sender, wall: Wall
) -> None:
    wall.alive(59)
    started.work()
    assert alerts() == []
    wall.alive(2)
    started.work()
    assert alerts() == [("open", "warning", 62, None)]
    wall.alive(60)
    started.work()
    assert alerts() == [("open", "critical", 62, None)]
    wall.alive(3)
    sender.send((125, 1.0))
    started.work()
    assert alerts() == [("cleared", "critical", 62, 125)]
    alert = Alert.objects.get()
    assert (alert.value, alert.evidence["held_seconds"]) == (124, 61)
    assert alert.evidence["since"] == NOON + 1_000_000


def test_late_readings_count_as_a_sign_of_life_and_unjudged_imports_do_not(
    started: Worker, sender: Sender, wall: Wall
) -> None:
    wall.alive(61)
    started.work()
    sender.send((-500, 1.0), judge=False, backfill=True)
    started.work()
    assert [state for state, *_ in alerts()] == ["open"]
    sender.send((-400, 1.0))
    started.work()
    assert [state for state, *_ in alerts()] == ["cleared"]


def test_time_in_which_intake_was_down_is_nobodys_silence(started: Worker, sender: Sender, wall: Wall) -> None:
    wall.alive(30)
    wall.now += 500
    started.work()
    assert alerts() == []
    wall.alive(31)
    started.work()
    assert alerts() == []
    wall.alive(4)
    started.work()
    assert [severity for _, severity, *_ in alerts()] == ["warning"]


def test_a_worker_that_was_stalled_judges_by_what_it_has_read_so_far(
    platform_db: None, wall: Wall, sender: Sender
) -> None:
    wall.alive(1)
    with worker(sender.shard, wall, drain_max_rows=1) as one:
        for at in range(0, 300, 50):
            wall.alive(50)
            sender.send((at, 1.0))
        one.work()
        assert alerts() == []
        wall.alive(61)
        one.work()
        assert [severity for _, severity, *_ in alerts()] == ["warning"]


def test_it_is_judged_while_other_readings_keep_coming(started: Worker, sender: Sender, wall: Wall) -> None:
    other = Sender(sender.device, Series.objects.create(device=sender.device, metric="other").pk, clock=sender.clock)
    for at in range(8):
        wall.alive(10)
        other.send((at, 1.0))
        started.drain.drain()
    assert [severity for _, severity, *_ in alerts()] == ["warning"]


def test_a_worker_that_takes_over_goes_on_from_what_was_heard(started: Worker, sender: Sender, wall: Wall) -> None:
    wall.alive(30)
    started.work()
    started.drain.close()
    with worker(sender.shard, wall) as other:
        other.work()
        wall.alive(31)
        other.work()
        assert [severity for _, severity, *_ in alerts()] == ["warning"]


def test_what_was_lost_with_the_log_server_counts_as_heard_just_now(
    started: Worker, sender: Sender, wall: Wall
) -> None:
    wall.alive(50)
    started.work()
    new_log().call(lambda client: client.delete(keys.heard(sender.shard)))
    started.drain.close()
    with worker(sender.shard, wall) as other:
        other.work()
        wall.alive(55)
        other.work()
        assert alerts() == []
        wall.alive(6)
        other.work()
        assert [severity for _, severity, *_ in alerts()] == ["warning"]


def test_a_device_that_is_disabled_is_not_silent(started: Worker, sender: Sender, wall: Wall) -> None:
    wall.alive(61)
    started.work()
    Device.objects.filter(pk=sender.device.pk).update(enabled=False)
    started.drain.drain()
    assert [(alert.state, alert.end_reason) for alert in Alert.objects.all()] == [("cleared", "device disabled")]
    wall.alive(200)
    started.work()
    assert len(alerts()) == 1
    assert not PairState.objects.exists()


def test_outside_its_schedule_silence_opens_nothing(platform_db: None, wall: Wall) -> None:
    # NOON is 11:06:40 UTC on a Wednesday.
    office = {"zone": "UTC", "windows": [{"days": ["wed"], "start": "12:00", "end": "13:00"}]}
    make_threshold(condition="silent", levels={"warning": 60}, schedule=office)
    sender = Sender.make()
    sender.clock = lambda: int(wall.now * 1e6)
    with worker(sender.shard, wall) as one:
        wall.alive(1)
        sender.send((0, 1.0))
        one.work()
        wall.alive(600)
        one.work()
        assert alerts() == []
        wall.alive(3600)
        one.work()
        assert [severity for _, severity, *_ in alerts()] == ["warning"]


def test_a_new_series_is_listened_for_from_its_first_reading(started: Worker, sender: Sender, wall: Wall) -> None:
    device = make_device(id=sender.device.pk + 4)
    newcomer = Sender(device, Series.objects.create(device=device, metric="temperature").pk, clock=sender.clock)
    newcomer.send((0, 1.0))
    started.work()
    wall.alive(30)
    sender.send((30, 1.0))
    started.work()
    wall.alive(45)
    started.work()
    assert [alert.series_id for alert in Alert.objects.all()] == [newcomer.series]


def test_nobody_is_silent_while_intake_was_never_up(platform_db: None, sender: Sender, wall: Wall) -> None:
    with worker(sender.shard, wall) as one:
        sender.send((0, 1.0))
        one.work()
        wall.now += 1000
        one.work()
    assert alerts() == []


@pytest.mark.parametrize(
    ("outages", "seconds"),
    [
        ([], 100),
        ([(20, 30)], 90),
        ([(-50, 10), (90, 200)], 80),
        ([(-50, 500)], 0),
        ([(-50, -10), (150, 170)], 100),
        ([(10, 20), (30, 50)], 70),
    ],
)
def test_outages_are_taken_out_of_a_silence(outages: list[tuple[int, int]], seconds: float) -> None:
    in_us = [(begin * 1_000_000, end * 1_000_000) for begin, end in outages]
    assert silence_of(np.zeros(1, np.int64), 100_000_000, in_us).tolist() == [seconds]
